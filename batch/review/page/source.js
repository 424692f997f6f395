// The rows of a view, fetched in blocks as they are wanted, and what is known of everybody's decisions.

import { get } from "./api.js";

const BLOCK = 100; // rows
const KEPT = 80; // blocks
const AT_ONCE = 2; // requests

export class Source {
  constructor({ onRows, onError }) {
    this.onRows = onRows;
    this.onError = onError;
    this.known = new Map(); // by path: the latest decision
    this.waiting = new Map(); // by path: the label that is on its way to the disk
    this.open({ view: "", generation: "", rows: 0 });
  }

  open({ view, generation, rows }) {
    if (generation !== this.generation) this.known.clear();
    this.view = view;
    this.generation = generation;
    this.count = rows;
    this.blocks = new Map();
    this.asked = new Map();
    this.wanted = [];
  }

  row(place) {
    return this.blocks.get(Math.floor(place / BLOCK))?.[place % BLOCK];
  }

  decision(row) {
    const found = this.known.get(row.path);
    return found?.label ? found : null;
  }

  isOpen(row) {
    return !this.waiting.has(row.path) && !this.decision(row);
  }

  learn(decisions) {
    for (const decision of decisions) {
      if (decision && decision.number > (this.known.get(decision.path)?.number ?? 0)) {
        this.known.set(decision.path, decision);
      }
    }
  }

  // Have the rows of these places fetched, in the end; the latest call counts.
  want(first, last) {
    const blocks = [];
    for (let block = Math.floor(first / BLOCK); block <= Math.floor(last / BLOCK); block++) {
      if (!this.blocks.has(block)) blocks.push(block);
    }
    this.wanted = blocks;
    this.#fetchWanted();
  }

  async at(place) {
    if (!this.row(place)) await this.#fetch(Math.floor(place / BLOCK));
    return this.row(place);
  }

  #fetchWanted() {
    for (const block of this.wanted) {
      if (this.asked.size >= AT_ONCE) return;
      if (!this.asked.has(block)) this.#fetch(block).catch((error) => this.onError(error));
    }
  }

  #fetch(block) {
    const view = this.view;
    const asked = this.asked;
    if (asked.has(block)) return asked.get(block);
    const fetching = (async () => {
      try {
        const { rows } = await get("/api/rows", { view, first: block * BLOCK, count: BLOCK });
        if (view !== this.view) return;
        this.learn(rows.map((row) => row.decision));
        this.blocks.delete(block);
        this.blocks.set(block, rows);
        while (this.blocks.size > KEPT) this.blocks.delete(this.blocks.keys().next().value);
        this.wanted = this.wanted.filter((other) => other !== block);
      } finally {
        asked.delete(block);
      }
      this.onRows();
      this.#fetchWanted();
    })();
    asked.set(block, fetching);
    return fetching;
  }
}
