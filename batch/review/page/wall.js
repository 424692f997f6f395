// The wall of thumbnails: only those in sight, and a few around them, are in the document.

import { pictureAddress } from "./api.js";
import { describe, markOf, saidOf } from "./words.js";

const PART = 100000; // rows in one wall: browsers do not know elements of any height
const AROUND = 2; // lines above and below what is in sight
const CAPTION_PX = 40; // the caption, borders and gaps
const FAST_PX_PER_MS = 4; // a wall that moves faster shows no pictures: nobody sees them
const REST_MS = 100; // after the last movement

export class Wall {
  constructor(element, tiles, source, { onFocus, onZoom }) {
    this.element = element;
    this.tiles = tiles;
    this.source = source;
    this.onFocus = onFocus;
    this.place = 0;
    this.part = 0;
    this.shown = new Map(); // tiles by place
    this.spare = [];
    this.made = 0;
    this.shape = { least: 112, height: (width) => width };
    this.moved = { top: 0, time: 0 };
    this.isFast = false;
    element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(element);
    const placeOf = (event) => event.target.closest(".tile")?.place;
    tiles.addEventListener("click", (event) => {
      const place = placeOf(event);
      if (place !== undefined) this.focus(place);
    });
    tiles.addEventListener("dblclick", (event) => placeOf(event) !== undefined && onZoom());
  }

  get first() {
    return this.part * PART;
  }

  get size() {
    return Math.max(0, Math.min(PART, this.source.count - this.first));
  }

  get parts() {
    return Math.ceil(this.source.count / PART);
  }

  // Fields of several digits are wide.
  useWideTiles() {
    this.shape = { least: 220, height: (width) => Math.round(width * 0.4) };
    this.#resized();
  }

  // Begin with a new view.
  open() {
    for (const place of [...this.shown.keys()]) this.#drop(place);
    this.place = 0;
    this.part = 0;
    this.element.scrollTop = 0;
    this.#resized();
  }

  focus(place) {
    if (!this.source.count) return;
    this.place = Math.min(Math.max(place, 0), this.source.count - 1);
    const part = Math.floor(this.place / PART);
    if (part !== this.part) this.showPart(part);
    this.#reveal();
    this.draw();
    this.onFocus(this.place);
  }

  // Scroll until the row in focus is in sight, and the line below it, so that what comes next is loaded.
  #reveal() {
    const top = Math.floor((this.place - this.first) / this.columns) * this.height;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + 2 * this.height > scrollTop + clientHeight) {
      this.element.scrollTop = Math.min(top, top + 2 * this.height - clientHeight);
    }
  }

  showPart(part) {
    this.part = part;
    for (const place of [...this.shown.keys()]) this.#drop(place);
    this.element.scrollTop = 0;
    this.#resized();
  }

  // Lines of a page, for PageUp and PageDown.
  get page() {
    return Math.max(1, Math.floor(this.element.clientHeight / this.height)) * this.columns;
  }

  #resized() {
    const width = this.element.clientWidth;
    const before = this.columns;
    const middle = this.element.scrollTop / (this.height || 1);
    this.columns = Math.max(1, Math.floor(width / this.shape.least));
    this.width = Math.floor(width / this.columns);
    this.height = this.shape.height(this.width) + CAPTION_PX;
    this.tiles.style.height = `${Math.ceil(this.size / this.columns) * this.height}px`;
    // The rows in sight stay in sight, and so does the one in focus.
    if (before && before !== this.columns) this.element.scrollTop = ((middle * before) / this.columns) * this.height;
    if (this.shown.has(this.place)) this.#reveal();
    for (const [place, tile] of this.shown) this.#put(tile, place);
    this.draw();
  }

  #scrolled() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame((time) => {
      this.drawing = 0;
      const top = this.element.scrollTop;
      this.isFast = Math.abs(top - this.moved.top) > FAST_PX_PER_MS * Math.max(1, time - this.moved.time);
      this.moved = { top, time };
      this.draw();
      clearTimeout(this.resting);
      if (this.isFast) this.resting = setTimeout(() => this.#rest(), REST_MS);
    });
  }

  #rest() {
    this.isFast = false;
    this.draw();
  }

  draw() {
    const { scrollTop, clientHeight } = this.element;
    const top = Math.max(0, Math.floor(scrollTop / this.height) - AROUND);
    const bottom = Math.ceil((scrollTop + clientHeight) / this.height) + AROUND;
    const first = this.first + top * this.columns;
    const last = this.first + Math.min(bottom * this.columns, this.size) - 1;
    for (const place of [...this.shown.keys()]) if (place < first || place > last) this.#drop(place);
    let lacks = false;
    for (let place = first; place <= last; place++) {
      const tile = this.shown.get(place) ?? this.#take(place);
      this.#fill(tile, place);
      lacks ||= !tile.row;
    }
    if (lacks && !this.isFast) this.source.want(first, last);
    const current = this.shown.get(this.place);
    if (current) this.element.setAttribute("aria-activedescendant", current.id);
    else this.element.removeAttribute("aria-activedescendant");
  }

  #take(place) {
    const tile = this.spare.pop() ?? this.#make();
    this.shown.set(place, tile);
    this.#put(tile, place);
    tile.hidden = false;
    return tile;
  }

  #drop(place) {
    const tile = this.shown.get(place);
    this.shown.delete(place);
    this.spare.push(tile);
    tile.hidden = true;
    tile.place = undefined;
    tile.row = null;
    tile.text = "";
    this.#forget(tile);
  }

  #make() {
    const tile = document.createElement("div");
    tile.className = "tile";
    tile.id = `tile-${this.made++}`;
    tile.setAttribute("role", "option");
    const card = tile.appendChild(document.createElement("div"));
    const frame = card.appendChild(document.createElement("div"));
    frame.className = "frame";
    const caption = card.appendChild(document.createElement("div"));
    caption.className = "caption";
    tile.image = document.createElement("img");
    tile.image.alt = "";
    tile.image.decoding = "async";
    tile.image.draggable = false;
    tile.image.addEventListener("error", () => tile.image.hasAttribute("src") && frame.replaceChildren("no picture"));
    tile.frame = frame;
    tile.said = caption.appendChild(document.createElement("span"));
    tile.sure = caption.appendChild(document.createElement("span"));
    tile.sure.className = "sure";
    tile.mark = card.appendChild(document.createElement("span"));
    this.tiles.append(tile);
    return tile;
  }

  #put(tile, place) {
    const at = place - this.first;
    const x = (at % this.columns) * this.width;
    const y = Math.floor(at / this.columns) * this.height;
    tile.place = place;
    tile.style.width = `${this.width}px`;
    tile.style.height = `${this.height}px`;
    tile.style.transform = `translate(${x}px, ${y}px)`;
  }

  #fill(tile, place) {
    const isCurrent = String(place === this.place);
    if (tile.getAttribute("aria-selected") !== isCurrent) tile.setAttribute("aria-selected", isCurrent);
    const row = this.source.row(place);
    if (!row) return;
    const text = describe(row, this.source);
    if (tile.row !== row || tile.text !== text) {
      tile.row = row;
      tile.text = text;
      tile.setAttribute("aria-label", text);
      tile.setAttribute("aria-posinset", place + 1);
      tile.setAttribute("aria-setsize", this.source.count);
      tile.title = row.path;
      tile.said.className = row.error ? "is-error" : "said";
      tile.said.textContent = row.error || (saidOf(row, this.source) ?? "");
      tile.sure.textContent = row.error || row.confidence === null ? "" : `${(row.confidence * 100).toFixed(1)} %`;
      const { sign, kind } = markOf(row, this.source);
      tile.mark.className = `mark ${kind}`;
      tile.mark.textContent = sign;
      tile.mark.hidden = !sign;
    }
    const address = pictureAddress(this.source.generation, row);
    if (!this.isFast && tile.address !== address) {
      this.#forget(tile);
      tile.address = address;
      tile.image.src = address;
      tile.frame.replaceChildren(tile.image);
    }
  }

  // What is not in sight any more need not be fetched to its end.
  #forget(tile) {
    tile.address = "";
    tile.image.removeAttribute("src");
    tile.frame.replaceChildren();
  }
}
