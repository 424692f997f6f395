"""How people outside North America write digits on forms, and how often, as strokes of a pen.

Each function of this room draws one way, a digit about 1 high whose columns and rows grow to the right and downwards,
with lengths at random: ranges end where a person would begin to read another digit.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from trainer.data.pen import Stroke
from trainer.data.ways import curved, nines, straight, zeros

Way = Callable[[np.random.Generator], list[Stroke]]
"""Draws one digit with lengths at random."""

WAYS: Final[dict[int, tuple[tuple[Way, float], ...]]] = {
    0: (
        (zeros.flat_zero, 1.0),
        (zeros.fish_zero, 0.8),
        (zeros.footed_zero, 0.3),
        (zeros.open_zero, 1.0),
        (zeros.tailed_zero, 0.8),
        (zeros.narrow_zero, 0.6),
    ),
    1: ((straight.caret_one, 1.0), (straight.round_one, 0.6), (straight.looped_one, 0.25), (straight.lying_one, 0.8)),
    2: ((curved.looped_two, 0.8), (curved.curled_two, 0.8), (curved.q_two, 1.0)),
    3: ((curved.flat_three, 0.5), (curved.looped_three, 0.5)),
    4: (
        (straight.open_four, 1.0),
        (straight.short_four, 0.8),
        (straight.one_stroke_four, 0.6),
        (straight.low_four, 0.4),
    ),
    5: ((curved.roofed_five, 1.0),),
    7: ((straight.crossed_seven, 1.0), (straight.round_seven, 1.0)),
    8: ((curved.open_eight, 1.0),),
    9: ((nines.p_nine, 1.0), (nines.fish_nine, 1.0), (nines.stemmed_nine, 0.7), (nines.g_nine, 0.6)),
}
"""How each digit is written, and how often, by weights. A six has no way of its own here."""


def write(digit: int, rng: np.random.Generator) -> list[Stroke]:
    """One of the ways of a digit that has some, with lengths at random."""
    ways = WAYS[digit]
    limits = np.cumsum([weight for _, weight in ways])
    chosen = int(np.searchsorted(limits, rng.random() * limits[-1], side="right"))
    return ways[chosen][0](rng)
