// ------------------------------------------------- heatmap, look, keyboard
const help = byId("help");
const WISHES = "medcnn report";
const THEMES = ["auto", "light", "dark"];

function paint() {
  const isOn = byId("heat").getAttribute("aria-pressed") === "true";
  byId("large-heat").setAttribute("aria-pressed", String(isOn));
  for (const id of ["opacity", "large-opacity"]) byId(id).value = byId("opacity").value;
  document.documentElement.style.setProperty("--heat", isOn ? byId("opacity").value / 100 : 0);
}

function toggleHeat() {
  byId("heat").setAttribute("aria-pressed", String(byId("heat").getAttribute("aria-pressed") !== "true"));
  paint();
}

function setOpacity(value) {
  byId("opacity").value = value;
  byId("heat").setAttribute("aria-pressed", "true");
  paint();
}

/** Read, or change and keep, what this reader likes: theme, keys, going on after a mark. */
function wishes(change = {}) {
  let kept = { theme: "auto", keys: true, advance: false };
  try {
    kept = { ...kept, ...JSON.parse(localStorage.getItem(WISHES) || "{}"), ...change };
    if (Object.keys(change).length) localStorage.setItem(WISHES, JSON.stringify(kept));
  } catch {
    kept = { ...kept, ...change };
  }
  return kept;
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
  byId("theme").dataset.theme = theme;
}

const at = () => (large.open ? shown : current);
const onward = (by) => (large.open ? step(by) : move(by));
const both = (mark) => { const index = at(); if (rows[index]) { toggleMark(index, mark); afterMark(index); } };
const KEYS = {
  n: () => onward(1), j: () => onward(1), p: () => onward(-1), k: () => onward(-1),
  a: () => both("agree"), d: () => both("disagree"),
  u: () => { const index = at(); setMark(index, { mark: "" }); redraw(index); if (large.open) fillMarks(index); announce(`Image ${rows[index][RANK]}: no mark.`); },
  c: () => enlarge(at(), true),
  h: toggleHeat,
  t: () => { if (!large.open) showTable(byId("table").hidden); },
  e: exportMarks,
  "/": () => { if (!large.open) byId("search").focus(); },
  "?": () => (help.open ? help.close() : help.showModal()),
};
const LARGE_KEYS = {
  ArrowRight: () => step(1), ArrowLeft: () => step(-1),
  "+": () => zoomTo(look.zoom * 1.25), "=": () => zoomTo(look.zoom * 1.25), "-": () => zoomTo(look.zoom / 1.25), 0: resetLook,
  i: () => byId("invert").click(),
  "[": () => setWindow(look.window / 1.15, look.level), "]": () => setWindow(look.window * 1.15, look.level),
  ",": () => setWindow(look.window, look.level + 8), ".": () => setWindow(look.window, look.level - 8),
};
const CARD_KEYS = {
  ArrowRight: () => move(1), ArrowLeft: () => move(-1), ArrowDown: () => move(list.columns), ArrowUp: () => move(-list.columns),
  PageDown: () => move(list.columns * 2), PageUp: () => move(-list.columns * 2), Home: () => move(-rows.length), End: () => move(rows.length),
  Enter: () => enlarge(current),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("textarea, select, input:not([type=range], [type=checkbox], [type=file])")) {
    if (event.key === "Escape" && event.target.id === "comment") { event.preventDefault(); byId("large-title").focus(); }
    return;
  }
  const isRange = event.target.matches("input[type=range]") && event.key.startsWith("Arrow");
  const isCard = event.target.matches("[data-index]");
  let action = isCard && !large.open ? CARD_KEYS[event.key] : undefined;
  if (help.open) action = event.key === "?" ? KEYS["?"] : undefined;
  else if (!action && wishes().keys && !isRange) action = (large.open && LARGE_KEYS[event.key]) || KEYS[event.key];
  if (!action || rows.length === 0) return;
  event.preventDefault();
  action();
}

// ----------------------------------------------------------------- wiring
function wireToolbar() {
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      refresh();
    });
  }
  for (const id of ["search", "least", "least-label", "finding", "reason", "marked", "order"]) byId(id).addEventListener("input", refresh);
  byId("clear").addEventListener("click", clearFilters);
  for (const id of ["opacity", "large-opacity"]) byId(id).addEventListener("input", (event) => setOpacity(event.target.value));
  byId("heat").addEventListener("click", toggleHeat);
  byId("large-heat").addEventListener("click", toggleHeat);
  byId("view").addEventListener("click", () => showTable(byId("table").hidden));
  byId("export").addEventListener("click", exportMarks);
  byId("import").addEventListener("change", async () => {
    const [file] = byId("import").files;
    if (file) importMarks(await file.text());
    byId("import").value = "";
    refresh();
  });
  byId("keys").addEventListener("click", () => help.showModal());
  byId("theme").addEventListener("click", () => {
    const theme = THEMES[(THEMES.indexOf(byId("theme").dataset.theme) + 1) % THEMES.length];
    wishes({ theme });
    setTheme(theme);
  });
  for (const name of ["keys", "advance"]) {
    const box = byId(name === "keys" ? "keys-on" : "advance");
    box.checked = wishes()[name];
    box.addEventListener("change", () => wishes({ [name]: box.checked }));
  }
  const drops = [...document.querySelectorAll(".drop")];
  document.addEventListener("click", (event) => { for (const drop of drops) if (!drop.contains(event.target)) drop.open = false; });
  for (const drop of drops) {
    drop.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      drop.open = false;
      drop.querySelector("summary").focus();
    });
  }
  document.querySelector(".toolbar").addEventListener("submit", (event) => event.preventDefault());
}

function wireWindow() {
  let isDue = false;
  addEventListener("scroll", () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => { isDue = false; draw(); });
  }, { passive: true });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) draw();
    else { width = innerWidth; showList(); }
  });
  addEventListener("storage", (event) => {
    if (event.key !== MARKS) return;
    marks = readKept();
    tellMarks();
    for (const index of list.made.keys()) redraw(index);
    if (large.open) fillMarks(shown);
  });
  byId("cards").addEventListener("focusin", (event) => {
    const card = event.target.closest("[data-index]");
    if (card) current = Number(card.dataset.index);
  });
  byId("rows").addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-index]");
    if (row) current = Number(row.dataset.index);
  });
  document.addEventListener("keydown", onKey);
  addEventListener("beforeprint", () => { byId("model").open = false; });
  addEventListener("beforeunload", (event) => { if (!canKeep && marks.size) event.preventDefault(); });
}

document.documentElement.classList.add("scripted");
setTheme(wishes().theme);
offerFilters();
wireToolbar();
wireViewer();
wireWindow();
document.querySelector(".toolbar").hidden = false;
refresh();
tellMarks();
paint();
