/** Paper to draw on by mouse, pen or finger. */

import { toPng } from "./picture.js";

const HEIGHT = 400; // pixels of the picture that is sent, however large the paper is on the screen
const WIDTHS = { digit: 400, number: 1200 };
const LINE = 26;
const PAUSE_MS = 500; // without a stroke, and the drawing is taken to be done

export class Pad {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {function()} changed  told when a stroke begins, and when something is taken back
   * @param {function()} paused  told when nothing has been drawn for a while
   */
  constructor(canvas, changed, paused) {
    this.canvas = canvas;
    this.changed = changed;
    this.paused = paused;
    this.strokes = [];
    this.timer = 0;
    /** The pointer that draws: a palm on the screen is another. */
    this.pointer = null;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.end(event));
    this.setKind("digit");
  }

  get isEmpty() {
    return this.strokes.length === 0;
  }

  /** Paper for one digit or for a number; what is drawn stays where it is. */
  setKind(kind) {
    this.canvas.width = WIDTHS[kind];
    this.canvas.height = HEIGHT;
    this.canvas.dataset.kind = kind;
    this.redraw();
  }

  begin(event) {
    if (this.pointer !== null || event.button !== 0) return;
    event.preventDefault();
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    clearTimeout(this.timer);
    this.strokes.push([this.place(event)]);
    this.redraw();
    this.changed();
  }

  go(event) {
    if (event.pointerId !== this.pointer) return;
    // A browser tells only where a pointer is at each frame, and keeps for us where it was in between.
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) this.strokes.at(-1).push(this.place(each));
    this.redraw();
  }

  end(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.wait();
  }

  undo() {
    this.take(this.strokes.slice(0, -1));
  }

  clear() {
    this.take([]);
  }

  take(strokes) {
    this.strokes = strokes;
    this.redraw();
    this.changed();
    if (!this.isEmpty) this.wait();
  }

  wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.paused, PAUSE_MS);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.canvas.width,
      ((event.clientY - box.top) / box.height) * this.canvas.height,
    ];
  }

  redraw() {
    const context = this.canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.strokeStyle = context.fillStyle = "black";
    context.lineWidth = LINE;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.strokes) {
      context.beginPath();
      context.moveTo(...stroke[0]);
      // A stroke of one place is a dot.
      for (const place of stroke.length > 1 ? stroke.slice(1) : stroke) context.lineTo(...place);
      context.stroke();
    }
  }

  /** What is drawn, as a PNG file. */
  async toFile(name) {
    return new File([await toPng(this.canvas)], name, { type: "image/png" });
  }
}
