/** The answer to one picture: what it says, how sure it is, what the network got, and how to ask the same. */

import { element, percent, size } from "./dom.js";
import { curlLine, pythonLines } from "./examples.js";
import { drawBoxes, drawPixels } from "./figures.js";

const SMALL = 140; // pixels: less is shown larger than it is

// What the model says, and what that means.
const ERRORS = {
  "not an image": "This is no picture in PNG or JPEG.",
  corrupt: "The picture is damaged: parts of it cannot be decoded.",
  "too large": "The picture has too many pixels: 25 million is the most.",
  blank: "There is no digit: the paper is blank.",
  "no reading of so many digits": "There is ink, but it cannot be read as so many digits. Expect another number of digits.",
};

/** A picture on the page, and below it what comes to be known of it. */
export class Card {
  constructor(name) {
    this.name = name;
    this.answer = element("div", { class: "answer" });
    this.figures = element("div", { class: "figures" });
    this.more = element("div", { class: "more" });
    this.heading = element("h3", {}, name);
    this.root = element("article", {}, this.heading, this.answer, this.figures, this.more);
    this.wait();
    /** Addresses of pictures in the browser's memory, to be given back. */
    this.addresses = [];
  }

  /** Say that the answer is still to come. */
  wait() {
    this.stale();
    this.answer.replaceChildren(element("p", { class: "hint" }, "Asking… A server's first answer of a kind can take some seconds."));
  }

  /** Show that the answer is not of what is asked now. */
  stale() {
    this.root.setAttribute("aria-busy", "true");
  }

  /** Say why there is no answer; `again`, if given, is called by a button. */
  fail(text, again = null) {
    this.done(element("p", { class: "error" }, text));
    if (again !== null) {
      const button = element("button", { type: "button" }, "Try again");
      button.addEventListener("click", again);
      this.answer.append(button);
    }
    return text;
  }

  /** Show the picture beside what is still to come. */
  show(picture) {
    if (picture.shown === null) return;
    this.addresses.push(picture.shown.src);
    picture.shown.alt = "The picture";
    picture.shown.className = picture.width < SMALL && picture.height < SMALL ? "small" : "";
    this.figures.replaceChildren(element("figure", {}, picture.shown, element("figcaption", {}, "the picture")));
  }

  /** Show what `serving_default` says; return it in one sentence. */
  digit(outputs) {
    if (outputs.error) return this.fail(ERRORS[outputs.error] ?? outputs.error);
    const sure = outputs.confidence === undefined ? "" : percent(outputs.confidence);
    this.done(
      element("p", { class: "digit" }, String(outputs.digit)),
      element("p", { class: "sure" }, sure && `${sure} sure`),
    );
    if (Array.isArray(outputs.probabilities)) this.figures.append(bars(outputs.probabilities));
    return `${outputs.digit}${sure && `, ${sure} sure`}`;
  }

  /** Show what `numbers` says; return it in one sentence. */
  number(outputs, picture) {
    if (outputs.error) return this.fail(ERRORS[outputs.error] ?? outputs.error);
    const sure = percent(outputs.confidence);
    this.done(element("p", { class: "digit" }, outputs.text), element("p", { class: "sure" }, `${sure} sure`));
    if (picture.shown !== null) {
      const boxes = outputs.boxes.slice(0, outputs.count);
      const canvas = drawBoxes(picture, boxes, outputs.text);
      const caption = element("figcaption", {}, "where the digits are");
      this.figures.replaceChildren(element("figure", { class: "wide" }, canvas, caption));
    }
    const others = (outputs.alternatives ?? []).map((text, place) => [text, outputs.alternative_confidence[place]]);
    this.figures.append(alternatives(others.filter(([text]) => text !== "")));
    return `${[...outputs.text].join(" ")}, ${sure} sure`;
  }

  /** Show what the network got of the picture: 28 rows of 28 levels. */
  normalised(pixels) {
    const figure = element("figure", {}, drawPixels(pixels), element("figcaption", {}, "as the network saw it"));
    this.figures.firstElementChild.after(figure);
  }

  /** Say how the answer came about, and how to ask the same. */
  asked(question, picture, milliseconds) {
    const format = `${size(picture.sent.size)}${picture.redrawn ? ", drawn anew as PNG by this browser" : ""}`;
    const facts = `Answered by version ${question.version} in ${milliseconds.toFixed(1)} ms. Sent: ${format}.`;
    const file = picture.redrawn ? `${picture.name}.png` : picture.name;
    const link = element("a", { download: file, href: URL.createObjectURL(picture.sent) }, "Save the picture that was sent");
    this.addresses.push(link.href);
    const lines = [["curl", curlLine(question, file)], ["Python", pythonLines(question, file)]];
    this.more.replaceChildren(
      element("p", { class: "hint" }, facts),
      element(
        "details",
        {},
        element("summary", {}, "Ask the same by curl or Python"),
        ...lines.map(([name, text]) => code(name, text)),
        element("p", {}, link),
      ),
    );
  }

  done(...children) {
    this.root.removeAttribute("aria-busy");
    this.answer.replaceChildren(...children);
  }

  /** Take it off the page. */
  remove() {
    this.addresses.forEach((address) => URL.revokeObjectURL(address));
    this.root.remove();
  }
}

function bars(probabilities) {
  const rows = probabilities.map((probability, digit) => {
    const bar = element("span", { class: "bar" });
    bar.style.setProperty("--share", probability);
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, String(digit)),
      element("td", {}, bar),
      element("td", { class: "share" }, percent(probability)),
    );
  });
  const heads = ["digit", "bar", "probability"].map((text) => element("th", { scope: "col" }, text));
  const head = element("thead", { class: "unseen" }, element("tr", {}, ...heads));
  return element("table", { class: "bars" }, element("caption", {}, "how likely each digit is"), head, element("tbody", {}, ...rows));
}

function alternatives(readings) {
  const rows = readings.map(([text, probability]) =>
    element("tr", {}, element("td", {}, text), element("td", { class: "share" }, percent(probability))),
  );
  const heads = ["reading", "probability"].map((text) => element("th", { scope: "col" }, text));
  const head = element("thead", {}, element("tr", {}, ...heads));
  return element("table", { class: "alternatives" }, element("caption", {}, "the likeliest readings"), head, element("tbody", {}, ...rows));
}

function code(name, text) {
  const copy = element("button", { type: "button", class: "copy" }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Select the lines and copy them";
    }
  });
  const lines = element("pre", { tabindex: "0", role: "region", "aria-label": `The lines for ${name}` }, element("code", {}, text));
  return element("div", { class: "lines" }, element("h4", {}, name), lines, copy);
}
