/** The page: what people do, and where the answers go. */

import { Asking } from "./asking.js";
import { Card } from "./card.js";
import { byId, element } from "./dom.js";
import { DEFAULT_MODEL, Model } from "./model.js";
import { Pad } from "./pad.js";

const MOST_PICTURES = 100; // on the page

const parameters = new URLSearchParams(location.search);
const model = new Model(parameters.get("model") || DEFAULT_MODEL, parameters.get("version"), showModel);
const asking = new Asking(model, (text) => byId("said").append(element("span", {}, `${text} `)));
const pad = new Pad(byId("pad"), drawingChanged, askDrawing);
const expected = byId("expected").querySelector("input");
let kind = "digit";
let shown = "";
let drawing = null;
let chosen = [];
let waiting = Promise.resolve();

function showModel() {
  // What stays as it is must not be read out again, nor close a list that is open.
  const now = JSON.stringify([model.says, model.versions]);
  if (now === shown) return;
  shown = now;
  byId("state").textContent = model.says;
  byId("state").dataset.ready = model.ready;
  byId("kind").hidden = !(model.digit && model.number);
  if (model.ready && !model[kind]) setKind(model.digit ? "digit" : "number");
  const choice = byId("versions");
  choice.hidden = model.versions.length < 2;
  choice.firstElementChild.replaceChildren(
    element("option", { value: "", selected: model.wanted === null }, "newest"),
    ...model.versions.map((each) => element("option", { value: each, selected: each === model.wanted }, each)),
  );
}

function setKind(wanted) {
  kind = wanted;
  byId("kind").querySelector(`[value=${wanted}]`).checked = true;
  byId("expected").hidden = kind !== "number";
  pad.setKind(kind);
  if (!pad.isEmpty) askDrawing();
}

function drawingChanged() {
  byId("undo").disabled = byId("clear").disabled = pad.isEmpty;
  if (pad.isEmpty) askDrawing();
  else drawing?.stale(); // until the answer to what is drawn now is there
}

async function askDrawing() {
  drawing?.remove();
  if (pad.isEmpty) {
    drawing = null;
    byId("drawing").replaceChildren(element("p", { class: "hint" }, "Nothing is drawn yet."));
    return;
  }
  const card = (drawing = new Card("drawing.png"));
  byId("drawing").replaceChildren(card.root);
  await asking.ask(await pad.toFile(card.name), card, kind, digitsExpected());
}

function digitsExpected() {
  return kind === "number" && expected.validity.valid ? Number(expected.value) : 0;
}

/** Ask about files, one after the other, the last ones on top. */
function choose(files) {
  const taken = [...files].slice(0, MOST_PICTURES);
  if (taken.length === 0) return;
  byId("chosen").hidden = false;
  const cards = taken.map((file) => new Card(file.name));
  byId("answers").prepend(...cards.map((card) => element("li", {}, card.root)));
  chosen = [...cards, ...chosen];
  for (const card of chosen.splice(MOST_PICTURES)) forget(card);
  const left = files.length - taken.length;
  byId("progress").textContent = left ? `${left} pictures were left out: ${MOST_PICTURES} at a time. digits-batch reads folders of any size.` : "";
  const [kindNow, expectedNow] = [kind, digitsExpected()];
  taken.forEach((file, place) => {
    waiting = waiting.then(() => {
      // Those that were removed meanwhile are not asked about.
      if (chosen.includes(cards[place])) return asking.ask(file, cards[place], kindNow, expectedNow);
    });
  });
}

function forget(card) {
  const item = card.root.parentElement;
  card.remove();
  item.remove();
}

byId("model").elements.model.value = model.name;
byId("model").addEventListener("submit", (event) => {
  event.preventDefault();
  location.search = new URLSearchParams({ model: event.target.elements.model.value.trim() });
});
byId("versions").addEventListener("change", (event) => {
  location.search = new URLSearchParams({ model: model.name, ...(event.target.value && { version: event.target.value }) });
});
byId("kind").addEventListener("change", (event) => {
  if (event.target.name === "kind") setKind(event.target.value);
  else if (kind === "number" && !pad.isEmpty) askDrawing();
});
byId("undo").addEventListener("click", () => pad.undo());
byId("clear").addEventListener("click", () => pad.clear());
byId("forget").addEventListener("click", () => {
  chosen.splice(0).forEach(forget);
  byId("chosen").hidden = true;
  byId("files").focus();
});
byId("files").addEventListener("change", (event) => {
  choose([...event.target.files]);
  event.target.value = ""; // the same file may be chosen again
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length === 0) return;
  event.preventDefault();
  choose(event.clipboardData.files);
});
document.addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  byId("drop").hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) byId("drop").hidden = true;
});
document.addEventListener("drop", (event) => {
  byId("drop").hidden = true;
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  choose(event.dataTransfer.files);
});

model.look();
