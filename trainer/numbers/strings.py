"""Pictures of numbers, made of single training digits: what people write into a field of a form.

One writer's digits have one size, one slant and one pen; they stand close, touch, hang together at their tops or lie
under their neighbours, or each in a printed cell. Points, commas and dashes stand between and after them, rules and
boxes around them, and the paper is plain, ruled, patterned or unevenly lit. Pillow draws; NumPy does the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from trainer.data.augment import distort
from trainer.data.datasets import Dataset
from trainer.data.hands import other_hands
from trainer.recipes import Augmentation, Hands

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

STYLE = Augmentation(
    rotation=8,
    shear=0.1,
    aspect=1.3,
    elastic=1.2,
    thickening=0.6,
    thinning=0.7,
    gaps=0.1,
    hands=Hands(added=0.35, redrawn=0.3),
)
"""How digits of one string differ from MNIST's; size, slant and place are the string's matter."""

_LENGTHS = np.array([1, 2, 3, 4, 5, 6, 7, 8])
_LENGTH_SHARES = np.array([2, 5, 14, 24, 26, 15, 8, 6]) / 100
_MARK_SHARES = np.array([15, 20, 15, 15, 25, 10]) / 100
_HELD_OUT = 0.1  # of the training digits, from their end, are in no string that is fitted
_CELLS_SHARE = 0.1  # of strings, each digit of which has a printed cell
_INK = 0.25  # grey of a training digit that counts for its box
_SUPERSAMPLED = 2  # pixels drawn for each that is kept


@dataclass(frozen=True)
class Digits:
    """Training digits to make strings of.

    Attributes:
        images: float32 [n, 28, 28], 0 to 1, white on black.
        labels: int [n].
    """

    images: Floats
    labels: npt.NDArray[np.integer]


@dataclass(frozen=True)
class String:
    """A picture, uint8 [h, w], and the text on it."""

    picture: Pixels
    text: str


def digits_of(dataset: Dataset) -> tuple[Digits, Digits, Digits]:
    """Digits to fit to, to calibrate with, and to test with."""
    held_out = max(1, round(_HELD_OUT * len(dataset.x_train)))
    images = _floats(dataset.x_train)
    return (
        Digits(images[:-held_out], dataset.y_train[:-held_out]),
        Digits(images[-held_out:], dataset.y_train[-held_out:]),
        Digits(_floats(dataset.x_test), dataset.y_test),
    )


def _floats(images: Pixels) -> Floats:
    return images.astype(np.float32) / np.float32(255)


def strings(digits: Digits, count: int, seed: int, *, start: int = 0, style: Augmentation = STYLE) -> Iterator[String]:
    """Make strings from a place on; a string depends on the seed and its place alone."""
    for place in range(start, count):
        yield make(digits, np.random.default_rng([seed, place]), style=style)


def make(digits: Digits, rng: np.random.Generator, *, style: Augmentation = STYLE) -> String:
    """Make one string in a hand and on paper of its own."""
    length = int(rng.choice(_LENGTHS, p=_LENGTH_SHARES))
    chosen = rng.integers(0, len(digits.images), length)
    if rng.random() < 0.35:  # amounts end in zeros
        zeros = np.flatnonzero(digits.labels == 0)
        for place in range(max(1, length - int(rng.integers(1, 4))), length):
            chosen[place] = rng.choice(zeros)
    labels = digits.labels[chosen]
    images = distort(other_hands(digits.images[chosen], labels, style.hands, rng), style, rng)
    ink = _in_cells(images, rng) if rng.random() < _CELLS_SHARE else _write(images, labels, rng)
    return String(_on_paper(ink, rng), "".join(map(str, labels)))


def _write(images: Floats, labels: npt.NDArray[np.integer], rng: np.random.Generator) -> Floats:
    """Digits, marks and slant as ink, float32 [h, w], 0 to 1."""
    height = int(rng.integers(24, 44)) * _SUPERSAMPLED
    canvas = Image.new("L", ((len(images) * 2 + 4) * height, 3 * height), 0)
    draw = ImageDraw.Draw(canvas)
    base = 2.0 * height
    pen = height * rng.uniform(0.05, 0.13)
    spacing = rng.normal(0.08, 0.13)
    drift = rng.normal(0, 0.02)
    has_small_zeros = rng.random() < 0.25
    points = rng.random() < 0.4
    chained = rng.random() < 0.15
    edge = rng.uniform(0.3, 0.62)
    x = float(height)
    if rng.random() < 0.06:
        _mark(draw, rng, x, base, height, pen)
        x += 0.5 * height
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        size = height * rng.normal(1.0, 0.08)
        if label == 0 and has_small_zeros and place:
            size *= rng.uniform(0.4, 0.8)
        glyph = _glyph(image, max(size, 0.3 * height), edge)
        y = base - glyph.height + height * rng.normal(0, 0.05)
        canvas.paste(255, (round(x), round(y)), glyph)
        end = x + glyph.width
        if chained and place + 1 < len(labels):
            top = y + glyph.height * rng.uniform(0.0, 0.25)
            draw.line(
                [(end - 0.3 * glyph.width, top), (end + 0.3 * height, top + 0.1 * height * rng.normal())],
                255,
                round(pen),
            )
        x = end + height * max(spacing + rng.normal(0, 0.07), -0.22)
        base += drift * glyph.width
        left = len(labels) - 1 - place
        if left and ((points and left % 3 == 0) or rng.random() < 0.02):
            x += height * rng.uniform(-0.05, 0.1)
            x = _point(draw, rng, x, base, height, pen) + height * rng.uniform(-0.05, 0.15)
    if rng.random() < 0.45:
        _mark(draw, rng, x, base, height, pen)
    slant = float(np.clip(rng.normal(0.15, 0.25), -0.5, 0.9))
    flat = canvas.transform(
        canvas.size, Image.Transform.AFFINE, (1, slant, -slant * 2 * height, 0, 1, 0), Image.Resampling.BILINEAR
    )
    return _cropped(flat, height, rng)


def _in_cells(images: Floats, rng: np.random.Generator) -> Floats:
    """Digits in cells of one width, with lines or a comb's teeth between them, as ink, float32 [h, w], 0 to 1."""
    height = int(rng.integers(24, 44)) * _SUPERSAMPLED
    pitch = height * rng.uniform(0.9, 1.7)
    top, bottom = height * rng.uniform(0.4, 0.95), height * rng.uniform(2.05, 2.6)
    canvas = Image.new("L", (round(pitch * (len(images) + 2)), 3 * height), 0)
    edge = rng.uniform(0.3, 0.62)
    for place, image in enumerate(images):
        glyph = _glyph(image, height * rng.normal(1.0, 0.1), edge)
        x = pitch * (place + 1.5) - glyph.width / 2 + rng.normal(0, 0.08) * pitch
        canvas.paste(255, (round(x), round(2 * height - glyph.height + height * rng.normal(0, 0.08))), glyph)
    lines = Image.new("L", canvas.size, 0)
    draw = ImageDraw.Draw(lines)
    grey, thick = int(rng.integers(60, 255)), int(rng.integers(1, 5))
    # In a comb only the lower part of the lines between cells is printed.
    begin = top if rng.random() < 0.6 else bottom - height * rng.uniform(0.15, 0.6)
    has_sides, has_foot, has_head = rng.random() < 0.7, rng.random() < 0.7, begin == top and rng.random() < 0.7
    for place in range(len(images) + 1):
        if has_sides or 0 < place < len(images):
            x = pitch * (place + 1)
            draw.line([(x, begin), (x, bottom)], grey, thick)
    for is_there, y in ((has_foot, bottom), (has_head, top)):
        if is_there:
            draw.line([(pitch, y), (pitch * (len(images) + 1), y)], grey, thick)
    return _cropped(ImageChops.lighter(canvas, lines), height, rng)


def _glyph(image: Floats, height: float, edge: float) -> Image.Image:
    """A digit cut to its ink, so many pixels high, with a crisp edge at a level: the higher that is, the finer the pen.

    A flat digit is no wider than two heights.
    """
    rows, columns = (np.flatnonzero((image > _INK).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return Image.new("L", (1, 1), 0)
    part = image[max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2]
    scale = height / part.shape[0]
    scale = min(scale, 1.6 * height / part.shape[1])
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    glyph = Image.fromarray(np.rint(part * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    sharp = (np.asarray(glyph, np.float32) / 255 - edge) * max(1.0, 0.6 * scale) + 0.5
    return Image.fromarray(np.rint(np.clip(sharp, 0, 1) * 255).astype(np.uint8))


def _point(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, base: float, height: int, pen: float
) -> float:
    """A point or a comma at the line's foot, or an apostrophe above; returns where it ends."""
    radius = pen * rng.uniform(0.5, 0.9)
    y = base - radius + height * rng.normal(0, 0.06)
    if rng.random() < 0.05:
        y -= height * 0.8
    draw.ellipse([x, y - radius, x + 2 * radius, y + radius], fill=255)
    if rng.random() < 0.3:
        draw.line(
            [(x + radius, y), (x + radius - height * rng.uniform(0, 0.15), y + height * rng.uniform(0.1, 0.3))],
            255,
            max(1, round(pen * 0.7)),
        )
    return x + 2 * radius


def _mark(draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, base: float, height: int, pen: float) -> None:
    """What stands before and after amounts: points, dashes, double dashes, strokes."""
    kind = rng.choice(6, p=_MARK_SHARES)
    x += height * rng.uniform(0.0, 0.3)
    width = max(1, round(pen * rng.uniform(0.7, 1.1)))
    if kind < 2:
        _point(draw, rng, x, base, height, pen)
        return
    if kind == 5:
        for _ in range(2):
            x = _point(draw, rng, x, base, height, pen) + 0.1 * height
    y = base - height * rng.uniform(0.15, 0.6)
    length = height * rng.uniform(0.2, 1.0)
    tilt = height * rng.normal(0, 0.06)
    draw.line([(x, y), (x + length / 2, y + tilt), (x + length, y + tilt * 2)], 255, width)
    if kind == 4:
        y += height * rng.uniform(0.12, 0.25)
        draw.line([(x, y), (x + length, y + tilt)], 255, width)


def _cropped(canvas: Image.Image, height: int, rng: np.random.Generator) -> Floats:
    """The ink with a margin of its own on each side, sometimes none, at the size that is kept."""
    left, top, right, bottom = canvas.getbbox() or (0, 0, *canvas.size)
    margins = height * np.clip(rng.normal(0.18, 0.15, 4), -0.03, 0.8)
    box = (left - margins[0], top - margins[1], right + margins[2], bottom + margins[3])
    part = canvas.crop(tuple(round(side) for side in box))
    size = (max(8, part.width // _SUPERSAMPLED), max(8, part.height // _SUPERSAMPLED))
    return np.asarray(part.resize(size, Image.Resampling.BOX), np.float32) / np.float32(255)


def _on_paper(ink: Floats, rng: np.random.Generator) -> Pixels:
    """Ink on paper with rules, patterns, light and noise, as a scanner or a camera sees it."""
    height, width = ink.shape
    if rng.random() < 0.4:
        ink = np.maximum(ink, _rules(height, width, rng))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    paper = np.full([height, width], rng.uniform(120, 255), np.float32)
    if rng.random() < 0.6:
        paper *= _pattern(y, x, rng)
    paper *= 1 + rng.normal(0, 0.1) * (x / width - 0.5) + rng.normal(0, 0.1) * (y / height - 0.5)
    if rng.random() < 0.05:  # the edge of another field
        row = int(height * rng.uniform(0.1, 0.5))
        paper[:row] *= rng.uniform(0.75, 1.3)
    strength = rng.uniform(0.25, 0.95)
    pressure = 1 - rng.uniform(0, 0.3) * (0.5 + 0.5 * np.sin(x * rng.uniform(0.02, 0.2) + y * rng.uniform(0.02, 0.2)))
    level = paper * (1 - strength * ink * pressure)
    level += rng.normal(0, rng.uniform(0.5, 6), level.shape)
    if rng.random() < 0.15:
        level = 255 - level
    picture = Image.fromarray(np.clip(np.rint(level), 0, 255).astype(np.uint8))
    if rng.random() < 0.7:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 0.9))))
    return np.asarray(picture)


def _rules(height: int, width: int, rng: np.random.Generator) -> Floats:
    """A rule below, above, on both sides, or a box, float32 [h, w]."""
    picture = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(picture)
    grey, thick = int(rng.integers(90, 255)), int(rng.integers(1, 3))
    below, above = height * rng.uniform(0.85, 0.99), height * rng.uniform(0.01, 0.12)
    tilt = rng.normal(0, 0.01) * width
    kind = rng.integers(0, 4)
    if kind != 1:
        draw.line([(0, below), (width, below + tilt)], grey, thick)
    if kind >= 1:
        draw.line([(0, above), (width, above + tilt)], grey, thick)
    # Of a box, or of the one beside it.
    for is_left in (True, False):
        if kind == 3 or rng.random() < 0.08:
            x = rng.uniform(0, 0.08) * height
            x = x if is_left else width - 1 - x
            draw.line([(x, 0), (x, height)], grey, thick)
    return np.asarray(picture, np.float32) / np.float32(255)


def _pattern(y: Floats, x: Floats, rng: np.random.Generator) -> Floats:
    """Waves of thin lines, as on cheques, as factors on the paper's level."""
    factor = np.ones_like(y)
    for _ in range(rng.integers(1, 4)):
        angle, period = rng.uniform(0, np.pi), rng.uniform(2.5, 9)
        wave = rng.uniform(0, 6) * np.sin(
            (x * np.cos(angle) + y * np.sin(angle)) / rng.uniform(6, 25) + rng.uniform(0, 7)
        )
        phase = (y * np.cos(angle) - x * np.sin(angle) + wave) * 2 * np.pi / period
        factor -= rng.uniform(0.02, 0.15) * np.clip(np.cos(phase) * rng.uniform(0.7, 2) - 0.3, 0, 1)
    return factor
