/** From what people have, a file in any format, to what the model takes: PNG or JPEG. */

/** Of one file; more would not fit into a request in a browser in a sensible time. */
export const MOST_BYTES = 20 * 1024 * 1024;
const MOST_SIDE = 4096; // of a picture that is drawn anew
const WITHOUT_SIZE = 512; // for drawings that say no size
const PNG = [0x89, 0x50, 0x4e, 0x47];
const JPEG = [0xff, 0xd8, 0xff];

/** Why a file cannot be sent, in words for people. */
export class PictureError extends Error {}

/**
 * @typedef {Object} Picture
 * @property {string} name
 * @property {Blob} sent  PNG or JPEG
 * @property {?HTMLImageElement} shown  null where the browser cannot decode it
 * @property {number} width  in pixels, of what is sent
 * @property {number} height
 * @property {boolean} redrawn  whether what is sent is not the file itself
 */

/**
 * A file as the model takes it.
 *
 * PNG and JPEG stay as they are, so that the answer is that of the file. Another format is drawn anew by the browser.
 *
 * @param {Blob} file
 * @returns {Promise<Picture>}
 */
export async function read(file) {
  const name = file.name ?? "picture.png";
  if (file.size > MOST_BYTES) {
    throw new PictureError("This page sends files of at most 20 MB. For larger ones, use digits-batch.");
  }
  let start;
  try {
    start = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  } catch {
    throw new PictureError("The browser cannot read this file. Choose it again.");
  }
  const begins = (signature) => signature.every((byte, place) => start[place] === byte);
  const shown = await decoded(file);
  if (begins(PNG) || begins(JPEG)) {
    return { name, sent: file, shown, width: shown?.naturalWidth, height: shown?.naturalHeight, redrawn: false };
  }
  if (shown === null) {
    throw new PictureError("Neither the model nor this browser knows the format of this file.");
  }
  const canvas = redraw(shown);
  return { name, sent: await toPng(canvas), shown, width: canvas.width, height: canvas.height, redrawn: true };
}

/** A file as a picture that the browser shows; null where it cannot. */
async function decoded(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return image;
  } catch {
    URL.revokeObjectURL(image.src);
    return null;
  }
}

function redraw(image) {
  const width = image.naturalWidth || WITHOUT_SIZE;
  const height = image.naturalHeight || WITHOUT_SIZE;
  const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** What is on a canvas, as PNG. */
export function toPng(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new PictureError("The picture is too large."))), "image/png");
  });
}

/** Bytes as the REST API takes them. */
export function toBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new PictureError("The browser cannot read this file. Choose it again."));
    reader.readAsDataURL(blob);
  });
}
