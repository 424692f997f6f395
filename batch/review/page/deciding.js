// Decisions on their way to the disk, in order, one at a time; and the way back.

import { Conflict, Gone, post } from "./api.js";
import { nameOf } from "./words.js";

const MOST_UNDONE = 1000;

export class Deciding {
  constructor(source, { onChange, onSaved, onConflict, onLost, onGone }) {
    this.source = source;
    this.tell = { onChange, onSaved, onConflict, onLost, onGone };
    this.queue = [];
    this.done = []; // what can be undone
    this.isSending = false;
  }

  decide(row, place, label) {
    const before = this.source.waiting.get(row.path) ?? this.source.decision(row)?.label ?? "";
    this.#add({ row, place, label, before, seen: this.source.known.get(row.path)?.number ?? 0 });
  }

  // Take the latest decision back; returns the place of its row, or null.
  undo() {
    const last = this.done.pop();
    if (!last) return null;
    this.#add({ ...last, label: last.before, isUndo: true });
    return last.place;
  }

  #add(decision) {
    decision.generation = this.source.generation;
    if (!decision.isUndo) {
      this.done.push(decision);
      this.done.splice(0, this.done.length - MOST_UNDONE);
    }
    this.source.waiting.set(decision.row.path, decision.label);
    this.queue.push(decision);
    this.tell.onChange();
    if (!this.isSending) this.#send();
  }

  async #send() {
    this.isSending = true;
    while (this.queue.length) {
      const decision = this.queue[0];
      try {
        await this.#save(decision);
      } catch (error) {
        this.#fail(decision, error);
      }
      this.queue.shift();
      const later = this.queue.find((other) => other.row.path === decision.row.path);
      if (!later) this.source.waiting.delete(decision.row.path);
      this.tell.onChange();
    }
    this.isSending = false;
  }

  async #save(decision) {
    const { row, label, generation } = decision;
    const { decision: saved } = await post("/api/decide", { generation, row: row.row, label, seen: decision.seen });
    this.source.learn([saved]);
    // A further decision of ours on this row knows this one.
    const own = this.queue.filter((other) => other !== decision && other.row.path === row.path);
    for (const other of [...own, decision]) other.seen = saved.number;
    this.tell.onSaved(`Saved: ${nameOf(label) || "taken back"}, ${row.path}`);
  }

  #fail(decision, error) {
    this.done = this.done.filter((other) => other !== decision);
    if (error instanceof Conflict) {
      this.source.learn([error.decision]);
      this.tell.onConflict(decision, error.decision);
    } else if (error instanceof Gone) {
      this.tell.onLost(decision, "The table has changed: your latest decision is not saved, make it again.");
      this.tell.onGone();
    } else {
      this.tell.onLost(decision, `Not saved: ${nameOf(decision.label) || "taken back"}, ${decision.row.path}. ${error.message}`);
    }
  }
}
