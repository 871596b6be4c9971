"use strict";
(() => {
  // Nothing here writes HTML: file and patient names are only ever text.
  const RANK = 0, PATH = 1, STATE = 2, SCORE = 3, REASON = 4, PATIENT = 5, ALL = 6, THUMB = 7, HEAT = 8;
  const WORDS = { flag: "Flag", review: "Review", "no-flag": "No flag", out_of_scope: "Out of scope", error: "Not read" };
  const CHUNK = 200;
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const cards = new Map([...document.querySelectorAll(".card")].map((card) => [Number(card.dataset.index), card]));
  const chips = [...document.querySelectorAll(".chip")];
  const texts = data.rows.map((row) => `${row[PATH]}\n${row[PATIENT]}\n${row[REASON]}`.toLowerCase());
  const hasScores = (row) => row[STATE] !== "out_of_scope" && row[STATE] !== "error";
  let matching = [];
  let listed = 0;

  // ------------------------------------------------------------- filters
  function findMatching() {
    const states = new Set(chips.filter((c) => c.ariaPressed === "true").map((c) => c.dataset.state));
    const words = byId("search").value.trim().toLowerCase();
    const least = Number(byId("least").value);
    const label = byId("least-label").selectedIndex;
    byId("least-value").value = least.toFixed(2);
    matching = [];
    data.rows.forEach((row, index) => {
      const score = hasScores(row) ? row[ALL][label] : null;
      if ((states.size === 0 || states.has(row[STATE])) && (least === 0 || (score !== null && score >= least)) && texts[index].includes(words)) matching.push(index);
    });
  }

  function refresh() {
    findMatching();
    const wanted = new Set(matching);
    let visible = 0;
    for (const [index, card] of cards) {
      card.hidden = !wanted.has(index);
      if (!card.hidden) visible += 1;
    }
    const total = data.rows.length.toLocaleString("en");
    const beyond = matching.length - visible;
    const inCards = `${visible.toLocaleString("en")} of ${total} images` + (beyond ? `; ${beyond.toLocaleString("en")} more match: see the table` : "");
    byId("shown").textContent = byId("table").hidden ? inCards : `${matching.length.toLocaleString("en")} of ${total} images`;
    byId("rows").replaceChildren();
    listed = 0;
    if (!byId("table").hidden) listMore();
  }

  // --------------------------------------------------------------- table
  const element = (name, text = "", kind = "") => {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };

  function highest(row) {
    if (!hasScores(row)) return row[REASON];
    let best = -1;
    row[ALL].forEach((value, n) => { if (n > 0 && value !== null && (best < 0 || value > row[ALL][best])) best = n; });
    return best < 0 ? "" : `${data.labels[best]} ${row[ALL][best].toFixed(2)}`;
  }

  function line(index) {
    const row = data.rows[index];
    const tr = document.createElement("tr");
    const state = document.createElement("td");
    state.append(element("span", WORDS[row[STATE]], `badge ${row[STATE]}`));
    const file = element("td", "", "path");
    if (row[THUMB]) {
      const open = element("button", row[PATH]);
      open.type = "button";
      open.addEventListener("click", () => enlarge(index));
      file.append(open);
    } else file.textContent = row[PATH];
    const score = hasScores(row) && row[SCORE] !== null ? row[SCORE].toFixed(3) : "";
    tr.append(element("td", row[RANK]), state, element("td", score), file, element("td", row[PATIENT]), element("td", highest(row)));
    return tr;
  }

  function listMore() {
    byId("rows").append(...matching.slice(listed, listed + CHUNK).map(line));
    listed = Math.min(listed + CHUNK, matching.length);
    byId("more").hidden = listed >= matching.length;
  }

  function showTable(isTable) {
    byId("view").ariaPressed = String(isTable);
    byId("view").textContent = isTable ? "Cards" : "Table";
    byId("table").hidden = !isTable;
    byId("cards").hidden = isTable;
    if (byId("rest")) byId("rest").hidden = isTable;
    refresh();
  }

  // ------------------------------------------------------------- heatmap
  function paint() {
    const isOn = byId("heat").ariaPressed === "true";
    byId("large-heat").ariaPressed = String(isOn);
    byId("heat").textContent = isOn ? "Heatmap on" : "Heatmap off";
    document.documentElement.style.setProperty("--heat", isOn ? byId("opacity").value / 100 : 0);
  }

  function toggleHeat() {
    byId("heat").ariaPressed = String(byId("heat").ariaPressed !== "true");
    paint();
  }

  // --------------------------------------------------------------- large
  const large = byId("large");
  let current = 0;

  function copyPicture(index) {
    const row = data.rows[index];
    const card = cards.get(index);
    for (const [kind, name] of [["scan", row[THUMB]], ["heat", row[HEAT]]]) {
      const from = card && card.querySelector(`img.${kind}`);
      const to = large.querySelector(`img.${kind}`);
      to.hidden = !(from || name);
      if (from || name) to.src = from ? from.src : name;
      else to.removeAttribute("src");
    }
  }

  function enlarge(index) {
    const row = data.rows[index];
    current = index;
    copyPicture(index);
    const head = large.querySelector(".head");
    head.replaceChildren(element("span", row[RANK], "rank"), element("span", WORDS[row[STATE]], `badge ${row[STATE]}`));
    large.querySelector(".reason").textContent = row[REASON];
    const list = large.querySelector(".findings");
    list.replaceChildren();
    if (hasScores(row)) {
      row[ALL].forEach((value, n) => {
        if (value === null) return;
        const pair = document.createElement("div");
        const numbers = document.createElement("dd");
        numbers.append(element("b", value.toFixed(3)), element("span", `flag from ${data.flags[n].toFixed(2)}`));
        pair.append(element("dt", data.labels[n]), numbers);
        list.append(pair);
      });
    }
    large.querySelector(".file").textContent = row[PATIENT] ? `${row[PATH]}, patient ${row[PATIENT]}` : row[PATH];
    if (!large.open) large.showModal();
  }

  function step(by) {
    const pictured = matching.filter((index) => data.rows[index][THUMB]);
    const next = pictured[pictured.indexOf(current) + by];
    if (next !== undefined) enlarge(next);
  }

  // -------------------------------------------------------------- wiring
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.ariaPressed = String(chip.ariaPressed !== "true");
      refresh();
    });
  }
  for (const id of ["search", "least", "least-label"]) byId(id).addEventListener("input", refresh);
  byId("opacity").addEventListener("input", () => {
    byId("heat").ariaPressed = "true";
    paint();
  });
  byId("heat").addEventListener("click", toggleHeat);
  byId("large-heat").addEventListener("click", toggleHeat);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("view").addEventListener("click", () => showTable(byId("table").hidden));
  byId("more").addEventListener("click", listMore);
  byId("cards").addEventListener("click", (event) => {
    const button = event.target.closest("button.picture");
    if (button) enlarge(Number(button.closest(".card").dataset.index));
  });
  large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
  document.querySelector(".toolbar").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (large.open && event.key === "ArrowRight") step(1);
    else if (large.open && event.key === "ArrowLeft") step(-1);
    else if (event.target.closest("input[type=search], select")) return;
    else if (event.key === "h") toggleHeat();
    else if (event.key === "t" && !large.open) showTable(byId("table").hidden);
  });
  window.addEventListener("beforeprint", () => { document.getElementById("model").open = true; });
  document.querySelector(".toolbar").hidden = false;
  refresh();
  paint();
})();
