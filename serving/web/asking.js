/** Questions to the model about pictures, one after the other, and their answers on cards. */

import { ApiError, predict } from "./api.js";
import { rowOf } from "./examples.js";
import { PictureError, read, toBase64 } from "./picture.js";
import { size } from "./dom.js";

export class Asking {
  /**
   * @param {Model} model
   * @param {function(string)} say  to people who do not see the page
   */
  constructor(model, say) {
    this.model = model;
    this.say = say;
    /** What the network got is asked for when the answers are there: a server's first of these takes seconds. */
    this.later = Promise.resolve();
  }

  /**
   * Ask about a file and put the answer onto a card.
   * @param {Blob} file
   * @param {Card} card
   * @param {string} kind  "digit" or "number"
   * @param {number} expected  how many digits a number has; 0: any
   */
  async ask(file, card, kind, expected) {
    let said, picture;
    card.wait();
    try {
      picture = await read(file);
      card.show(picture);
      const question = this.question(kind, expected);
      const row = rowOf(question, await toBase64(picture.sent));
      const { outputs, milliseconds } = await this.predict(question, row);
      said = kind === "digit" ? card.digit(outputs) : card.number(outputs, picture);
      card.asked(question, picture, milliseconds);
      if (kind === "digit" && !outputs.error && this.model.normalised && picture.shown !== null) {
        this.later = this.later.then(() => this.normalised(question, row, card));
      }
    } catch (error) {
      said = card.fail(whyNot(error, picture), tryAgain(error) ? () => this.ask(file, card, kind, expected) : null);
      if (error instanceof ApiError && error.reason !== "refused" && error.reason !== "too large") this.model.look();
    }
    if (card.root.isConnected) this.say(`${card.name}: ${said}`);
  }

  question(kind, expected) {
    const { name: model, version } = this.model;
    if (!this.model.ready) throw new ApiError("not ready", this.model.says);
    if (kind === "digit") return { model, version, signature: "serving_default", ...this.model.digit, rest: {} };
    return { model, version, signature: "numbers", input: "image_bytes", only: null, rest: { digits: expected } };
  }

  /** Ask; once more if the version has been replaced meanwhile. */
  async predict(question, row) {
    try {
      return await predict(question.model, question.version, question.signature, row, question.only);
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== "not found") throw error;
      await this.model.look();
      if (!this.model.ready) throw new ApiError("not ready", this.model.says);
      question.version = this.model.version;
      return predict(question.model, question.version, question.signature, row, question.only);
    }
  }

  async normalised(question, row, card) {
    if (!card.root.isConnected) return;
    try {
      const { outputs } = await predict(question.model, question.version, "normalised", row);
      if (!outputs.error) card.normalised(outputs.pixels);
    } catch (error) {
      console.warn(error); // the answer is there without it
    }
  }
}

function whyNot(error, picture) {
  if (!(error instanceof PictureError || error instanceof ApiError)) {
    // Pictures that wait are asked about nevertheless.
    console.error(error);
    return `This page cannot show the answer: ${error.message}`;
  }
  if (error.reason !== "too large") return error.message;
  return (
    `The server does not take a request as large as this picture, ${size(picture.sent.size)}. ` +
    "Choose a smaller one, or raise the server's --max_request_bytes."
  );
}

function tryAgain(error) {
  return error instanceof ApiError && error.reason !== "too large";
}
