"""A random sample of a table's rows, stratified by confidence: a pure function of the confidences, a size and a seed.

Boundaries and sizes follow the standard deviation that is to be expected within a stratum: W. G. Cochran, "Sampling
Techniques", 3rd edition, Wiley 1977, sections 5.5 (Neyman's allocation) and 5A.7 (boundaries at equal steps of a
cumulated measure). A row of confidence c is expected to be wrong with probability 1 - c, and a little more, so that a
model that is too sure of itself does not keep its sure answers out of the sample.

A larger sample with the same seed holds the smaller one.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

WHOLE = 10_000
"""Confidence 1, in the units that it is counted in: it has four decimals."""

_STRATA = 5
_DOUBT = 0.03  # of any confidence
_NEARLY = 1 - 1e-9


@dataclass(frozen=True)
class Layer:
    """A stratum of the table.

    Attributes:
        low: its least confidence, in ten-thousandths.
        high: its highest.
        rows: how many rows it has.
        size: how many of them are drawn.
    """

    low: int
    high: int
    rows: int
    size: int


def design(counts: Mapping[int, int], size: int) -> list[Layer]:
    """Cut a table into strata, and share out the sample.

    Args:
        counts: rows by their confidence in ten-thousandths.
        size: of the sample; more than there are rows is all of them.

    Returns:
        Strata with rows, the least sure first.
    """
    present = [(confidence, count, _deviation(confidence) * count) for confidence, count in sorted(counts.items())]
    step = sum(weight for _, _, weight in present) / _STRATA
    cuts: list[tuple[int, float]] = []  # rows and deviations of each stratum
    ends: list[int] = []
    rows, weight, passed = 0, 0.0, 0.0
    for confidence, count, more in present:
        # One confidence that fills a step by itself is a stratum of its own.
        if rows and more >= step:
            cuts.append((rows, weight))
            ends.append(confidence - 1)
            rows, weight = 0, 0.0
        rows, weight, passed = rows + count, weight + more, passed + more
        if weight >= step * _NEARLY or passed >= step * _STRATA * _NEARLY:
            cuts.append((rows, weight))
            ends.append(confidence)
            rows, weight = 0, 0.0
    lows = [0, *(end + 1 for end in ends)]
    sizes = _share_out(cuts, size)
    return [
        Layer(low, high, rows, drawn) for low, high, (rows, _), drawn in zip(lows[:-1], ends, cuts, sizes, strict=True)
    ]


def _deviation(confidence: int) -> float:
    wrong = min(1 - confidence / WHOLE + _DOUBT, 0.5)
    return math.sqrt(wrong * (1 - wrong))


def _share_out(strata: Sequence[tuple[int, float]], size: int) -> list[int]:
    """How many rows each stratum gives, in proportion to its deviations.

    By a divisor method, so that more rows in all are never fewer of one stratum: Webster's, as Balinski and Young have
    it in "Fair Representation", Yale 1982.
    """
    sizes = [0] * len(strata)
    open_ = [(-weight, place) for place, (rows, weight) in enumerate(strata) if rows]
    heapq.heapify(open_)
    for _ in range(size):
        if not open_:
            break
        _, place = heapq.heappop(open_)
        sizes[place] += 1
        rows, weight = strata[place]
        if sizes[place] < rows:
            heapq.heappush(open_, (-weight / (2 * sizes[place] + 1), place))
    return sizes


def draw(layers: Sequence[Layer], seed: int) -> list[list[int]]:
    """Draw the sample.

    Args:
        layers: as `design` gives them.
        seed: of the randomness.

    Returns:
        For each stratum the places of its rows, counted over all rows in the order of their confidence, from 0.
    """
    drawn = []
    first = 0
    for number, layer in enumerate(layers):
        chosen = _first_of_shuffled(layer.rows, layer.size, Random(f"{seed}-{number}"))  # noqa: S311 - no secret
        drawn.append([first + place for place in chosen])
        first += layer.rows
    return drawn


def _first_of_shuffled(count: int, size: int, random: Random) -> list[int]:
    """The first numbers of a shuffled range (Fisher and Yates), of which only what was moved is held."""
    moved: dict[int, int] = {}
    chosen = []
    for place in range(size):
        other = random.randrange(place, count)
        chosen.append(moved.get(other, other))
        moved[other] = moved.get(place, place)
    return chosen
