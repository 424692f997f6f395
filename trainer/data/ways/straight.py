"""Ones, fours and sevens: digits of straight strokes."""

import numpy as np

from trainer.data.pen import Stroke, curve, joined, line, slanted


def caret_one(rng: np.random.Generator) -> list[Stroke]:
    """A one with a long steep flag, at times with a foot."""
    long, angle = rng.uniform(0.3, 0.95), np.radians(rng.uniform(18, 40))
    flag = (-long * np.sin(angle), long * np.cos(angle))
    bow = rng.uniform(-0.08, 0.08)
    lean = rng.uniform(-0.25, 0.12)
    stem = curve((0, 0), (lean / 2 + rng.uniform(-0.03, 0.03), 0.5), (lean, 1))
    strokes = [joined(curve(flag, (flag[0] / 2 - bow, flag[1] / 2 - abs(bow) / 2), (0, 0)), stem)]
    if rng.random() < 0.2 and long < 0.5:
        strokes.append(line((lean - rng.uniform(0.15, 0.4), 1), (lean + rng.uniform(0.1, 0.4), 1)))
    return slanted(strokes, rng.uniform(-0.05, 0.35))


def round_one(rng: np.random.Generator) -> list[Stroke]:
    """A one whose flag comes over a round top."""
    drop = rng.uniform(0.15, 0.55)
    long = rng.uniform(0.12, 0.22) + 0.3 * max(0.0, drop - 0.25)
    places = [(-long, drop), (-long * 0.45, drop * 0.35), (0, 0.02), (0.03, 0.14), (rng.uniform(-0.04, 0.04), 0.55)]
    return slanted([curve(*places, (rng.uniform(-0.12, 0.03), 1))], rng.uniform(0, 0.45))


def looped_one(rng: np.random.Generator) -> list[Stroke]:
    """A one like a narrow l: up with a bow, down straight, at times with a turn to the right at the foot."""
    wide, low = rng.uniform(0.05, 0.11), rng.uniform(0.66, 0.85)
    up = [(-rng.uniform(0.15, 0.3), low), (0, low - 0.14), (wide, 0.25), (wide * 0.9, 0.05), (0, 0)]
    down = [(-wide, 0.12), (-wide, 0.5), (-wide, 0.88)]
    end = [(-wide + 0.05, 0.97), (rng.uniform(0.1, 0.25), 0.95)] if rng.random() < 0.6 else [(-wide, 1.0)]
    return slanted([curve(*up, *down, *end)], rng.uniform(0, 0.35))


def lying_one(rng: np.random.Generator) -> list[Stroke]:
    """A stroke that is nearly as slanted as a slash can be, at times with a short flag or a turn at the foot."""
    slant = rng.uniform(0.4, 1.1)
    places = [(rng.uniform(-0.05, 0.05), 0.5), (0, 1)]
    if rng.random() < 0.25:
        places[1:] = [(-0.02, 0.88), (0.04, 0.98), (rng.uniform(0.1, 0.2), 0.95)]
    stem = curve((0, 0), *places)
    if rng.random() < 0.5:
        flag = rng.uniform(0.1, 0.3)
        return slanted([joined(line((-flag * rng.uniform(0.2, 0.7), flag), (0, 0)), stem)], slant)
    return slanted([stem], slant)


def open_four(rng: np.random.Generator) -> list[Stroke]:
    """A four like lightning, an h or a y: in one stroke or two, the right one short or long."""
    bar, wide = rng.uniform(0.45, 0.72), rng.uniform(0.4, 0.75)
    lean = rng.uniform(0.0, 0.3)
    top = rng.uniform(0.0, bar)
    left = [(lean, 0), (lean * 0.4, bar * 0.6)]
    tilt = rng.uniform(-0.12, 0.08)
    end = (wide + rng.uniform(0.02, 0.3), bar + tilt)
    corner = (0.0, bar)
    if rng.random() < 0.5:
        across = curve(*left, (0.02, bar * 0.92), (wide * 0.35, bar + 0.03), end)
    else:
        across = np.array([*left, corner, end])
    foot = (wide - rng.uniform(-0.05, 0.25), 1.0)
    right = curve((wide + rng.uniform(-0.02, 0.1), top), (wide, (top + 1) / 2), foot)
    # A slanted one whose right stroke begins at the bar would be like a five.
    return slanted([across, right], rng.uniform(0, 0.4 - 0.25 * top / bar))


def short_four(rng: np.random.Generator) -> list[Stroke]:
    """A four like an L with a short stroke across its foot."""
    bar, wide, lean = rng.uniform(0.74, 0.86), rng.uniform(0.4, 0.75), rng.uniform(-0.05, 0.2)
    left = [(lean, 0), (0.0, bar), (wide, bar + rng.uniform(-0.12, 0.04))]
    across = curve(left[0], (lean * 0.4, bar * 0.6), (0.03, bar * 0.95), (wide * 0.3, bar), left[2])
    if rng.random() < 0.5:
        across = np.array(left)
    place, lower = wide * rng.uniform(0.5, 0.95), rng.uniform(0.0, 0.2)
    right = line((place + 0.05, bar - rng.uniform(0.12, 0.4)), (place - lower, 1.0))
    return slanted([across, right], rng.uniform(0, 0.35))


def one_stroke_four(rng: np.random.Generator) -> list[Stroke]:
    """A four whose bar goes over into the right stroke, like a y or an h."""
    bar, wide, lean = rng.uniform(0.4, 0.6), rng.uniform(0.42, 0.65), rng.uniform(-0.05, 0.15)
    top = rng.uniform(0.0, bar * 0.6)
    bowl = curve((lean, 0), (0.02, bar * 0.7), (0.1, bar * 1.02), (wide * 0.55, bar * 1.02), (wide, bar * 0.75))
    stem = curve((wide + 0.02, top), (wide, 0.55), (wide - rng.uniform(0, 0.3), 1))
    return slanted([bowl, stem], rng.uniform(0, 0.35))


def low_four(rng: np.random.Generator) -> list[Stroke]:
    """A closed four with its bar near the foot."""
    bar, wide, stem = rng.uniform(0.62, 0.84), rng.uniform(0.55, 0.85), rng.uniform(0.4, 0.6)
    apex, reach = (stem + rng.uniform(-0.02, 0.05), 0.0), rng.uniform(0.1, 0.35)
    triangle = np.array([apex, (0, bar), (stem + reach, bar + rng.uniform(-0.06, 0.06))])
    strokes = [triangle * [wide / 0.7, 1], line((apex[0] * wide / 0.7, 0), (stem * wide / 0.7, 1))]
    return slanted(strokes, rng.uniform(-0.1, 0.2))


def crossed_seven(rng: np.random.Generator) -> list[Stroke]:
    """A seven with a bar through its stem at any height, at times with a serif, its roof straight or waved."""
    wide = rng.uniform(0.4, 0.75)
    foot = wide * rng.uniform(0.1, 0.6)
    roof_left, roof_right = rng.uniform(0, 0.1), rng.uniform(0, 0.06)
    wave = rng.uniform(-0.06, 0.1) if rng.random() < 0.5 else 0.0
    roof = curve((0, roof_left), (wide * 0.4, wave + 0.03), (wide, roof_right))
    bend = rng.uniform(-0.06, 0.12)
    stem = curve((wide, roof_right), ((wide + foot) / 2 + bend, 0.5), (foot, 1))
    strokes = [joined(roof, stem)]
    if rng.random() < 0.45:
        strokes[0] = joined(
            line((rng.uniform(-0.04, 0.06), roof_left + rng.uniform(0.1, 0.26)), (0, roof_left)), strokes[0]
        )
    if rng.random() < 0.85:
        row = rng.uniform(0.33, 0.72)
        middle = foot + (wide - foot) * (1 - row) + bend * 0.8
        tilt = rng.uniform(-0.12, 0.08)
        left, right = (middle + way * rng.uniform(0.18, 0.5) for way in (-1, 1))
        strokes.append(line((left, row - tilt), (right, row + tilt)))
    return slanted(strokes, rng.uniform(-0.05, 0.3))


def round_seven(rng: np.random.Generator) -> list[Stroke]:
    """A seven with a roof that bends over into the stem, and a bar that may be as wide as the roof."""
    wide = rng.uniform(0.25, 0.7)
    foot = wide * rng.uniform(0.0, 0.9)
    start = (0, rng.uniform(0.02, 0.22))
    stem = curve(start, (wide * 0.35, 0.01), (wide * 0.85, 0.03), (wide, 0.2), ((wide + foot) / 2, 0.6), (foot, 1))
    row, tilt = rng.uniform(0.42, 0.62), rng.uniform(-0.1, 0.05)
    middle = wide + (foot - wide) * row
    bar = line((middle - rng.uniform(0.18, 0.45), row - tilt), (middle + rng.uniform(0.15, 0.45), row + tilt))
    return slanted([stem, bar], rng.uniform(0, 0.35))
