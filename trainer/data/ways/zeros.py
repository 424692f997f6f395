"""Zeros that lie, stay open, end in a tail or lean."""

import numpy as np

from trainer.data.pen import Stroke, arc, curve, either_way, slanted, turned


def flat_zero(rng: np.random.Generator) -> list[Stroke]:
    """An ellipse that lies, its ends apart or one over the other."""
    start = rng.uniform(0, 360)
    turn = either_way(rng) * rng.uniform(330, 390)
    return turned([arc((0.5, 0.5), (0.5, rng.uniform(0.19, 0.33)), start, start + turn)], rng.uniform(-20, 12))


def fish_zero(rng: np.random.Generator) -> list[Stroke]:
    """An ellipse that lies, or a round one, whose ends cross and go on a little."""
    down = rng.uniform(0.18, 0.42)
    reach, half = rng.uniform(0.1, 0.28), rng.uniform(25, 45)
    upper = rng.uniform(0.4, 1.0)
    body = arc((0, 0), (0.5, down), half, 360 - half)
    # The ends cross on the right, where the ellipse would have closed.
    crossing = 0.5 + reach / 2
    before, after = body[0], body[-1]
    tails = [(crossing + reach * upper, -0.8 * before[1]), (crossing + reach, 0.8 * before[1])]
    stroke = curve(tails[0], *(tuple(place) for place in body), tails[1])
    if rng.random() < 0.35 and after[0] < 1:
        stroke[:, 0] *= -1
    return turned([stroke], rng.uniform(-12, 12))


def footed_zero(rng: np.random.Generator) -> list[Stroke]:
    """A round zero whose ends cross at the foot and go out to both sides, like an omega."""
    across = rng.uniform(0.35, 0.5)
    half = rng.uniform(15, 30)
    body = arc((0, 0.4), (across, 0.42), 90 + half, 450 - half)
    reach = across * rng.uniform(0.6, 1.0)
    row = 0.85 + rng.uniform(0, 0.08)
    ends = [(reach, row), (-reach * rng.uniform(0.7, 1.0), row + rng.uniform(-0.04, 0.04))]
    return [curve(ends[0], *(tuple(place) for place in body), ends[1])]


def open_zero(rng: np.random.Generator) -> list[Stroke]:
    """A zero with a gap at the top, or with an end that hooks inwards there."""
    across, way = rng.uniform(0.25, 0.48), either_way(rng)
    start = -90 + rng.uniform(-35, 35)
    hooked = rng.random() < 0.6
    turn = rng.uniform(345, 385) if hooked else rng.uniform(310, 345)
    inwards = rng.uniform(0.45, 0.9) if hooked else 1.0
    body = arc((0.5, 0.5), (across, 0.5), start, start + way * turn, inwards)
    return slanted([body], rng.uniform(-0.1, 0.4))


def tailed_zero(rng: np.random.Generator) -> list[Stroke]:
    """A zero like an a, whose stroke ends in a small tail at the upper or the lower right."""
    across, tail = rng.uniform(0.28, 0.48), rng.uniform(0.06, 0.2)
    column = 0.5 + across
    if rng.random() < 0.5:
        body = arc((0.5, 0.5), (across, 0.5), -55, -55 - rng.uniform(335, 370))
        end = [(body[-1][0] + tail * rng.uniform(0.6, 1.2), body[-1][1] - tail * rng.uniform(-0.3, 0.6))]
        return slanted([curve(*(tuple(place) for place in body), *end)], rng.uniform(0, 0.3))
    body = arc((0.5, 0.5), (across, 0.5), -40, -40 - rng.uniform(315, 345))
    foot = curve((column - 0.03, rng.uniform(0.05, 0.3)), (column, 0.6), (column + 0.02, 0.9), (column + tail, 0.98))
    return slanted([body, foot], rng.uniform(0, 0.3))


def narrow_zero(rng: np.random.Generator) -> list[Stroke]:
    """A narrow zero on its way to the right."""
    start, way = -90 + rng.uniform(-40, 40), either_way(rng)
    slant = rng.uniform(0.2, 0.7)
    # A slant brings the sides closer together; with a thick pen they would meet, as in a one.
    across = rng.uniform(0.17, 0.24) * np.sqrt(1 + slant**2)
    body = arc((0.5, 0.5), (across, 0.5), start, start + way * rng.uniform(335, 395))
    return slanted([body], slant)
