// --------------------------------------------------------- enlarged image
const large = byId("large");
const stage = byId("stage");
const WHOLE = { zoom: 1, x: 0, y: 0, window: 255, level: 127.5, inverse: false };
const NEAREST = 12; // times
let shown = 0;
let look = { ...WHOLE };

/** Set brightness, contrast, zoom and place of the enlarged picture. */
function showLook() {
  const slope = (look.inverse ? -1 : 1) * (255 / look.window);
  const intercept = 0.5 - (slope * look.level) / 255;
  for (const part of document.querySelectorAll("#window feFuncR, #window feFuncG, #window feFuncB")) {
    part.setAttribute("slope", slope.toFixed(4));
    part.setAttribute("intercept", intercept.toFixed(4));
  }
  const isPlain = look.window === 255 && look.level === 127.5 && !look.inverse;
  stage.classList.toggle("windowed", !isPlain);
  stage.classList.toggle("zoomed", look.zoom > 1);
  stage.firstElementChild.style.transform = `translate(${look.x}px, ${look.y}px) scale(${look.zoom})`;
  byId("width").value = look.window;
  byId("level").value = look.level;
  byId("invert").setAttribute("aria-pressed", String(look.inverse));
  byId("look").textContent = `zoom ${look.zoom.toFixed(1)}, window ${Math.round(look.window)}, level ${Math.round(look.level)}`;
}

/** Zoom about a point of the stage, in pixels from its middle. */
function zoomTo(zoom, x = 0, y = 0) {
  const next = Math.min(Math.max(zoom, 1), NEAREST);
  const ratio = next / look.zoom;
  look.x = x - (x - look.x) * ratio;
  look.y = y - (y - look.y) * ratio;
  look.zoom = next;
  pan(0, 0);
}

/** Move the picture, but never out of the stage. */
function pan(x, y) {
  const [wide, high] = [stage.clientWidth, stage.clientHeight].map((size) => ((look.zoom - 1) * size) / 2);
  look.x = Math.min(Math.max(look.x + x, -wide), wide);
  look.y = Math.min(Math.max(look.y + y, -high), high);
  showLook();
}

function setWindow(window, level) {
  look.window = Math.min(Math.max(window, 5), 510);
  look.level = Math.min(Math.max(level, 0), 255);
  showLook();
}

function resetLook() {
  look = { ...WHOLE };
  showLook();
}

function fillText(index) {
  const row = rows[index];
  const head = large.querySelector(".head");
  head.replaceChildren(element("span", row[RANK], "rank"), element("span", WORDS[row[STATE]], `badge ${row[STATE]}`));
  if (hasScores(row) && row[SCORE] !== null) head.append(element("b", row[SCORE].toFixed(3), "score"));
  large.querySelector(".reason").textContent = steady(row[REASON]);
  const found = element("dl", "", "findings");
  if (hasScores(row)) {
    for (const n of [0, ...others(row)]) {
      if (row[ALL][n] === null) continue;
      const pair = document.createElement("div");
      const numbers = document.createElement("dd");
      numbers.append(bar(row[ALL][n], n), element("b", row[ALL][n].toFixed(3)), element("span", `flag from ${data.flags[n].toFixed(2)}`));
      pair.append(element("dt", data.labels[n]), numbers);
      found.append(pair);
    }
  }
  large.querySelector(".findings").replaceWith(found);
  large.querySelector(".file").textContent = steady(row[PATH]);
  const facts = data.groups.flatMap((group, n) => (row[GROUPS][n] === "" ? [] : [[group.name, group.values[row[GROUPS][n]]]]));
  const ids = row[UIDS] || [];
  if (row[PATIENT]) facts.push(["Patient", row[PATIENT]]);
  ["Study", "Series", "Image"].forEach((name, n) => { if (ids[n]) facts.push([name, ids[n]]); });
  large.querySelector(".facts").replaceChildren(...facts.map(([name, value]) => {
    const pair = document.createElement("div");
    pair.append(element("dt", name), element("dd", value));
    return pair;
  }));
}

function fillMarks(index) {
  const row = rows[index];
  const one = markOf(index);
  for (const mark of ["agree", "disagree"]) {
    const press = byId(mark);
    press.setAttribute("aria-pressed", String(one.mark === mark));
    press.querySelector("span").textContent = meaningOf(row, mark);
  }
  if (document.activeElement !== byId("comment")) byId("comment").value = one.comment;
}

function enlarge(index, isToComment = false) {
  const isSame = large.open && shown === index;
  shown = index;
  goTo(index, false);
  for (const kind of ["scan", "heat"]) setPicture(stage.querySelector(`img.${kind}`), index, kind);
  stage.classList.toggle("none", !rows[index][THUMB]);
  if (!isSame) look = { ...look, zoom: 1, x: 0, y: 0 };
  byId("comment").blur();
  fillText(index);
  fillMarks(index);
  const position = matching.indexOf(index);
  byId("place").textContent = position < 0 ? "" : `${count(position + 1)} of ${count(matching.length)}`;
  byId("previous").disabled = position <= 0;
  byId("next").disabled = position < 0 || position >= matching.length - 1;
  if (!large.open) large.showModal();
  showLook();
  if (isToComment) byId("comment").focus();
  else if (!isSame) byId("large-title").focus();
}

function step(by) {
  const next = matching[matching.indexOf(shown) + by];
  if (next !== undefined) enlarge(next);
}

/** What follows a mark: the picture of it, and the next image if that is wished. */
function afterMark(index) {
  redraw(index);
  if (large.open && shown === index) fillMarks(index);
  const isMarked = markOf(index).mark !== "";
  if (!byId("advance").checked || !isMarked) return;
  if (large.open) step(1);
  else move(1);
}

function saveComment() {
  const text = byId("comment").value.trim();
  if (text === markOf(shown).comment) return;
  setMark(shown, { comment: text });
  redraw(shown);
}

function wireViewer() {
  let held = null, from = [0, 0];
  stage.addEventListener("pointerdown", (event) => {
    held = event.button === 2 || event.shiftKey ? "window" : "pan";
    from = [event.clientX, event.clientY];
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    const [x, y] = [event.clientX - from[0], event.clientY - from[1]];
    from = [event.clientX, event.clientY];
    if (held === "pan") pan(x, y);
    else if (held === "window") setWindow(look.window + x, look.level - y);
  });
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, () => { held = null; });
  for (const name of ["contextmenu", "dragstart"]) stage.addEventListener(name, (event) => event.preventDefault());
  stage.addEventListener("dblclick", resetLook);
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoomTo(look.zoom * Math.exp(-event.deltaY / 400), event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2);
  }, { passive: false });
  byId("width").addEventListener("input", () => setWindow(Number(byId("width").value), look.level));
  byId("level").addEventListener("input", () => setWindow(look.window, Number(byId("level").value)));
  byId("invert").addEventListener("click", () => { look.inverse = !look.inverse; showLook(); });
  byId("nearer").addEventListener("click", () => zoomTo(look.zoom * 1.5));
  byId("further").addEventListener("click", () => zoomTo(look.zoom / 1.5));
  byId("reset").addEventListener("click", resetLook);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  for (const mark of ["agree", "disagree"]) byId(mark).addEventListener("click", () => { toggleMark(shown, mark); afterMark(shown); });
  byId("comment").addEventListener("change", saveComment);
  large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
  large.addEventListener("close", () => { saveComment(); goTo(shown); });
}
