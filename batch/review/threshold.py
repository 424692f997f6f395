"""From which confidence on a table may be left as it is, by an audited sample of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from batch.review.estimate import Estimate, Stratum, estimate
from batch.review.sample import WHOLE, Layer

# In ten-thousandths: nearer to each other where most rows are.
_GRID = (0, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 9500, 9700, 9800, 9900, 9950, 9980, 9990, 9995, 9998, 9999, WHOLE)


@dataclass(frozen=True)
class Looked:
    """A row of the sample that a person has looked at.

    Attributes:
        confidence: in ten-thousandths.
        is_wrong: whether the table's answer is not the person's.
    """

    confidence: int
    is_wrong: bool


@dataclass(frozen=True)
class Threshold:
    """A confidence below which rows are to be reviewed.

    Attributes:
        confidence: for `--min-confidence`.
        review: how many rows lie below it.
        rest: what is known of the others.
        is_sure: whether the whole 95 % interval of the rest is within what was wanted, and not its estimate alone.
    """

    confidence: float
    review: int
    rest: Estimate
    is_sure: bool


def whole(layers: Sequence[Layer], looked: Sequence[Looked]) -> Estimate:
    """What is known of all rows. Raises ValueError if nobody has looked at any."""
    return estimate([Stratum(layer.rows, *_counts(looked, layer.low, layer.high)) for layer in layers])


def find_threshold(
    counts: Mapping[int, int], layers: Sequence[Layer], looked: Sequence[Looked], most: float
) -> Threshold | None:
    """The least confidence from which on at most a share of the answers is wrong.

    The rows above a confidence are a domain of the sample: in each stratum, what was drawn of them is a random sample
    of them.

    Args:
        counts: rows by their confidence in ten-thousandths.
        layers: the strata.
        looked: the sample, as far as a person has looked at it.
        most: that share.

    Returns:
        The threshold of which the sample is sure, or else the one by the estimate alone; None if there is none.
    """
    sums = [0, *accumulate(counts.get(confidence, 0) for confidence in range(WHOLE + 1))]
    likely = None
    for low in sorted({*_GRID, *(layer.low for layer in layers)}):
        rest = _above(sums, layers, looked, low)
        if rest is None:
            break
        found = Threshold(low / WHOLE, sums[low], rest, is_sure=rest.high <= most)
        if found.is_sure:
            return found
        if likely is None and rest.wrong <= most:
            likely = found
    return likely


def _above(sums: Sequence[int], layers: Sequence[Layer], looked: Sequence[Looked], low: int) -> Estimate | None:
    strata = []
    for layer in layers:
        first = max(layer.low, low)
        rows = sums[layer.high + 1] - sums[first] if first <= layer.high else 0
        if rows:
            strata.append(Stratum(rows, *_counts(looked, first, layer.high)))
    try:
        return estimate(strata)
    except ValueError:
        return None


def _counts(looked: Sequence[Looked], low: int, high: int) -> tuple[int, int]:
    found = [one.is_wrong for one in looked if low <= one.confidence <= high]
    return len(found), sum(found)
