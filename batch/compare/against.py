"""Two tables against the truth: how right each is, and whether the difference can be told from chance."""

import math
from dataclasses import dataclass

from batch.accuracy.tally import Score

BETTER, WORSE, NEITHER = "better", "worse", "neither"


@dataclass
class Against:
    """Counts rows with a label, in both tables; a row with an error is not right.

    Attributes:
        images: how many have a label.
        unlabelled: how many have none.
        old_right: answered right in the old table.
        new_right: the same in the new one.
        better: only in the new one.
        worse: only in the old one.
        neither: changed, and right in none.
    """

    images: int = 0
    unlabelled: int = 0
    old_right: int = 0
    new_right: int = 0
    better: int = 0
    worse: int = 0
    neither: int = 0

    def add(self, old: str, new: str, truth: str, *, is_change: bool) -> str:
        """Count a row; of a change, say whether it is for the better, of any other row nothing."""
        self.images += 1
        was, is_now = old == truth, new == truth
        self.old_right += was
        self.new_right += is_now
        self.better += is_now and not was
        self.worse += was and not is_now
        if was != is_now:
            return BETTER if is_now else WORSE
        self.neither += is_change
        return NEITHER if is_change else ""

    @property
    def old(self) -> Score:
        """Of the old table."""
        return Score(self.old_right, self.images)

    @property
    def new(self) -> Score:
        """Of the new one."""
        return Score(self.new_right, self.images)

    @property
    def p(self) -> float:
        """Of McNemar's exact test."""
        return mcnemar(self.worse, self.better)


def mcnemar(one: int, other: int) -> float:
    """McNemar's exact test, two-sided: how likely counts as unequal as these or more so are by chance alone.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947), 153-157, with the binomial distribution in the place of its approximation. The terms of
    the tail are summed from the largest down, so that a million changes take no longer than they must.

    Args:
        one: rows that only one table has right.
        other: rows that only the other has right.
    """
    total, least = one + other, min(one, other)
    logarithm = math.lgamma(total + 1) - math.lgamma(least + 1) - math.lgamma(total - least + 1)
    term = math.exp(logarithm - total * math.log(2))
    tail = 0.0
    for count in range(least, -1, -1):
        tail += term
        if term <= tail * 1e-17:
            break
        term *= count / (total - count + 1)
    return min(1.0, 2 * tail)
