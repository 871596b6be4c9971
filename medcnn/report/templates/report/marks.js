// ----------------------------------------------------------------- marks
// Kept in this browser under the run's own key, by path: a rebuilt report finds them again. Exported as CSV.
const MARKS = `medcnn marks ${data.run}`;
const FORMULA = /^[=+\-@\t\r\n'\uff1d\uff0b\uff0d\uff20]/;
const COLUMNS = ["path", "rank", "band", "label", "probability", "mark", "truth", "comment", "marked", "patient_id", "study_uid", "sop_uid", "run", "model", "model_sha256"];
const pathIndex = new Map(rows.map((row, index) => [row[PATH], index]));
let marks = readKept();
let canKeep = true;
const announce = (words) => { byId("said").textContent = words; };

function readKept() {
  try {
    const kept = JSON.parse(localStorage.getItem(MARKS) || "{}");
    return new Map(Object.entries(kept).filter(([, mark]) => mark && typeof mark === "object"));
  } catch {
    return new Map();
  }
}

const markOf = (index) => marks.get(rows[index][PATH]) || { mark: "", comment: "", marked: "" };

/** What agreeing (or not) says of the image: 1, 0, or "" where it says nothing. */
function truthOf(state, mark) {
  if (!mark || !(state in { flag: 1, review: 1, "no-flag": 1 })) return "";
  return (state !== "no-flag") === (mark === "agree") ? 1 : 0;
}

/** The same in words, for a button. */
function meaningOf(row, mark) {
  const truth = truthOf(row[STATE], mark);
  if (truth !== "") return `${truth ? "it shows" : "it does not show"} ${label}`;
  if (row[STATE] === "error") return mark === "agree" ? "seen" : "it should be readable";
  return mark === "agree" ? "the model was not made for it" : "the model should take it";
}

function setMark(index, change) {
  const kept = readKept(); // another window may have marked meanwhile
  if (canKeep) marks = kept;
  const path = rows[index][PATH];
  const mark = { ...markOf(index), ...change, marked: new Date().toISOString().slice(0, 19) + "Z" };
  if (mark.mark || mark.comment) marks.set(path, mark);
  else marks.delete(path);
  keep();
}

function keep() {
  try {
    localStorage.setItem(MARKS, JSON.stringify(Object.fromEntries(marks)));
    canKeep = true;
  } catch {
    canKeep = false;
  }
  tellMarks();
}

/** Agree, disagree, or take it back when it was so already. */
function toggleMark(index, mark) {
  setMark(index, { mark: markOf(index).mark === mark ? "" : mark });
  const now = markOf(index).mark;
  announce(`Image ${rows[index][RANK]}: ${now ? `${now}, ${meaningOf(rows[index], now)}` : "no mark"}.`);
}

function tellMarks() {
  let agree = 0, disagree = 0, comments = 0;
  for (const [path, one] of marks) {
    if (!pathIndex.has(path)) continue;
    agree += one.mark === "agree";
    disagree += one.mark === "disagree";
    comments += one.comment !== "";
  }
  const all = `${count(agree)} agreed, ${count(disagree)} disagreed, ${count(comments)} with a comment.`;
  const where = canKeep ? "Marks are kept in this browser on this computer only, for this run. Export them to keep them." : "This browser does not keep marks: export them before you close the page.";
  byId("marks-told").textContent = `${all} ${where}`;
  byId("marks-told").classList.toggle("alarm", !canKeep);
  byId("marks-count").textContent = agree + disagree + comments ? ` ${count(agree + disagree)}` : "";
  byId("export").disabled = agree + disagree + comments === 0;
}

// ------------------------------------------------------------------- CSV
const safeCell = (text) => (FORMULA.test(text) ? `'${text}` : text);
const plainText = (cell) => (cell[0] === "'" && FORMULA.test(cell.slice(1)) ? cell.slice(1) : cell);

function cell(value) {
  const text = safeCell(String(value ?? ""));
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function marksAsCsv() {
  const lines = [COLUMNS.join(",")];
  rows.forEach((row, index) => {
    const one = marks.get(row[PATH]);
    if (!one) return;
    const score = hasScores(row) && row[SCORE] !== null ? row[SCORE].toFixed(6) : "";
    const [study, , sop] = row[UIDS] || ["", "", ""];
    const cells = [row[PATH], row[RANK], row[STATE], label, score, one.mark, truthOf(row[STATE], one.mark), one.comment, one.marked, row[PATIENT], study, sop, data.run, data.model, data.sha256];
    lines.push(cells.map(cell).join(","));
  });
  return `${lines.join("\r\n")}\r\n`;
}

function exportMarks() {
  const link = document.createElement("a");
  const url = URL.createObjectURL(new Blob(["\ufeff", marksAsCsv()], { type: "text/csv;charset=utf-8" }));
  link.href = url;
  link.download = `marks-${data.run}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  announce(`Marks were exported to marks-${data.run}.csv.`);
}

/** Split a CSV text into lines of cells. */
function parseCsv(text) {
  const lines = [[]];
  const token = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r?\n|$)/y;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const raw = match[1];
    lines.at(-1).push(plainText(raw[0] === '"' ? raw.slice(1, -1).replaceAll('""', '"') : raw));
    if (token.lastIndex >= text.length && match[2] === "") break;
    if (match[2] !== ",") lines.push([]);
  }
  return lines.filter((line) => line.length > 1);
}

/** Take marks of a CSV that this page, here or elsewhere, exported; the newer mark wins. */
function importMarks(text) {
  const [names = [], ...lines] = parseCsv(text.replace(/^\ufeff/, ""));
  const at = Object.fromEntries(COLUMNS.map((name) => [name, names.indexOf(name)]));
  if (at.path < 0 || at.mark < 0 || at.comment < 0) {
    announce("This file holds no marks: it has no columns path, mark and comment.");
    return;
  }
  const bySop = new Map(rows.flatMap((row, index) => (row[UIDS] && row[UIDS][2] ? [[row[UIDS][2], index]] : [])));
  let taken = 0, strange = 0;
  for (const line of lines) {
    const get = (name) => (at[name] < 0 ? "" : line[at[name]] || "");
    const index = pathIndex.get(get("path")) ?? bySop.get(get("sop_uid"));
    if (index === undefined || !["agree", "disagree", ""].includes(get("mark"))) { strange += 1; continue; }
    if (get("marked") < markOf(index).marked) continue;
    marks.set(rows[index][PATH], { mark: get("mark"), comment: get("comment"), marked: get("marked") });
    taken += 1;
  }
  keep();
  announce(`${count(taken)} marks were read${strange ? `; ${count(strange)} lines are of no image here` : ""}.`);
}
