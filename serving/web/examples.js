/** Lines for a terminal and for Python that ask what the page has asked. */

import { addressOf } from "./api.js";

/**
 * @typedef {Object} Question  what is asked about a picture
 * @property {string} model
 * @property {string} version
 * @property {string} signature
 * @property {string} input  the name of the picture's input
 * @property {?string} only  the name of the output, if there is but one
 * @property {Object} rest  the other inputs by name
 */

/** A row of a request: the picture in base64, and the other inputs. */
export function rowOf(question, base64) {
  return { [question.input]: { b64: base64 }, ...question.rest };
}

/** A line for a shell. */
export function curlLine(question, file) {
  const body = JSON.stringify(bodyOf(question, "%s"));
  return `printf ${quoted(body)} "$(base64 < ${quoted(file)} | tr -d '\\n')" | curl -d @- ${quoted(urlOf(question))}`;
}

/** Lines of Python, whose own library is enough for them. */
export function pythonLines(question, file) {
  const body = JSON.stringify(bodyOf(question, "PICTURE")).replace('"PICTURE"', "picture");
  return [
    "import base64, json, urllib.request",
    `picture = base64.b64encode(open(${JSON.stringify(file)}, "rb").read()).decode()`,
    `body = json.dumps(${body}).encode()`,
    `print(urllib.request.urlopen(${JSON.stringify(urlOf(question))}, body).read().decode())`,
  ].join("\n");
}

function urlOf(question) {
  return `${addressOf(question.model, question.version)}:predict`;
}

function bodyOf(question, base64) {
  return { signature_name: question.signature, instances: [rowOf(question, base64)] };
}

/** A word for a shell, whatever is in it. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
