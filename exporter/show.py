"""A picture of what the normaliser does: for each file the original, the paper, the ink, 28x28 and the answer."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont, ImageOps

from exporter.command import UserError
from exporter.contract import CONFIDENCE, DIGIT, ERROR, IMAGE_BYTES, NUMBERS_SIGNATURE, SIGNATURE
from exporter.picture.closer import windows_around
from exporter.picture.colour import to_level
from exporter.picture.decode import Pictures, decode, decode_windows
from exporter.picture.normalise import examine
from exporter.picture.overview import Overview, pixels_inside
from exporter.picture.paper import background

_TILE = 128
_GAP = 8
_CAPTION = 34
_HEADINGS = ("original", "paper", "ink", "28x28")
_SHEET_COLUMNS = 2
_NOWHERE = (222, 226, 232)  # beside a picture that is no square
_CHECKS = ((255, 255, 255), (196, 206, 220))  # below transparency

Pixels = npt.NDArray[np.uint8]
Steps = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
"""Extent; paper, 0 to 255; ink and field, 0 to 1."""


def show(files: list[Path], model: Path, out: Path) -> None:
    """Draw a contact sheet, two files beside each other, four tiles each.

    Args:
        files: PNGs and JPEGs, or anything else, which is answered with its error.
        model: a model's base path, whose newest version answers.
        out: the PNG to write.

    Raises:
        UserError: a file that cannot be read, a model that cannot be loaded, a sheet that cannot be written.
    """
    if not out.absolute().parent.is_dir():
        raise UserError(f"cannot write {out}: there is no folder {out.parent}; choose another --out")
    for file in files:
        # Before the model is loaded, which takes seconds.
        _check_readable(file)
    predict = _load_newest(model)
    entries = [_entry(file, predict) for file in files]
    columns = min(_SHEET_COLUMNS, len(entries))
    width, height = 4 * _TILE + 3 * _GAP, _TILE + _CAPTION
    rows = -(-len(entries) // columns)
    sheet = Image.new("RGB", (columns * (width + 3 * _GAP) + _GAP, rows * (height + _GAP) + 3 * _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column in range(columns):
        for place, heading in enumerate(_HEADINGS):
            left = 2 * _GAP + column * (width + 3 * _GAP) + place * (_TILE + _GAP)
            draw.text((left, _GAP // 2), heading, fill="black", font=font)
    for number, (tiles, caption) in enumerate(entries):
        row, column = divmod(number, columns)
        left, top = 2 * _GAP + column * (width + 3 * _GAP), 3 * _GAP + row * (height + _GAP)
        for place, tile in enumerate(tiles):
            sheet.paste(tile, (left + place * (_TILE + _GAP), top))
        draw.text((left, top + _TILE + 2), _shorten(caption), fill="black", font=font)
    try:
        sheet.save(out, "PNG")
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}; choose another --out") from None


def show_numbers(files: list[Path], model: Path, out: Path) -> None:
    """Draw how fields of several digits are read: boxes, seams and readings. As `show`."""
    from exporter.numbers.show import draw_fields  # noqa: PLC0415 - builds graphs that `show` does not need

    if not out.absolute().parent.is_dir():
        raise UserError(f"cannot write {out}: there is no folder {out.parent}; choose another --out")
    read = _load_newest(model, NUMBERS_SIGNATURE)
    try:
        contents = [file.read_bytes() for file in files]
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}") from None
    try:
        draw_fields(files, contents, read).save(out, "PNG")
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}; choose another --out") from None


def _check_readable(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None


def _entry(file: Path, predict: tf.types.experimental.GenericFunction) -> tuple[list[Image.Image], str]:
    octets = file.read_bytes()
    answer = {name: value.numpy()[0] for name, value in predict(**{IMAGE_BYTES: tf.constant([octets])}).items()}
    said = f"{answer[DIGIT]} ({answer[CONFIDENCE]:.3f})" if not answer[ERROR] else answer[ERROR].decode()
    return _tiles(octets), f"{said}   {file}"


def _tiles(octets: bytes) -> list[Image.Image]:
    images = tf.constant([octets])
    steps, windows = _examine(images)
    if not len(steps[0]):
        return [Image.new("RGB", (_TILE, _TILE), _NOWHERE)] * len(_HEADINGS)
    if len(windows):
        steps = _examine_part(images, windows)
    extent, paper, ink, field = steps
    height, width = extent.numpy()[0]
    grey = (paper[0, :height, :width], ink[0, :height, :width] * 255, field[0] * 255)
    return [_original(octets), *(_tile(Image.fromarray(values.numpy().round().astype(np.uint8))) for values in grey)]


@tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator] # has no types
def _examine(images: tf.Tensor) -> tuple[Steps, tf.Tensor]:
    """The steps of images that can be decoded, and the windows, float32 [k, 4], of those that get a closer look."""
    _, _, pictures = decode(images)
    steps, box = _steps(pictures)
    return steps, windows_around(box, pictures.extent)[1]


@tf.function(  # type: ignore[untyped-decorator] # the same
    autograph=False, input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None, 4], tf.float32)]
)
def _examine_part(images: tf.Tensor, windows: tf.Tensor) -> Steps:
    return _steps(decode_windows(images, windows)[1])[0]


def _steps(pictures: Pictures) -> tuple[Steps, tf.Tensor]:
    steps = examine(*to_level(pictures))
    level, extent = steps["level"], steps["extent"]
    paper = background(level, pixels_inside(level, extent), Overview.of(level, extent))
    return (extent, tf.clip_by_value(paper, 0.0, 255.0), steps["ink"], steps["field"]), steps["small"]


def _original(octets: bytes) -> Image.Image:
    picture: Image.Image = ImageOps.exif_transpose(Image.open(io.BytesIO(octets)))
    if picture.mode.startswith("I"):
        # 16 bits a pixel: Pillow would cut off instead of scaling.
        levels = np.asarray(picture).astype(np.int64)
        picture = Image.fromarray((levels >> max(int(levels.max()).bit_length() - 8, 0)).astype(np.uint8))
    return _tile(picture.convert("RGBA"))


def _tile(picture: Image.Image) -> Image.Image:
    """A picture as large as fits, in the corner of a tile, over a checkerboard where it is transparent."""
    scale = _TILE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    # Pixels are to be seen as such.
    way = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    shown = picture.convert("RGBA").resize(size, way)
    tile = Image.new("RGB", (_TILE, _TILE), _NOWHERE)
    tile.paste(_checkerboard(shown.size), (0, 0))
    tile.paste(shown, (0, 0), shown)
    return tile


def _checkerboard(size: tuple[int, int]) -> Image.Image:
    y, x = np.indices(size[::-1]) // 8
    colours: Pixels = np.array(_CHECKS, np.uint8)
    return Image.fromarray(colours[(x + y) % 2])


def _shorten(caption: str, most: int = 78) -> str:
    """A caption that fits below four tiles, cut in the middle."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in caption)
    half = most // 2 - 1
    return printable if len(printable) <= most else f"{printable[:half]}…{printable[-half:]}"


def _load_newest(model: Path, signature: str = SIGNATURE) -> tf.types.experimental.GenericFunction:
    versions = [path for path in model.iterdir() if path.name.isdecimal()] if model.is_dir() else []
    if not versions:
        raise UserError(f"--model {model}: no version there; name the folder that digits-export wrote to")
    folder = max(versions, key=lambda path: int(path.name))
    try:
        signatures = tf.saved_model.load(str(folder)).signatures
        if signature == NUMBERS_SIGNATURE and signature not in signatures:
            raise UserError(f"--model {folder} reads no numbers; export it with --numbers")
        return signatures[signature]
    except (OSError, KeyError, tf.errors.OpError, ValueError) as error:
        raise UserError(f"--model {folder} cannot be loaded: {str(error).splitlines()[0]}") from None
