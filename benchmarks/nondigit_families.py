"""Pictures that are no digit, of kinds that no network is trained on: other typefaces, alphabets, hands and signs.

`trainer/data/nondigits.py` draws what networks may be trained on. What stands here only measures.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from trainer.data.draw import SIZE, Pixels, Points, draw_lines, put_side_by_side, smooth, write_text
from trainer.data.nondigits import LETTERS, Draw

_FONTS = ("STIXGeneral", "STIXGeneralItalic", "STIXGeneralBol", "cmr10", "cmss10", "cmtt10", "cmti10", "cmb10")
_GREEK = "αλμπφψωΔΛΞΠΦΨΩ"
_GREEK_FONTS = ("STIXGeneral", "DejaVuSans", "DejaVuSerif")

# Corners of each stroke, column and row from the upper left of the letter's box.
_SKELETONS: Final[dict[str, tuple[tuple[tuple[float, float], ...], ...]]] = {
    "A": (((0, 1), (0.5, 0), (1, 1)), ((0.2, 0.6), (0.8, 0.6))),
    "E": (((1, 0), (0, 0), (0, 1), (1, 1)), ((0, 0.5), (0.8, 0.5))),
    "F": (((1, 0), (0, 0), (0, 1)), ((0, 0.45), (0.8, 0.45))),
    "H": (((0, 0), (0, 1)), ((1, 0), (1, 1)), ((0, 0.5), (1, 0.5))),
    "K": (((0, 0), (0, 1)), ((1, 0), (0, 0.55), (1, 1))),
    "M": (((0, 1), (0, 0), (0.5, 0.6), (1, 0), (1, 1)),),
    "N": (((0, 1), (0, 0), (1, 1), (1, 0)),),
    "P": (((0, 1), (0, 0), (0.8, 0.05), (0.9, 0.3), (0.6, 0.5), (0, 0.5)),),
    "R": (((0, 1), (0, 0), (0.8, 0.05), (0.9, 0.3), (0.6, 0.5), (0, 0.5)), ((0.3, 0.5), (1, 1))),
    "T": (((0, 0), (1, 0)), ((0.5, 0), (0.5, 1))),
    "V": (((0, 0), (0.5, 1), (1, 0)),),
    "W": (((0, 0), (0.25, 1), (0.5, 0.3), (0.75, 1), (1, 0)),),
    "X": (((0, 0), (1, 1)), ((1, 0), (0, 1))),
    "h": (((0, 0), (0, 1)), ((0, 0.6), (0.4, 0.4), (0.9, 0.5), (0.9, 1))),
    "k": (((0, 0), (0, 1)), ((0.8, 0.35), (0, 0.65), (0.8, 1))),
    "m": (
        ((0, 0.4), (0, 1)),
        ((0, 0.6), (0.25, 0.4), (0.5, 0.6), (0.5, 1)),
        ((0.5, 0.6), (0.75, 0.4), (1, 0.6), (1, 1)),
    ),
    "x": (((0, 0.3), (1, 1)), ((1, 0.3), (0, 1))),
}


def _typeset(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    return write_text(str(rng.choice(list(LETTERS))), str(rng.choice(_FONTS)), rng)


def _greek(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    return write_text(str(rng.choice(list(_GREEK))), str(rng.choice(_GREEK_FONTS)), rng)


def _word(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    letters = rng.choice(list(LETTERS.lower()), int(rng.integers(2, 5)))
    return write_text("".join(letters), str(rng.choice(_FONTS)), rng)


def _handwritten(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    """A letter by strokes, its corners anywhere near their places, joined by straight lines or by curves."""
    strokes = [np.array(stroke) for stroke in _SKELETONS[str(rng.choice(list(_SKELETONS)))]]
    slant, width = rng.uniform(-0.3, 0.3), rng.uniform(0.35, 0.6)
    curved = rng.random() < 0.5
    drawn = []
    for stroke in strokes:
        corners = stroke + rng.normal(0, 0.04, stroke.shape)
        corners = np.stack([0.5 + width * (corners[:, 0] - 0.5 + slant * (0.5 - corners[:, 1])), corners[:, 1]], axis=1)
        corners[:, 1] = 0.5 + 0.6 * (corners[:, 1] - 0.5)
        drawn.append(smooth(corners) if curved else corners)
    return draw_lines(drawn, _pen(rng))


def _three_digits(rng: np.random.Generator, digits: Pixels) -> Pixels:
    return put_side_by_side([digits[place] for place in rng.integers(0, len(digits), 3)], rng)


def _sign(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    """A circle with a cross, a star, an arrow, a tick, a triangle, a square, a grid, a plus, an equals sign."""
    kind: Callable[[], list[Points]] = _SIGNS[int(rng.integers(len(_SIGNS)))]
    turn = rng.uniform(-0.3, 0.3)
    cos, sin = np.cos(turn), np.sin(turn)
    size = rng.uniform(0.2, 0.35, 2)
    strokes = [(size * points) @ np.array([[cos, sin], [-sin, cos]]) + 0.5 for points in kind()]
    return draw_lines(strokes, _pen(rng))


def _loops(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    """A scribble that goes round and round, growing or wandering (Lissajous' figures)."""
    t = np.linspace(0, 2 * np.pi * rng.uniform(2.5, 6), 200)
    grow = np.linspace(rng.uniform(0.2, 1), 1, 200)
    ratio, phase = rng.choice([1.0, 1.5, 2 / 3, 0.8, 1.25]), rng.uniform(0.5, 2.6)
    drift = rng.uniform(-0.15, 0.15, 2)
    points = 0.5 + 0.25 * np.stack([grow * np.cos(t), grow * np.sin(ratio * t + phase)], axis=1)
    return draw_lines([points + drift * np.linspace(-1, 1, 200)[:, None]], _pen(rng, most=0.06))


def _hatching(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    """Stripes in one direction or in two, in a round or square patch."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    angle = rng.uniform(0, np.pi)
    period = rng.uniform(6, 16)
    one = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    other = np.sin(2 * np.pi * (y * np.cos(angle) - x * np.sin(angle)) / period)
    waves = np.maximum(one, other) if rng.random() < 0.3 else one * other if rng.random() < 0.4 else one
    reach = rng.uniform(18, 30)
    inside = np.hypot(x, y) < reach if rng.random() < 0.5 else np.maximum(abs(x), abs(y)) < reach
    picture: Pixels = np.rint(255 * np.clip(3 * waves + rng.uniform(-1, 0.5), 0, 1) * inside).astype(np.uint8)
    return picture


def _pen(rng: np.random.Generator, most: float = 0.1) -> float:
    return float(rng.uniform(0.03, most))


def _circle(radius: float = 1.0) -> Points:
    angle = np.linspace(0, 2 * np.pi, 25)
    circle: Points = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return circle


def _corners(count: int, step: int, start: float) -> Points:
    angle = start + 2 * np.pi * step * np.arange(count + 1) / count
    corners: Points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return corners


def _line(*points: tuple[float, float]) -> Points:
    return np.array(points, float)


_SIGNS: Final[tuple[Callable[[], list[Points]], ...]] = (
    lambda: [_circle(), _line((-0.7, -0.7), (0.7, 0.7)), _line((-0.7, 0.7), (0.7, -0.7))],
    lambda: [_circle(), _line((-1, 0), (1, 0)), _line((0, -1), (0, 1))],
    lambda: [_circle(), _circle(0.4)],
    lambda: [_corners(5, 2, -np.pi / 2)],
    lambda: [_line((-1, 0), (1, 0)), _line((0.3, -0.6), (1, 0), (0.3, 0.6))],
    lambda: [_line((-0.7, 0.1), (-0.2, 0.8), (1, -0.9))],
    lambda: [_corners(3, 1, -np.pi / 2)],
    lambda: [_corners(4, 1, np.pi / 4)],
    lambda: [_line((x, -1), (x, 1)) for x in (-0.4, 0.4)] + [_line((-1, y), (1, y)) for y in (-0.4, 0.4)],
    lambda: [_line((-1, 0), (1, 0)), _line((0, -1), (0, 1))],
    lambda: [_line((-1, -0.4), (1, -0.4)), _line((-1, 0.4), (1, 0.4))],
)
"""Strokes within -1 to 1."""

FAMILIES: Final[dict[str, Draw]] = {
    "letters, other typefaces": _typeset,
    "letters, by strokes": _handwritten,
    "Greek letters": _greek,
    "words": _word,
    "three digits": _three_digits,
    "signs": _sign,
    "loops": _loops,
    "hatching": _hatching,
}
