"""How many answers of a table are wrong, by a sample that is stratified by confidence.

The share is the stratified estimator of a proportion, and its variance has the finite population correction: W. G.
Cochran, "Sampling Techniques", 3rd edition, Wiley 1977, sections 5.3 and 5.10. The interval is Wilson's for a sample of
the effective size: a simple random sample of that size would have the same variance. E. L. Korn and B. I. Graubard,
"Confidence intervals for proportions with small expected number of positive counts estimated from survey data", Survey
Methodology 24 (1998), 193-201, have the effective size, with another interval; C. Franco et al., Journal of Survey
Statistics and Methodology 7 (2019), 334-364, compare intervals with it, Wilson's among them. A stratum in which no
mistake was found still has a variance: half a mistake, and half a right answer, are shared out over the strata for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from batch.accuracy.tally import wilson_interval

_HALF = 0.5


@dataclass(frozen=True)
class Stratum:
    """Rows of one range of confidence.

    Attributes:
        rows: how many there are.
        looked_at: how many of them, drawn at random, a person has looked at.
        wrong: how many of these are wrong.
    """

    rows: int
    looked_at: int
    wrong: int


@dataclass(frozen=True)
class Estimate:
    """What a sample tells of the rows that it was drawn from.

    Attributes:
        rows: how many there are.
        looked_at: how many a person has looked at.
        found: how many of these are wrong.
        wrong: share of all rows that is wrong, estimated.
        low: the lower end of its 95 % interval.
        high: the upper end.
    """

    rows: int
    looked_at: int
    found: int
    wrong: float
    low: float
    high: float

    @property
    def unseen(self) -> int:
        """How many rows nobody has looked at."""
        return self.rows - self.looked_at

    @property
    def unseen_wrong(self) -> tuple[float, float, float]:
        """How many of these are wrong: estimated, and the ends of the 95 % interval."""
        return self._unseen_wrong(self.wrong), self._unseen_wrong(self.low), self._unseen_wrong(self.high)

    def _unseen_wrong(self, share: float) -> float:
        return min(max(0.0, share * self.rows - self.found), self.unseen)


def estimate(strata: Sequence[Stratum]) -> Estimate:
    """Estimate the share of wrong answers.

    Args:
        strata: with rows in them, by confidence. One of which nobody has looked at a row is taken together with its
            neighbour.

    Raises:
        ValueError: nobody has looked at any row.
    """
    strata = _joined(strata)
    rows = sum(one.rows for one in strata)
    looked_at = sum(one.looked_at for one in strata)
    found = sum(one.wrong for one in strata)
    half = _HALF / len(strata)
    share = smooth = variance = 0.0
    for one in strata:
        weight = one.rows / rows
        rate = (one.wrong + half) / (one.looked_at + 2 * half)
        unseen = 1 - one.looked_at / one.rows
        share += weight * one.wrong / one.looked_at
        smooth += weight * rate
        variance += weight**2 * unseen * rate * (1 - rate) / one.looked_at
    share = min(share, 1.0)  # weights sum to 1 but for rounding
    if not variance:  # every row was looked at
        return Estimate(rows, looked_at, found, share, share, share)
    size = smooth * (1 - smooth) / variance
    low, high = wilson_interval(share * size, size)
    # What a person has seen is certain.
    low, high = max(low, found / rows), min(high, 1 - (looked_at - found) / rows)
    return Estimate(rows, looked_at, found, share, min(low, share), max(high, share))


def _joined(strata: Sequence[Stratum]) -> list[Stratum]:
    joined: list[Stratum] = []
    waiting = 0  # rows of strata that nobody has looked at
    for one in strata:
        if one.looked_at:
            joined.append(Stratum(one.rows + waiting, one.looked_at, one.wrong))
            waiting = 0
        else:
            waiting += one.rows
    if not joined:
        raise ValueError("nobody has looked at any row")
    last = joined.pop()
    return [*joined, Stratum(last.rows + waiting, last.looked_at, last.wrong)]
