/** The model that is asked: whether it serves, in which versions, and what it can do. */

import { ApiError, signaturesOf, versionsOf } from "./api.js";

export const DEFAULT_MODEL = "digits";
const LOOK_AGAIN_MS = 2000;
const LOOK_FOR_NEWER_MS = 30_000;
const IMAGE = "DT_STRING";

/** What the page knows of the model. `changed` is told each time it has looked. */
export class Model {
  constructor(name, version, changed) {
    this.name = name;
    /** The version that was chosen; null: the newest. */
    this.wanted = version;
    this.changed = changed;
    this.ready = false;
    this.says = "";
    /** Of the versions that serve, the newest first. */
    this.versions = [];
    this.version = null;
    /** How single digits are asked for: the name of the picture's input, and of the output if there is but one. */
    this.digit = null;
    /** Whether it reads numbers, and shows what the network gets. */
    this.number = this.normalised = false;
    this.looks = 0;
  }

  /** Look at the model now, and again: soon if it does not serve yet, else for newer versions. */
  async look() {
    const look = ++this.looks; // an older one that still waits does nothing more
    try {
      const states = await versionsOf(this.name);
      const serving = states.filter((each) => each.state === "AVAILABLE").map((each) => each.version);
      serving.sort((a, b) => Number(b) - Number(a));
      const version = this.wanted ?? serving[0];
      const signatures = serving.includes(version) ? await signaturesOf(this.name, version) : null;
      if (look !== this.looks) return;
      this.versions = serving;
      this.ready = false;
      if (signatures === null) {
        this.says = whyNot(this.name, this.wanted, states);
      } else {
        this.understand(version, signatures);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (look !== this.looks) return;
      this.ready = false;
      this.says =
        error.reason === "not found"
          ? `The server has no model ${this.name}. Write the name of one that it serves.`
          : `${error.message} This page looks again every two seconds.`;
    }
    this.changed();
    setTimeout(() => look === this.looks && this.look(), this.ready ? LOOK_FOR_NEWER_MS : LOOK_AGAIN_MS);
  }

  understand(version, signatures) {
    const find = (name, ...outputs) => {
      const found = signatures[name];
      return found !== undefined && outputs.every((output) => output in (found.outputs ?? {})) ? found : null;
    };
    const single = find("serving_default", "digit");
    const images = Object.entries(single?.inputs ?? {}).filter(([, input]) => input.dtype === IMAGE);
    const outputs = Object.keys(single?.outputs ?? {});
    this.digit = images.length === 1 ? { input: images[0][0], only: outputs.length === 1 ? outputs[0] : null } : null;
    this.number = find("numbers", "text", "confidence", "boxes", "count") !== null;
    this.normalised = find("normalised", "pixels") !== null;
    this.version = version;
    this.ready = this.digit !== null || this.number;
    this.says = this.ready
      ? `Model ${this.name}, version ${version}, is ready.`
      : `Model ${this.name} takes no pictures of digits: it has no signature for them.`;
  }
}

function whyNot(name, wanted, states) {
  const failed = states.find((each) => each.status && each.status.error_code !== "OK");
  const loading = states.some((each) => ["START", "LOADING"].includes(each.state));
  if (loading) return `Model ${name} is loading…`;
  if (failed) return `Model ${name} cannot be loaded: ${failed.status.error_message}`;
  if (wanted !== null) return `Version ${wanted} of model ${name} does not serve.`;
  return `No version of model ${name} serves.`;
}
