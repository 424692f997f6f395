/** Elements made from data: text stays text, whatever is in it. */

/**
 * @param {string} tag
 * @param {Object<string, *>} attributes  names with a value of false, null or undefined are left out
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** A probability as people read it. None is 100 %. */
export function percent(probability) {
  return probability >= 0.9995 ? "> 99.9 %" : `${(probability * 100).toFixed(1)} %`;
}

/** A number of bytes in the largest unit that fits. */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
