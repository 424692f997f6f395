// The model's other readings of a field: a button and a letter for each. Tables without readings have none.

const LETTERS = "ABCDE";

// The text of the reading that a key takes; undefined for none.
export function readingOf(row, key) {
  return row?.alternatives?.[LETTERS.indexOf(key.toUpperCase())]?.[0];
}

export class Readings {
  constructor(element, onLabel) {
    this.element = element;
    this.onLabel = onLabel;
    this.alternatives = null;
  }

  show(row, label) {
    // The buttons of a row that stays in focus stay, and one of them may have the keys.
    if (row.alternatives !== this.alternatives) {
      this.alternatives = row.alternatives;
      this.element.hidden = !row.alternatives;
      this.element.replaceChildren(...(row.alternatives ?? []).map((reading, place) => this.#button(reading, LETTERS[place])));
    }
    for (const button of this.element.children) button.setAttribute("aria-pressed", button.dataset.text === label);
  }

  #button([text, confidence], letter) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.text = text;
    const [name, sure, key] = ["strong", "span", "kbd"].map((tag) => document.createElement(tag));
    name.textContent = text;
    sure.textContent = `${(confidence * 100).toFixed(2)} %`;
    key.textContent = letter;
    button.append(name, " ", sure, " ", key);
    button.addEventListener("click", () => this.onLabel(text));
    return button;
  }
}
