// --------------------------------------------------------------- filters
const chips = [...document.querySelectorAll(".chip")];
const texts = rows.map((row) => `${row[PATH]}\n${row[PATIENT]}\n${row[REASON]}`.toLowerCase());
const NUMBERS = /\d+(?:[.,]\d+)*/g;
const reasons = rows.map((row) => row[REASON].replace(NUMBERS, "\u2026"));
const MOST_REASONS = 40;
let matching = [];

function offer(select, options) {
  select.append(...options.map(([value, words]) => {
    const made = element("option", words);
    made.value = value;
    return made;
  }));
}

function tally(values) {
  const found = new Map();
  for (const value of values) if (value !== "") found.set(value, (found.get(value) || 0) + 1);
  return [...found].sort((a, b) => b[1] - a[1]);
}

/** Offer what there is: labels with their flags, reasons, groups. */
function offerFilters() {
  offer(byId("finding"), data.labels.flatMap((name, n) => {
    const above = rows.filter((row) => hasScores(row) && row[ALL][n] >= data.flags[n] && row[ALL][n] !== null).length;
    return above ? [[n, `${name} (${count(above)})`]] : [];
  }));
  const told = tally(reasons);
  offer(byId("reason"), told.slice(0, MOST_REASONS).map(([value, number]) => [value, `${value} (${count(number)})`]));
  byId("reason").closest("label").hidden = told.length === 0;
  offer(byId("order"), data.labels.map((name, n) => [n, `${name}, high to low`]));
  data.groups.forEach((group, n) => {
    const select = document.createElement("select");
    select.dataset.group = n;
    offer(select, [["", "all"], ...tally(rows.map((row) => row[GROUPS][n])).map(([place, number]) => [place, `${group.values[place]} (${count(number)})`])]);
    select.addEventListener("input", refresh);
    const made = element("label", `${group.name} `);
    made.append(select);
    byId("groups").append(made);
  });
}

function wanted() {
  const states = new Set(chips.filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.dataset.state));
  const words = byId("search").value.trim().toLowerCase();
  const least = Number(byId("least").value);
  const of = byId("least-label").selectedIndex;
  const finding = byId("finding").value;
  const reason = byId("reason").value;
  const marked = byId("marked").value;
  const groups = [...document.querySelectorAll("#groups select")].filter((s) => s.value !== "").map((s) => [Number(s.dataset.group), s.value]);
  byId("least-value").value = least.toFixed(2);
  const tests = [];
  if (states.size) tests.push((row) => states.has(row[STATE]));
  if (words) tests.push((row, index) => texts[index].includes(words));
  if (least > 0) tests.push((row) => hasScores(row) && row[ALL][of] !== null && row[ALL][of] >= least);
  if (finding !== "") tests.push((row) => hasScores(row) && row[ALL][finding] !== null && row[ALL][finding] >= data.flags[finding]);
  if (reason !== "") tests.push((row, index) => reasons[index] === reason);
  if (marked === "comment") tests.push((row, index) => markOf(index).comment !== "");
  else if (marked === "none") tests.push((row, index) => markOf(index).mark === "");
  else if (marked !== "") tests.push((row, index) => markOf(index).mark === marked);
  for (const [n, value] of groups) tests.push((row) => String(row[GROUPS][n]) === value);
  byId("filters-on").textContent = tests.length ? ` ${tests.length}` : "";
  byId("clear").hidden = tests.length === 0;
  return tests;
}

function refresh() {
  const tests = wanted();
  matching = [];
  rows.forEach((row, index) => { if (tests.every((test) => test(row, index))) matching.push(index); });
  const order = byId("order").value;
  const value = (index) => (hasScores(rows[index]) ? rows[index][ALL][order] ?? -1 : -1);
  if (order === "path") matching.sort((a, b) => (rows[a][PATH] < rows[b][PATH] ? -1 : 1));
  else if (order !== "") matching.sort((a, b) => value(b) - value(a) || a - b);
  byId("shown").textContent = `${count(matching.length)} of ${count(rows.length)} images`;
  byId("nothing").hidden = matching.length > 0 || rows.length === 0;
  showList();
}

function clearFilters() {
  for (const chip of chips) chip.setAttribute("aria-pressed", "false");
  for (const id of ["search", "finding", "reason", "marked"]) byId(id).value = "";
  for (const select of document.querySelectorAll("#groups select")) select.value = "";
  byId("least").value = 0;
  refresh();
}
