// digits-review's page: a wall of rows, the row in focus, one key for each decision.

import { get, Gone } from "./api.js";
import { Deciding } from "./deciding.js";
import { isFiltered, prepareFilter, query, renewFilter } from "./filters.js";
import { Panel } from "./panel.js";
import { readingOf } from "./readings.js";
import { Source } from "./source.js";
import { Wall } from "./wall.js";
import { nameOf } from "./words.js";

const element = (id) => document.getElementById(id);
const LOOK_MS = 1000;
const KEYS = { n: "none", u: "unsure", s: "skip", z: "undo", Backspace: "undo", " ": "zoom", Enter: "correct" };

let table;
let since = 0;
let opened = 0; // rows of the table when the view was opened
let isMoving = false;
let byPointer = false; // what was used last, a pointer or keys

const source = new Source({ onRows: redraw, onError: failed });
const wall = new Wall(element("wall"), element("tiles"), source, { onFocus: showFocus, onZoom: zoom });
const panel = new Panel(source, { onLabel: decide, onAction: act });
const deciding = new Deciding(source, {
  onChange: redraw,
  onSaved: say,
  onLost: (decision, text) => warn(text, decision.place),
  onConflict: (decision, other) => {
    const label = other.label ? nameOf(other.label) : "undecided";
    warn(`Not saved: ${other.by} has meanwhile set ${decision.row.path} to ${label}. Decide again to change it.`, decision.place);
  },
  onGone: reopen,
});

function say(text) {
  element("status").textContent = text;
}

function warn(text, place) {
  const [words, button] = element("fault").children;
  words.textContent = text;
  button.hidden = place === undefined;
  button.onclick = () => {
    element("fault").hidden = true;
    wall.focus(place);
    takeFocus();
  };
  element("fault").hidden = false;
}

function failed(error) {
  if (error instanceof Gone) reopen();
  else warn(error.message);
}

function redraw() {
  wall.draw();
  if (source.row(wall.place)) panel.show(source.row(wall.place));
}

async function showFocus(place) {
  const row = source.row(place) ?? (await source.at(place).catch(failed));
  if (place === wall.place && row) panel.show(row);
  showParts();
}

function showParts() {
  element("parts").hidden = wall.parts < 2;
  element("earlier").disabled = wall.part === 0;
  element("later").disabled = wall.part >= wall.parts - 1;
  const last = wall.first + wall.size;
  element("part").textContent = `rows ${(wall.first + 1).toLocaleString("en")} to ${last.toLocaleString("en")} of ${source.count.toLocaleString("en")}`;
}

// What an audit says, once all its rows are decided.
function showResult(lines) {
  const text = lines.join("\n");
  element("result").hidden = !text;
  if (element("lines").textContent !== text) element("lines").textContent = text;
}

function showProgress({ rows, decided, notice, result = [] }) {
  showResult(result);
  const more = rows - opened;
  if (!notice && opened && more > 0) notice = `The table has ${more.toLocaleString("en")} new rows: filter anew to see them.`;
  element("progress").textContent = `${decided.toLocaleString("en")} of ${rows.toLocaleString("en")} decided`;
  element("notice").hidden = !notice;
  if (element("notice").textContent !== notice) element("notice").textContent = notice;
}

// Keys go to the wall, or to the text that is typed.
function takeFocus() {
  (table.kind === "digits" ? element("wall") : element("text")).focus({ preventScroll: true });
}

// The place of the next row from a start on that nobody has decided, or null. The server knows what is not at hand here,
// but not yet what is on its way to the disk.
async function findOpen(start) {
  const met = new Set();
  let place = start;
  for (;;) {
    while (place < source.count && source.row(place) && !source.isOpen(source.row(place))) place++;
    if (place < source.count && source.row(place)) return place;
    const { place: found } = await get("/api/next", { view: source.view, start: Math.min(place, source.count) });
    if (found === null || met.has(found)) return null;
    met.add(found);
    const row = await source.at(found);
    if (!row) return null;
    if (source.isOpen(row)) return found;
    place = found + 1;
  }
}

// Nothing is awaited where the next row is at hand: a key that follows at once is for that row.
function goOn(start) {
  let place = start;
  while (place < source.count && source.row(place) && !source.isOpen(source.row(place))) place++;
  if (place < source.count && source.row(place)) wall.focus(place);
  else {
    isMoving = true;
    findOpen(place)
      .then((found) => (found === null ? say("All rows of this selection are decided.") : wall.focus(found)))
      .catch(failed)
      .finally(() => (isMoving = false));
  }
}

function decide(label) {
  const row = source.row(wall.place);
  // A row that is not in sight yet is not meant.
  if (!row || isMoving) return;
  element("fault").hidden = true;
  deciding.decide(row, wall.place, label);
  goOn(wall.place + 1);
  takeFocus();
}

function act(action) {
  const row = source.row(wall.place);
  if (action === "none" || action === "unsure") decide(action);
  else if (action === "correct") confirmAnswer(row);
  else if (action === "skip") goOn(wall.place + 1);
  else if (action === "zoom") zoom();
  else if (action === "undo") {
    const place = deciding.undo();
    if (place === null) say("There is nothing to undo.");
    else wall.focus(place);
  }
  if (action !== "zoom") takeFocus();
}

function confirmAnswer(row) {
  if (!row) return;
  const label = table.kind === "digits" ? row.answer : element("text").value.trim();
  if (/^[0-9]+$/.test(label)) decide(label);
  else if (table.is_blind && table.kind === "digits") warn("In an audit, press the digit that you see.");
  else warn(table.kind === "digits" ? "This row has no answer: press a digit." : "Type digits alone, or press N for no digit.");
}

function zoom() {
  if (element("zoom").open) element("zoom").close();
  else if (source.row(wall.place)) element("zoom").showModal();
}

function move(key) {
  const steps = {
    ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wall.columns, ArrowDown: wall.columns, PageUp: -wall.page, PageDown: wall.page,
    Home: -source.count, End: source.count,
  };
  if (!(key in steps)) return false;
  const place = wall.place + steps[key];
  // Up and down stay in their column.
  const isBeyond = (place < 0 || place >= source.count) && key.startsWith("Arrow");
  if (!isBeyond) wall.focus(place);
  return true;
}

document.addEventListener("pointerdown", () => (byPointer = true), { capture: true });
document.addEventListener("keydown", () => (byPointer = false), { capture: true });

document.addEventListener("keydown", (event) => {
  const isText = event.target === element("text");
  const isControl = event.target.matches("input, select, textarea, summary") && !isText;
  const isUndo = (event.ctrlKey || event.metaKey) && event.key === "z" && !isText;
  if (!table || isControl || ((event.ctrlKey || event.metaKey || event.altKey) && !isUndo)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // A button has these for itself; so has the text that is typed.
  if (event.target.matches("button") && (key === "Enter" || key === " ")) return;
  if (isText && ["ArrowLeft", "ArrowRight", "Home", "End", "Backspace"].includes(key)) return;
  if (event.repeat && !key.startsWith("Arrow") && !key.startsWith("Page")) return;
  if (isUndo) act("undo");
  else if (/^[0-9]$/.test(key)) {
    if (table.kind !== "digits") return;
    decide(key);
  } else if (readingOf(source.row(wall.place), key)) decide(readingOf(source.row(wall.place), key));
  else if (key in KEYS) act(KEYS[key]);
  else if (!move(key)) return;
  event.preventDefault();
});

element("earlier").addEventListener("click", () => wall.focus(wall.first - 1));
element("later").addEventListener("click", () => wall.focus(wall.first + wall.size));
element("typing").addEventListener("submit", (event) => event.preventDefault());
element("zoom").addEventListener("close", takeFocus);

async function reopen() {
  try {
    const view = await get("/api/view", query());
    if (source.generation && view.generation !== source.generation) {
      since = 0;
      table = await get("/api/table");
      renewFilter(table);
    }
    source.open(view);
    opened = view.of;
    wall.open();
    element("empty").hidden = source.count > 0;
    element("wall").hidden = !source.count;
    element("filtered").textContent = isFiltered() ? `: ${source.count.toLocaleString("en")} rows` : "";
    if (!source.count) panel.show(null);
    else {
      await source.at(0);
      wall.focus((await findOpen(0)) ?? 0);
    }
    showParts();
  } catch (error) {
    failed(error);
  }
}

async function look() {
  try {
    const found = await get("/api/changes", { since });
    if (element("fault").dataset.silent) {
      delete element("fault").dataset.silent;
      element("fault").hidden = true;
    }
    if (source.generation && found.generation !== source.generation) await reopen();
    else {
      since = found.number;
      const current = source.row(wall.place);
      const theirs = found.decisions.find((one) => one.path === current?.path && one.number > (source.known.get(one.path)?.number ?? 0));
      source.learn(found.decisions);
      if (theirs && !source.waiting.has(theirs.path)) say(`${theirs.by} has just set this row to ${nameOf(theirs.label) || "undecided"}.`);
      if (found.decisions.length) redraw();
    }
    showProgress(found);
  } catch (error) {
    element("fault").dataset.silent = "yes";
    warn(error.message);
  }
  setTimeout(look, LOOK_MS);
}

// In an audit nothing tells the table's answer before a person has given theirs: no filter, nothing to agree with.
function useBlind() {
  element("name").textContent = `Audit of ${table.name}`;
  element("filters").hidden = true;
  document.querySelector('[data-action="correct"]').hidden = true;
  element("wall").setAttribute("aria-label", "Rows of the sample, in random order");
}

async function start() {
  try {
    table = await get("/api/table");
  } catch (error) {
    warn(error.message);
    return;
  }
  since = table.number;
  document.title = `${table.name} - digits-review`;
  element("name").textContent = table.name;
  element("filters").open = matchMedia("(min-width: 1000px)").matches;
  showProgress(table);
  prepareFilter(table, async () => {
    await reopen();
    // Who changes the filter by keys may not be done with it.
    if (byPointer) takeFocus();
  });
  if (table.sees) panel.useSeen();
  if (table.kind !== "digits") {
    panel.useTexts();
    wall.useWideTiles();
  }
  if (table.is_blind) useBlind();
  const enter = table.is_blind ? "" : " Enter: the answer is correct.";
  const digits = table.kind === "digits" ? `0 to 9: set the digit.${enter}` : "Enter: take the text as it stands.";
  element("keys").textContent = `${digits} Arrow keys move. Decisions are kept in ${table.decisions}, as ${table.by}.`;
  await reopen();
  takeFocus();
  look();
}

start();
