// ------------------------------------------------------------------ list
// Only what is near the window exists as elements, however many images there are.
const AROUND = 1.2; // windows drawn above and below
const TALLEST = 15e6; // pixels; browsers take no taller element
const list = { isTable: false, columns: 1, height: 1, first: 0, last: -1, made: new Map() };
let current = 0; // the image that keys act on
const place = () => (list.isTable ? byId("rows") : byId("cards"));
const topOfList = () => (list.isTable ? byId("rows-above") : byId("cards")).getBoundingClientRect().top;

function markButtons(index) {
  const row = rows[index];
  const one = markOf(index);
  const made = element("div", "", "marks");
  for (const [mark, words] of [["agree", "Agree"], ["disagree", "Disagree"]]) {
    const press = button(words, `mark ${mark}`, () => { toggleMark(index, mark); afterMark(index); }, `${words} with image ${row[RANK]}: ${meaningOf(row, mark)}`);
    press.title = `${words}: ${meaningOf(row, mark)}`;
    press.setAttribute("aria-pressed", String(one.mark === mark));
    made.append(press);
  }
  const comment = button("Comment", "mark comment", () => enlarge(index, true), `${one.comment ? "Change" : "Write"} the comment on image ${row[RANK]}`);
  comment.setAttribute("aria-pressed", String(one.comment !== ""));
  if (one.comment) comment.title = one.comment;
  made.append(comment);
  return made;
}

function pictureOf(index) {
  const row = rows[index];
  if (!row[THUMB]) return element("div", row[STATE] === "error" ? "Could not be read" : "No picture", "picture none");
  const made = button("", "picture", () => enlarge(index), `Enlarge image ${row[RANK]}, ${fileName(row)}`);
  for (const kind of ["scan", "heat"]) {
    if (kind === "heat" && !row[HEAT]) continue;
    const image = element("img", "", kind);
    image.alt = "";
    image.decoding = "async";
    setPicture(image, index, kind);
    made.append(image);
  }
  return made;
}

function findings(row, most) {
  const made = element("dl", "", "findings");
  for (const n of others(row).slice(0, most)) {
    const value = row[ALL][n];
    const pair = document.createElement("div");
    const numbers = document.createElement("dd");
    numbers.append(bar(value, n), element("span", value.toFixed(2)));
    pair.append(element("dt", data.labels[n]), numbers);
    made.append(pair);
  }
  return made;
}

function card(index, position) {
  const row = rows[index];
  const made = element("article", "", `card ${row[STATE]}`);
  made.tabIndex = index === current ? 0 : -1;
  made.dataset.index = index;
  made.setAttribute("aria-posinset", position + 1);
  made.setAttribute("aria-setsize", matching.length);
  const score = hasScores(row) && row[SCORE] !== null ? row[SCORE] : null;
  made.setAttribute("aria-label", `Image ${row[RANK]}, ${WORDS[row[STATE]]}${score === null ? "" : `, ${label} ${score.toFixed(2)}`}, ${steady(fileName(row))}`);
  const text = element("div", "", "text");
  const head = element("p", "", "head");
  head.append(element("span", row[RANK], "rank"), element("span", WORDS[row[STATE]], `badge ${row[STATE]}`));
  if (score !== null) head.append(element("b", score.toFixed(2), "score"));
  text.append(head);
  if (row[REASON]) text.append(element("p", row[REASON], "reason"));
  if (score !== null) text.append(bar(score, 0), findings(row, 3));
  const file = element("p", "", "file");
  file.title = steady(row[PATH]);
  file.append(element("b", fileName(row)), element("span", row[PATH].slice(0, row[PATH].lastIndexOf("/") + 1)));
  text.append(file);
  made.append(pictureOf(index), text, markButtons(index));
  return made;
}

function line(index, position) {
  const row = rows[index];
  const tr = document.createElement("tr");
  tr.dataset.index = index;
  tr.tabIndex = index === current ? 0 : -1;
  tr.setAttribute("aria-rowindex", position + 2);
  const state = document.createElement("td");
  state.append(element("span", WORDS[row[STATE]], `badge ${row[STATE]}`));
  const file = element("td", "", "path");
  file.append(button(row[PATH], "", () => enlarge(index)));
  file.title = steady(row[PATH]);
  const top = hasScores(row) ? others(row)[0] : undefined;
  const told = top === undefined ? row[REASON] : `${data.labels[top]} ${row[ALL][top].toFixed(2)}`;
  const one = markOf(index);
  const mark = element("td", [one.mark, one.comment].filter(Boolean).join(": "));
  mark.title = one.comment;
  tr.append(element("td", row[RANK]), state, element("td", hasScores(row) && row[SCORE] !== null ? row[SCORE].toFixed(3) : ""), file);
  if (data.identify) tr.append(element("td", row[PATIENT]));
  const reason = element("td", told);
  reason.title = steady(told);
  tr.append(reason, mark);
  return tr;
}

/** Measure once how many fit beside each other and how tall one is. */
function measure() {
  const at = place();
  if (!at.querySelector("[data-index]") && matching.length) at.append(list.isTable ? line(matching[0], 0) : card(matching[0], 0));
  const one = at.querySelector("[data-index]");
  if (!one) return;
  const style = getComputedStyle(at);
  list.columns = list.isTable ? 1 : style.gridTemplateColumns.split(" ").length;
  list.height = one.getBoundingClientRect().height + (list.isTable ? 0 : parseFloat(style.rowGap) || 0);
}

/** Draw the list anew: after a filter, a change of view or of the window's width. */
function showList() {
  place().replaceChildren();
  list.made.clear();
  measure();
  place().replaceChildren();
  list.first = 0;
  list.last = -1;
  byId("table").querySelector("table").setAttribute("aria-rowcount", matching.length + 1);
  if (!matching.includes(current)) current = matching[0] ?? 0;
  draw();
}

/** Put the rows near the window into the page, and take the others out. */
function draw() {
  const at = place();
  const total = Math.ceil(matching.length / list.columns);
  const most = Math.min(total, Math.floor(TALLEST / list.height));
  const above = -topOfList();
  const spare = innerHeight * AROUND;
  const first = Math.min(Math.max(0, Math.floor((above - spare) / list.height)), most);
  const last = Math.min(most, Math.max(first, Math.ceil((above + innerHeight + spare) / list.height)));
  if (first === list.first && last === list.last) return;
  list.first = first;
  list.last = last;
  const made = new Map();
  for (let n = first * list.columns; n < Math.min(last * list.columns, matching.length); n += 1) {
    const index = matching[n];
    made.set(index, list.made.get(index) || (list.isTable ? line : card)(index, n));
  }
  for (const [index, old] of list.made) if (!made.has(index)) old.remove();
  let before = null;
  for (const one of [...made.values()].reverse()) {
    if (one.parentNode !== at || one.nextSibling !== before) at.insertBefore(one, before);
    before = one;
  }
  list.made = made;
  const [top, bottom] = [first * list.height, (most - last) * list.height];
  if (list.isTable) {
    byId("rows-above").style.height = `${top}px`;
    byId("rows-below").style.height = `${bottom}px`;
  } else {
    at.style.paddingTop = `${top}px`;
    at.style.paddingBottom = `${bottom}px`;
  }
  byId("beyond").hidden = most >= total;
}

/** Draw one image again, after a mark. */
function redraw(index) {
  const old = list.made.get(index);
  if (!old) return;
  const held = old.contains(document.activeElement) ? document.activeElement.className : null;
  const made = (list.isTable ? line : card)(index, matching.indexOf(index));
  old.replaceWith(made);
  list.made.set(index, made);
  if (held !== null) (made.querySelector(`.${held.split(" ").join(".")}`) || made).focus();
}

/** Make an image the one that keys act on, and bring it into view. */
function goTo(index, takesFocus = true) {
  const position = matching.indexOf(index);
  if (position < 0) return;
  const before = list.made.get(current);
  if (before) before.tabIndex = -1;
  current = index;
  const bars = document.querySelector(".toolbar");
  const covered = getComputedStyle(bars).position === "sticky" ? bars.offsetHeight : 0;
  const top = Math.floor(position / list.columns) * list.height + topOfList();
  if (top < covered + 8) scrollBy(0, top - covered - 8);
  else if (top + list.height > innerHeight) scrollBy(0, Math.min(top + list.height - innerHeight, top - covered - 8));
  draw();
  const now = list.made.get(index);
  if (!now) return;
  now.tabIndex = 0;
  if (takesFocus) now.focus({ preventScroll: true });
}

/** Go on by so many images of what the filters leave. */
function move(by) {
  const position = matching.indexOf(current);
  const next = matching[Math.min(Math.max(position + by, 0), matching.length - 1)];
  if (next !== undefined) goTo(next);
}

function showTable(isTable) {
  byId("view").setAttribute("aria-pressed", String(isTable));
  byId("view").textContent = isTable ? "Cards" : "Table";
  byId("table").hidden = !isTable;
  byId("cards").hidden = isTable;
  place().replaceChildren();
  list.isTable = isTable;
  showList();
}
