"""Whether an adapted network may take the place of the old one: what its run folder says of both.

Imports nothing heavy: the answer is there before TensorFlow is.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from exporter.command import UserError
from exporter.contract import RUN_ADAPTED, RUN_FIELDS, RUN_METRICS

SURE: Final = 0.05
"""Probability of McNemar's test from which a difference may be chance."""
MOST_LOST: Final = 0.001
"""Of the share of MNIST's test digits read right, that an adapted network may lose."""


def is_better(least: float, p: float) -> bool:
    """Whether one network is better than another, beyond chance.

    Args:
        least: lower end of the 95 % interval of the difference of their accuracies, which knows of groups.
        p: of McNemar's test.
    """
    return least > 0 and p < SURE


def objections(run: Path) -> list[str]:
    """Why a run should not be published; nothing of a run that was not adapted from another network.

    Args:
        run: a run folder, or anything else that is published.

    Raises:
        UserError: its metrics cannot be read.
    """
    path = run / RUN_METRICS
    if not path.is_file():
        return []
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        adapted = metrics.get(RUN_ADAPTED)
        return [] if adapted is None else [*_about_labels(adapted), *_about_mnist(adapted["mnist"])]
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{path} cannot be read: {error}; train it again with digits-train") from None


@dataclass(frozen=True)
class _HeldOut:
    """Labelled pictures of one kind that a network was not fitted to: how many of them are read right."""

    name: str
    images: int
    old: int
    new: int
    p: float
    is_better: bool

    @classmethod
    def of(cls, name: str, figures: dict[str, Any]) -> "_HeldOut":
        least, p = float(figures["difference_interval"][0]), float(figures["mcnemar_p"])
        old, new = int(figures["old"]["right"]), int(figures["new"]["right"])
        return cls(name, int(figures["images"]), old, new, p, is_better(least, p))

    @property
    def objection(self) -> str:
        if self.new <= self.old:
            read = f"it reads {self.new:,} of {self.images:,} held-out {self.name} right"
            return f"{read}, the old network {self.old:,}"
        reason = f"it reads {self.new:,} right, the old network {self.old:,} (p {self.p:.2g})"
        return f"{self.images:,} held-out {self.name} are too few to tell whether it is better: {reason}"


def _about_labels(adapted: dict[str, Any]) -> list[str]:
    """Of digits and of fields: it must be better on one kind, and read no fewer of the other."""
    fields = adapted.get(RUN_FIELDS)
    given = {"pictures": adapted["held_out"], "fields": None if fields is None else fields["held_out"]}
    held_out = [_HeldOut.of(name, figures) for name, figures in given.items() if figures is not None]
    if not held_out:
        return ["no label could be held out, so nobody knows whether it is better"]
    if any(each.is_better for each in held_out):
        return [each.objection for each in held_out if each.new < each.old]
    return [each.objection for each in held_out]


def _about_mnist(mnist: dict[str, Any]) -> list[str]:
    old, new = float(mnist["old"]["accuracy"]), float(mnist["new"]["accuracy"])
    # Of whole numbers of pictures: a difference of just so much is not more.
    if old - new <= MOST_LOST + 1e-9:
        return []
    return [
        f"it reads {new:.2%} of MNIST's test digits, the old network {old:.2%}: {100 * (old - new):.2f} points less"
    ]
