/** Pictures that are made here of what the server says. */

// In pixels, so that boxes are neither too coarse nor too fine to see.
const LEAST_WIDTH = 400;
const MOST_WIDTH = 1600;
const COLOURS = ["#d9480f", "#1864ab"]; // neighbours differ

/**
 * The 28x28 pixels that the network got.
 * @param {number[][]} pixels  0 to 255
 */
export function drawPixels(pixels) {
  const canvas = made(pixels[0].length, pixels.length, "The picture as the network saw it: white ink on black, 28 by 28 pixels");
  canvas.className = "pixels";
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  pixels.flat().forEach((level, place) => image.data.set([level, level, level, 255], 4 * place));
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * A picture with a box around each digit.
 * @param {Picture} picture
 * @param {number[][]} boxes  top, left, bottom and right in pixels of what was sent
 * @param {string} text
 */
export function drawBoxes(picture, boxes, text) {
  const scale = Math.min(MOST_WIDTH / picture.width, Math.max(1, LEAST_WIDTH / picture.width));
  const [width, height] = [picture.width * scale, picture.height * scale];
  const line = Math.max(2, width / 300);
  const label = Math.max(14, Math.min(height / 4, width / 20));
  const canvas = made(width, height + label * 1.3, `The picture with a box around each of its digits: ${[...text].join(" ")}`);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture.shown, 0, 0, width, height);
  context.lineWidth = line;
  context.font = `bold ${label}px system-ui, sans-serif`;
  context.textAlign = "center";
  boxes.forEach(([top, left, bottom, right], place) => {
    context.strokeStyle = context.fillStyle = COLOURS[place % 2];
    context.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
    context.fillText(text[place] ?? "", ((left + right) / 2) * scale, height + label);
  });
  return canvas;
}

function made(width, height, says) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", says);
  return canvas;
}
