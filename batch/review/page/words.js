// What is said of a row and of its decision.

const WORDS = { none: "no digit", unsure: "unsure" };
const SIGNS = { none: "none", unsure: "?" };

export function nameOf(label) {
  return WORDS[label] ?? label;
}

// The table's answer; in an audit it is known only of rows that are decided, else null.
export function saidOf(row, source) {
  return row.answer ?? source.decision(row)?.was ?? null;
}

// The sign on a thumbnail, and the class of its colour.
export function markOf(row, source) {
  if (source.waiting.has(row.path)) return { sign: "…", kind: "waiting" };
  const label = source.decision(row)?.label;
  if (!label) return { sign: "", kind: "" };
  const kind = label === "unsure" ? "unsure" : label === saidOf(row, source) ? "kept" : "changed";
  return { sign: SIGNS[label] ?? label, kind };
}

export function answerOf(row, source) {
  if (row.answer === null) {
    const said = saidOf(row, source);
    return said === null ? "The table's answer is hidden" : `The table has ${said}`;
  }
  return row.error ? `Error: ${row.error}` : `Answer ${row.answer}, confidence ${(row.confidence * 100).toFixed(2)} %`;
}

export function decisionOf(row, source) {
  const waiting = source.waiting.get(row.path);
  if (waiting !== undefined) return `Being saved: ${nameOf(waiting) || "taken back"}`;
  const decision = source.decision(row);
  return decision ? `Decided: ${nameOf(decision.label)}, by ${decision.by}` : "Not decided";
}

export function describe(row, source) {
  return `${row.path}. ${answerOf(row, source)}. ${decisionOf(row, source)}`;
}
