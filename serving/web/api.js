/** The REST API of TensorFlow Serving, as far as this page uses it. */

const TIMEOUT_MS = 60_000;
const TOO_LARGE = 413;
// What stands in front of a server that does not answer says one of these.
const GONE = [502, 504];

/** Why there is no answer. `reason` is "gone", "too large", "not found", "not ready" or "refused". */
export class ApiError extends Error {
  constructor(reason, message) {
    super(message);
    this.reason = reason;
  }
}

const REASONS = { 404: "not found", 503: "not ready" };

/**
 * The address of a model, or of one of its versions, relative to where this page is.
 * @param {string} model
 * @param {string?} version
 */
export function addressOf(model, version = null) {
  const path = `v1/models/${encodeURIComponent(model)}` + (version === null ? "" : `/versions/${version}`);
  return new URL(path, document.baseURI).href;
}

/** The versions of a model with their states: `[{version, state, status}]`. */
export async function versionsOf(model) {
  const answer = await call(addressOf(model));
  return answer.model_version_status ?? [];
}

/** The signatures of a version by name: `{inputs, outputs}`, each by name. */
export async function signaturesOf(model, version) {
  const answer = await call(`${addressOf(model, version)}/metadata`);
  return answer.metadata?.signature_def?.signature_def ?? {};
}

/**
 * Ask a signature about one row; return its outputs by name, and how long it took in milliseconds.
 * @param {?string} only  the name of its output, if it has but one: the server leaves that name out
 */
export async function predict(model, version, signature, row, only = null) {
  const body = JSON.stringify({ signature_name: signature, instances: [row] });
  const start = performance.now();
  const answer = await call(`${addressOf(model, version)}:predict`, body);
  const milliseconds = performance.now() - start;
  const outputs = answer.predictions?.[0];
  if (outputs == null) throw new ApiError("refused", "The server's answer has no predictions.");
  return { outputs: only === null ? outputs : { [only]: outputs }, milliseconds };
}

async function call(url, body) {
  let response, text;
  try {
    response = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body,
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await response.text();
  } catch (error) {
    if (error.name === "TimeoutError") throw new ApiError("gone", "The server has not answered within a minute.");
    throw new ApiError("gone", "The server does not answer.");
  }
  if (response.status === TOO_LARGE) throw new ApiError("too large", "");
  let answer = null;
  try {
    answer = JSON.parse(text);
  } catch {
    // Not the server, but what stands in front of it.
  }
  if (response.ok && answer !== null) return answer;
  if (GONE.includes(response.status) && answer === null) throw new ApiError("gone", "The server does not answer.");
  const said = answer?.error ?? `The server answered with status ${response.status}.`;
  throw new ApiError(REASONS[response.status] ?? "refused", String(said));
}
