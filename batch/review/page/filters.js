// The filter: a form, and the query that it stands for.

const form = document.getElementById("filter");

export function prepareFilter(table, onChange) {
  const { answer, error } = form.elements;
  document.getElementById("answers").hidden = table.kind !== "digits";
  for (let digit = 0; digit < 10; digit++) answer.add(new Option(digit, digit));
  setOptions(error, table.errors, 3);
  setFolders(table.folders);
  form.addEventListener("change", onChange);
  form.addEventListener("reset", () => setTimeout(onChange));
  form.addEventListener("submit", (event) => event.preventDefault());
}

export function renewFilter(table) {
  setOptions(form.elements.error, table.errors, 3);
  setFolders(table.folders);
}

function setOptions(select, texts, kept) {
  const chosen = select.value;
  select.length = kept;
  for (const text of texts) select.add(new Option(text, text));
  select.value = chosen;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
}

function setFolders(folders) {
  const options = folders.filter(Boolean).map((folder) => new Option(folder, folder));
  document.getElementById("folders").replaceChildren(...options);
}

export function query() {
  const { answer, error, state, low, high, folder } = form.elements;
  const share = (input) => (input.value === "" || !input.validity.valid ? "" : String(input.value / 100));
  return {
    answer: answer.value,
    error: error.value,
    state: state.value,
    low: share(low),
    high: share(high),
    folder: folder.value.trim(),
  };
}

export function isFiltered() {
  return Object.values(query()).some(Boolean);
}
