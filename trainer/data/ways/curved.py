"""Twos, threes, fives and eights: digits of one curved stroke, with loops and corners."""

import numpy as np

from trainer.data.pen import Stroke, curve, joined, line, slanted


def looped_two(rng: np.random.Generator) -> list[Stroke]:
    """A two with a loop at the foot."""
    return _two(rng, curl=rng.uniform(0, 0.25), loop=rng.uniform(0.4, 1.3))


def curled_two(rng: np.random.Generator) -> list[Stroke]:
    """A two whose stroke begins with a curl inwards."""
    return _two(rng, curl=rng.uniform(0.3, 0.9), loop=rng.uniform(0, 1.2) if rng.random() < 0.5 else 0.0)


def q_two(rng: np.random.Generator) -> list[Stroke]:
    """A two like a Q: its stroke begins where it will come by again, so that the body is closed, and ends in a tail."""
    return _two(rng, curl=rng.uniform(0.85, 1.25), loop=rng.uniform(0.2, 1.3), low=rng.uniform(0.3, 0.52))


def _two(rng: np.random.Generator, *, curl: float, loop: float, low: float = 0.3) -> list[Stroke]:
    """A two; `curl`, about 0 to 1, is how far its beginning comes round, `loop` how large the one at the foot is."""
    wide, left = rng.uniform(0.6, 1.0), rng.uniform(0.0, 0.1)
    start = [(left, low)]
    if curl > 0.25:
        start = [(left + 0.5 * curl, low + 0.22 * curl), (left + 0.2 * curl, low + 0.24 * curl), (left - 0.02, low)]
    top = [(0.14, 0.1), (0.42, 0.0), (0.72, 0.09), (0.78, 0.3), (0.6, 0.56), (0.3, 0.84)]
    foot = [(0.06, 0.99)]
    if loop > 0.3:
        foot = [(0.12, 0.95), (-0.06 * loop, 0.97), (-0.12 * loop, 0.9 - 0.06 * loop), (0.12, 0.9 - 0.16 * loop)]
    tail = [(0.45, 0.93 + rng.uniform(-0.06, 0.04)), (0.75, 0.98), (rng.uniform(0.85, 1.1), rng.uniform(0.82, 1.0))]
    stroke = curve(*start, *top, *foot, *tail)
    stroke[:, 0] *= wide
    return slanted([stroke], rng.uniform(-0.05, 0.35))


def flat_three(rng: np.random.Generator) -> list[Stroke]:
    """A three with a straight roof and a corner, at times with a serif."""
    wide, waist = rng.uniform(0.55, 0.8), rng.uniform(0.34, 0.45)
    roof = [(0.0, rng.uniform(0, 0.06)), (wide, rng.uniform(0, 0.04))]
    if rng.random() < 0.3:
        roof.insert(0, (rng.uniform(-0.05, 0.05), rng.uniform(0.1, 0.2)))
    corner = (wide * rng.uniform(0.35, 0.6), waist)
    bowl = curve(corner, (wide * 0.85, waist + 0.05), (wide, 0.68), (wide * 0.7, 0.96), (0.25, 1), (0, 0.86))
    return slanted([joined(np.array([*roof, corner]), bowl)], rng.uniform(-0.05, 0.3))


def looped_three(rng: np.random.Generator) -> list[Stroke]:
    """A round three with a loop at its waist, whose ends come far to the left."""
    wide, loop = rng.uniform(0.6, 0.85), rng.uniform(0.05, 0.16)
    upper = [(0.02, rng.uniform(0.1, 0.28)), (wide * 0.4, 0), (wide * 0.88, 0.14), (wide * 0.75, 0.38)]
    middle = [(0.3, 0.5), (0.3 - loop, 0.47), (0.32, 0.47 - loop / 2)]
    lower = [(wide * 0.8, 0.52), (wide, 0.74), (wide * 0.65, 0.97), (0.2, 0.99), (0.0, rng.uniform(0.78, 0.9))]
    return slanted([curve(*upper, *middle, *lower)], rng.uniform(-0.05, 0.3))


def roofed_five(rng: np.random.Generator) -> list[Stroke]:
    """A five whose roof is a stroke of its own, apart or long, or which is written in one like an S with a flat top."""
    wide, waist = rng.uniform(0.5, 0.75), rng.uniform(0.34, 0.46)
    bowl = [(0.3, waist - 0.02), (wide * 0.9, waist + 0.12), (wide, 0.72), (wide * 0.6, 0.96), (0.0, 0.97)]
    left = rng.uniform(0.08, 0.2)
    roof = [(left, rng.uniform(-0.01, 0.06)), (wide + rng.uniform(-0.1, 0.45), rng.uniform(-0.08, 0.05))]
    neck = joined(line((left, rng.uniform(0.0, 0.1)), (rng.uniform(0.02, 0.1), waist)), curve(*bowl))
    if rng.random() < 0.5:
        apart = np.array(roof) + np.array([rng.uniform(0, 0.15), rng.uniform(-0.08, 0)])
        return slanted([neck, apart], rng.uniform(0, 0.35))
    return slanted([joined(np.array(roof[::-1]), neck)], rng.uniform(0, 0.35))


def open_eight(rng: np.random.Generator) -> list[Stroke]:
    """An eight written like an S and closed by a diagonal, whose ends do not meet."""
    wide = rng.uniform(0.4, 0.75)
    first = (wide * rng.uniform(0.75, 1.0), rng.uniform(0.06, 0.2))
    last = (wide * rng.uniform(0.7, 1.1), rng.uniform(-0.05, 0.12))
    body = [(wide * 0.45, 0.0), (wide * 0.08, 0.2), (wide * 0.45, 0.46), (wide * 0.95, 0.76), (wide * 0.5, 1.0)]
    back = [(wide * 0.04, 0.8), (wide * 0.4, 0.52), (wide * 0.8, 0.28)]
    return slanted([curve(first, *body, *back, last)], rng.uniform(-0.05, 0.35))
