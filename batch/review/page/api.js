// Questions to the server; batch/review/server.py says what it answers.

export class Gone extends Error {}

export class Silent extends Error {
  constructor() {
    super("The server does not answer: start digits-review again, and open the address that it prints.");
  }
}

export class Conflict extends Error {
  constructor(decision) {
    super("Somebody else has decided on this row meanwhile.");
    this.decision = decision;
  }
}

const PATIENCE_MS = 20000;

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    throw new Silent();
  }
  if (response.status === 410) throw new Gone();
  if (response.status === 403) throw new Silent();
  const answer = await response.json().catch(() => ({}));
  if (response.status === 409) throw new Conflict(answer.decision);
  if (!response.ok) throw new Error(answer.error ?? `The server failed: ${response.status}.`);
  return answer;
}

export function get(path, query = {}) {
  return ask(`${path}?${new URLSearchParams(query)}`);
}

export function post(path, body) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

export function pictureAddress(generation, row) {
  return `/picture/${generation}/${row.row}`;
}

export function seenAddress(generation, row) {
  return `/seen/${generation}/${row.row}`;
}

// Why a picture is not shown.
export async function reasonFor(address) {
  try {
    const response = await fetch(address);
    return response.ok ? "The browser cannot show this picture." : await response.text();
  } catch {
    return "The server does not answer.";
  }
}
