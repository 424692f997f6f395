"""Two networks on the same pictures: how right each is, and whether the difference can be told from chance.

NumPy only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_Z = 1.959964  # of a standard normal variable, 95 % lie within as much

Bools = npt.NDArray[np.bool_]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Paired:
    """Shares of pictures answered right, with 95 % intervals."""

    images: int
    old_right: int
    new_right: int
    old_interval: Interval
    new_interval: Interval
    difference_interval: Interval
    """Of the new share less the old one."""
    only_old: int
    """Pictures that the old network alone answers right."""
    only_new: int
    p: float
    """Of McNemar's exact test: how likely so unequal numbers of such pictures are if both networks are as good."""

    @property
    def old(self) -> float:
        """Share of pictures that the old network answers right."""
        return self.old_right / self.images

    @property
    def new(self) -> float:
        """The same of the new one."""
        return self.new_right / self.images


def compare(old: Bools, new: Bools, groups: Sequence[object] | None = None) -> Paired:
    """Compare two networks.

    Args:
        old: which of n pictures the old network answers right, bool [n]; n > 0.
        new: the same of the new one.
        groups: of each picture. Pictures of a group, such as a writer's, tend to be right together, which widens the
            intervals. None where each picture is alone. McNemar's test takes each for itself in any case.
    """
    place = np.arange(len(old)) if groups is None else np.unique(np.array(groups, object), return_inverse=True)[1]
    only_old, only_new = int((old & ~new).sum()), int((new & ~old).sum())
    change = new.astype(float) - old.astype(float)
    reach = _Z * math.sqrt(_variance(change, place))
    return Paired(
        images=len(old),
        old_right=int(old.sum()),
        new_right=int(new.sum()),
        old_interval=_wilson(old, place),
        new_interval=_wilson(new, place),
        difference_interval=(max(-1.0, change.mean() - reach), min(1.0, change.mean() + reach)),
        only_old=only_old,
        only_new=only_new,
        p=mcnemar(only_old, only_new),
    )


def mcnemar(one: int, other: int) -> float:
    """McNemar's exact test (1947), two-sided: the binomial probability of numbers as unequal as these or more so."""
    total = one + other
    ways, tail = 1, 0
    for count in range(min(one, other) + 1):
        tail += ways
        ways = ways * (total - count) // (count + 1)
    return min(1.0, 2 * tail / (1 << total))


def _variance(values: npt.NDArray[np.float64], place: npt.NDArray[np.integer]) -> float:
    """Variance of a mean, values of a group taken as one (Cochran, "Sampling Techniques", 1977, cluster sampling)."""
    sums = np.bincount(place, values - values.mean())
    count = len(sums)
    return float((sums**2).sum() / len(values) ** 2 * count / (count - 1)) if count > 1 else 0.25


def _wilson(right: Bools, place: npt.NDArray[np.integer]) -> Interval:
    """Wilson's score interval (1927), with as many pictures as say the same without groups (Rao and Scott 1992)."""
    share = float(right.mean())
    alone = share * (1 - share) / max(1, len(right) - 1)
    effect = max(1.0, _variance(right.astype(float), place) / alone) if alone else 1.0
    count = len(right) / effect
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    reach = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return max(0.0, centre - reach), min(1.0, centre + reach)
