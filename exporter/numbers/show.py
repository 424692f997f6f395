"""A picture of how fields are read: for each the original with boxes, the ink with its seams, and the readings."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont, ImageOps

from exporter.contract import (
    ALTERNATIVE_CONFIDENCE,
    ALTERNATIVES,
    BOXES,
    COUNT,
    DIGITS,
    ERROR,
    IMAGE_BYTES,
    MAX_FIELD_WIDTH,
)
from exporter.numbers.field import HEIGHT, sheared, shrink, to_fields
from exporter.numbers.seams import find_cuts
from exporter.picture.decode import decode

_WIDTH, _ROW = 420, 96  # pixels of a tile: the original at the left, the ink at the right
_GAP, _CAPTION = 8, 34
_BOX, _SEAM = "#d9730d", (200, 30, 30)

Pixels = npt.NDArray[np.uint8]
Outputs = dict[str, npt.NDArray[Any]]


def draw_fields(files: list[Path], contents: list[bytes], read: tf.types.experimental.GenericFunction) -> Image.Image:
    """Draw a sheet, a row for each file.

    Args:
        files: their paths, for the captions.
        contents: what is in them.
        read: the signature `numbers` of a model.
    """
    outputs = read(**{IMAGE_BYTES: tf.constant(contents), DIGITS: tf.constant([0])})
    found = {name: value.numpy() for name, value in outputs.items()}
    height = _ROW + _CAPTION + _GAP
    sheet = Image.new("RGB", (2 * _WIDTH + 3 * _GAP, len(files) * height + _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, (file, octets) in enumerate(zip(files, contents, strict=True)):
        top = _GAP + row * height
        if not found[ERROR][row] or _opens(octets):
            sheet.paste(_fitted(_original(octets, found[BOXES][row][: found[COUNT][row]])), (_GAP, top))
        seams = _seams(octets)
        if seams is not None:
            sheet.paste(_fitted(seams), (2 * _GAP + _WIDTH, top))
        draw.text((_GAP, top + _ROW + 2), _caption(found, row), fill="black", font=font)
        draw.text((_GAP, top + _ROW + 16), str(file), fill="#606060", font=font)
    return sheet


def _caption(found: Outputs, row: int) -> str:
    if found[ERROR][row]:
        return str(found[ERROR][row].decode())
    pairs = zip(found[ALTERNATIVES][row], found[ALTERNATIVE_CONFIDENCE][row], strict=True)
    return "   ".join(f"{text.decode()} ({confidence:.3f})" for text, confidence in pairs if text)


def _opens(octets: bytes) -> bool:
    try:
        Image.open(io.BytesIO(octets)).load()
    except OSError:
        return False
    return True


def _original(octets: bytes, boxes: npt.NDArray[np.float32]) -> Image.Image:
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(octets))).convert("RGB")
    scale = min(_WIDTH / picture.width, _ROW / picture.height)
    shown = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    draw = ImageDraw.Draw(shown)
    for top, left, bottom, right in boxes * scale:
        draw.rectangle([left, top, right, bottom], outline=_BOX)
    return shown


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)  # type: ignore[untyped-decorator]
def _cut(image_bytes: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Straight ink, seams and their number, of pictures that can be decoded."""
    _, _, pictures = decode(image_bytes, shrink, MAX_FIELD_WIDTH)
    fields = to_fields(pictures)
    straight = sheared(fields.ink, fields.slant)
    cuts = find_cuts(straight, fields.width)
    return straight, fields.width, cuts.column, cuts.count


def _seams(octets: bytes) -> Image.Image | None:
    """The straightened ink with its seams; None of what cannot be decoded."""
    if not _opens(octets):
        return None
    ink, widths, columns, counts = (part.numpy() for part in _cut(tf.constant([octets])))
    if not len(ink):
        return None
    width = int(widths[0])
    pixels: Pixels = np.repeat((255 - 255 * ink[0, :, :width, None]).astype(np.uint8), 3, axis=2)
    for seam in columns[0, : counts[0]]:
        pixels[np.arange(HEIGHT), np.minimum(seam, width - 1)] = _SEAM
    return Image.fromarray(pixels)


def _fitted(picture: Image.Image) -> Image.Image:
    """As large as fits a tile."""
    scale = min(_WIDTH / picture.width, _ROW / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
