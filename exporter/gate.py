"""Whether an adapted network may take the place of the old one: what its run folder says of both.

Imports nothing heavy: the answer is there before TensorFlow is.
"""

import json
from pathlib import Path
from typing import Any, Final

from exporter.command import UserError
from exporter.contract import RUN_ADAPTED, RUN_METRICS

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
        return [] if adapted is None else [*_about_labels(adapted["held_out"]), *_about_mnist(adapted["mnist"])]
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{path} cannot be read: {error}; train it again with digits-train") from None


def _about_labels(held_out: dict[str, Any] | None) -> list[str]:
    if held_out is None:
        return ["no label could be held out, so nobody knows whether it is better"]
    old, new, images = int(held_out["old"]["right"]), int(held_out["new"]["right"]), int(held_out["images"])
    least, p = float(held_out["difference_interval"][0]), float(held_out["mcnemar_p"])
    if is_better(least, p):
        return []
    if new <= old:
        return [f"it reads {new:,} of {images:,} held-out pictures right, the old network {old:,}"]
    reason = f"it reads {new:,} right, the old network {old:,} (p {p:.2g})"
    return [f"{images:,} held-out pictures are too few to tell whether it is better: {reason}"]


def _about_mnist(mnist: dict[str, Any]) -> list[str]:
    old, new = float(mnist["old"]["accuracy"]), float(mnist["new"]["accuracy"])
    # Of whole numbers of pictures: a difference of just so much is not more.
    if old - new <= MOST_LOST + 1e-9:
        return []
    return [
        f"it reads {new:.2%} of MNIST's test digits, the old network {old:.2%}: {100 * (old - new):.2f} points less"
    ]
