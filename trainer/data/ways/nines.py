"""Nines like a p, a q, a g, and with a loop for a bowl."""

import numpy as np

from trainer.data.pen import Stroke, arc, curve, slanted


def p_nine(rng: np.random.Generator) -> list[Stroke]:
    """A nine like a p: a round bowl, and from its lower left a long stem, straight or to the left at the foot."""
    across, down = rng.uniform(0.2, 0.36), rng.uniform(0.18, 0.28)
    start = rng.uniform(95, 160)
    bowl = arc((0, down), (across, down), start, start + rng.uniform(335, 385))
    stem_top = (float(bowl[0][0]), float(bowl[0][1]) - rng.uniform(0.0, 0.1))
    foot = (stem_top[0] + rng.uniform(-0.12, 0.1), 1.0)
    if rng.random() < 0.3:
        return slanted([bowl, curve(stem_top, foot, (foot[0] - rng.uniform(0.1, 0.25), 0.98))], rng.uniform(0, 0.35))
    return slanted([bowl, curve(stem_top, foot)], rng.uniform(0, 0.35))


def fish_nine(rng: np.random.Generator) -> list[Stroke]:
    """A nine whose bowl is a loop: around, and across its own beginning down to the foot."""
    across, down = rng.uniform(0.22, 0.4), rng.uniform(0.15, 0.24)
    begin = (-across * rng.uniform(0.5, 1.1), down * rng.uniform(1.9, 2.4))
    loop = [(0.4, 1.85), (1.0, 1.0), (0.15, 0.0), (-0.95, 0.8), (-0.6, 1.6)]
    foot = across * rng.uniform(-0.3, 1.4)
    stem = [(across * rng.uniform(0.0, 0.25), down * rng.uniform(2.2, 2.5)), (foot, 1.0)]
    stroke = curve(begin, *((across * x, down * y) for x, y in loop), *stem)
    if rng.random() < 0.4:
        stroke[:, 0] *= -1
    return slanted([stroke], rng.uniform(0, 0.3))


def stemmed_nine(rng: np.random.Generator) -> list[Stroke]:
    """A nine like a q: its stem begins at or above the top of the bowl, and ends straight or turns to the right."""
    across, down = rng.uniform(0.2, 0.34), rng.uniform(0.2, 0.3)
    bowl = arc((0, down), (across, down), -rng.uniform(20, 60), -rng.uniform(330, 400))
    top = rng.uniform(-0.14, 0.08)
    stem = [(across + 0.01, top), (across, 0.5), (across + rng.uniform(-0.08, 0.03), 1.0)]
    if rng.random() < 0.3:
        stem[-1:] = [(across, 0.9), (across + 0.08, 0.99), (across + rng.uniform(0.15, 0.25), 0.93)]
    return slanted([bowl, curve(*stem)], rng.uniform(-0.05, 0.3))


def g_nine(rng: np.random.Generator) -> list[Stroke]:
    """A nine like a g: its stem turns far to the left at the foot and up again."""
    across, down = rng.uniform(0.2, 0.34), rng.uniform(0.18, 0.27)
    bowl = arc((0, down), (across, down), -rng.uniform(10, 50), -rng.uniform(340, 390))
    reach = across * rng.uniform(1.2, 2.2)
    rise = rng.uniform(0.0, 0.14)
    stem = [(across, rng.uniform(0, 0.15)), (across, 0.6), (across * 0.85, 0.88), (across * 0.2, 1.0)]
    return slanted([bowl, curve(*stem, (across - reach, 0.97 - rise))], rng.uniform(-0.05, 0.3))
