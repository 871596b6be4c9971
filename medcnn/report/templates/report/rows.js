// What the page knows of each image. Nothing in these files writes HTML: file and patient names are only ever text.
const RANK = 0, PATH = 1, STATE = 2, SCORE = 3, REASON = 4, PATIENT = 5, ALL = 6, THUMB = 7, HEAT = 8, GROUPS = 9, UIDS = 10;
const WORDS = { flag: "Flag", review: "Review", "no-flag": "No flag", out_of_scope: "Out of scope", error: "Not read" };
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const rows = data.rows;
const label = data.labels[0];
const printed = new Map([...document.querySelectorAll("#printed .card")].map((card) => [Number(card.dataset.index), card]));
const hasScores = (row) => row[STATE] !== "out_of_scope" && row[STATE] !== "error";
const count = (number) => number.toLocaleString("en");
// Control characters, and those that turn the direction of all that follows: shown as one that does neither. Marks and searches take texts as they are.
const STEERING = /[\u0000-\u0008\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
const steady = (text) => String(text).replace(STEERING, "\ufffd");
const fileName = (row) => row[PATH].slice(row[PATH].lastIndexOf("/") + 1);

function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = steady(text);
  if (kind) made.className = kind;
  return made;
}

function button(text, kind, action, words = "") {
  const made = element("button", text, kind);
  made.type = "button";
  if (words) made.setAttribute("aria-label", steady(words));
  made.addEventListener("click", action);
  return made;
}

function svg(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Where a label's score lies: "flag", "review" or "no-flag". */
const bandOf = (value, n) => (value >= data.flags[n] ? "flag" : value >= data.reviews[n] ? "review" : "no-flag");

/** A score as a bar with its two thresholds. */
function bar(value, n) {
  const made = svg("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  made.append(svg("rect", { class: "rail", width: 100, height: 10 }), svg("rect", { class: `fill ${bandOf(value, n)}`, width: value * 100, height: 10 }));
  for (const [name, at] of [["review", data.reviews[n]], ["flag", data.flags[n]]]) made.append(svg("rect", { class: `tick ${name}`, x: at * 100 - 0.4, width: 0.8, height: 10 }));
  return made;
}

/** The other labels' places, the one furthest above its flag threshold first. */
function others(row) {
  const found = [];
  row[ALL].forEach((value, n) => { if (n > 0 && value !== null) found.push(n); });
  return found.sort((a, b) => row[ALL][b] - data.flags[b] - (row[ALL][a] - data.flags[a]));
}

/** Set an image's source: from the page itself where it is embedded, else from its file. */
function setPicture(image, index, kind) {
  const card = printed.get(index);
  const from = card && card.querySelector(`img.${kind}`);
  const name = rows[index][kind === "scan" ? THUMB : HEAT];
  image.hidden = !(from || name);
  if (image.hidden) image.removeAttribute("src");
  else image.src = from ? from.getAttribute("src") : name;
}
