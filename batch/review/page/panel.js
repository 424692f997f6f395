// The row in focus: its picture, what is known of it, and the buttons.

import { pictureAddress, reasonFor, seenAddress } from "./api.js";
import { Readings } from "./readings.js";
import { answerOf, decisionOf } from "./words.js";

const element = (id) => document.getElementById(id);
const SMALL_PX = 120; // pictures below are shown with their pixels as they are

export class Panel {
  constructor(source, { onLabel, onAction }) {
    this.source = source;
    this.address = "";
    this.buttons = [];
    for (let digit = 0; digit < 10; digit++) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = digit;
      button.addEventListener("click", () => onLabel(String(digit)));
      element("digits").append(button);
      this.buttons.push(button);
    }
    this.readings = new Readings(element("readings"), onLabel);
    for (const button of document.querySelectorAll("[data-action]")) {
      button.addEventListener("click", () => onAction(button.dataset.action));
    }
    for (const image of [element("large"), element("enlarged")]) {
      image.addEventListener("load", () => {
        image.classList.toggle("small", Math.max(image.naturalWidth, image.naturalHeight) < SMALL_PX);
      });
    }
    element("large").addEventListener("error", () => this.#explain());
  }

  useSeen() {
    element("seen").hidden = false;
    element("input").addEventListener("error", () => {
      element("input").removeAttribute("src");
      element("input").alt = "nothing";
    });
  }

  useTexts() {
    element("digits").hidden = true;
    element("typing").hidden = false;
  }

  show(row) {
    element("panel").hidden = !row;
    if (!row) return;
    element("path").textContent = row.path;
    element("answer").textContent = answerOf(row, this.source);
    element("decision").textContent = decisionOf(row, this.source);
    element("zoomed").textContent = row.path;
    const label = this.source.waiting.get(row.path) ?? this.source.decision(row)?.label ?? "";
    this.buttons.forEach((button, digit) => button.setAttribute("aria-pressed", label === String(digit)));
    this.readings.show(row, label);
    const address = pictureAddress(this.source.generation, row);
    if (address !== this.address) {
      this.address = address;
      if (!element("seen").hidden) {
        element("input").alt = "What the network gets of it";
        element("input").src = seenAddress(this.source.generation, row);
      }
      element("text").value = /^[0-9]+$/.test(label) ? label : (row.answer ?? "");
      if (!element("typing").hidden) element("text").select();
      element("reason").hidden = true;
      element("large").hidden = false;
      for (const image of [element("large"), element("enlarged")]) {
        image.src = address;
        image.alt = `The picture of ${row.path}`;
      }
    }
  }

  async #explain() {
    const address = this.address;
    const reason = await reasonFor(address);
    if (address !== this.address) return;
    element("reason").textContent = `No picture: ${reason}`;
    element("reason").hidden = false;
    element("large").hidden = true;
  }
}
