"""What an adaptation was worth for fields of several digits: figures, and labels that are likely mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.adapt.readers import JudgedFields, Said
from trainer.data.pictures import Encoded
from trainer.evaluation.calibrate import reliability
from trainer.evaluation.paired import Paired, compare
from trainer.numbers.pictures import coverage, draw_coverage
from trainer.numbers.training import digit_error

COVERAGE = "coverage.png"


@dataclass(frozen=True, eq=False, kw_only=True)
class FieldsOutcome:
    """All that is known of fields when both readers have answered."""

    encoded: Encoded
    source: Path
    """Of the reader that was adapted."""
    missing: Sequence[str]
    """Labels without a file."""
    none: int
    """Fields without a number, which were passed over."""
    groups: Sequence[str]
    held_out: JudgedFields | None
    """None where nothing could be held out."""
    strings: JudgedFields
    """Strings of MNIST's test digits."""

    @property
    def compared(self) -> Paired | None:
        """Both readers on the held-out fields."""
        judged = self.held_out
        return None if judged is None else compare(judged.right(judged.old), judged.right(judged.new), self.groups)

    @property
    def compared_on_strings(self) -> Paired:
        """Both readers on strings of test digits."""
        return compare(self.strings.right(self.strings.old), self.strings.right(self.strings.new))

    @property
    def doubted(self) -> npt.NDArray[np.int64]:
        """Places of labels that are likely mistakes, the most doubted first.

        Both readers read the same other text, and the new one is as sure of it as it usually is of what it reads right.
        """
        judged = self.held_out
        if judged is None:
            return np.zeros(0, np.int64)
        right = judged.right(judged.new)
        least = float(judged.new.confidence[right].mean()) if right.any() else 1.0
        same = np.array(
            [text != "" and text == new for text, new in zip(judged.old.texts, judged.new.texts, strict=True)]
        )
        places = np.flatnonzero(same & ~right & (judged.new.confidence >= least))
        ordered: npt.NDArray[np.int64] = places[np.argsort(-judged.new.confidence[places], kind="stable")]
        return ordered


def draw(folder: Path, outcome: FieldsOutcome) -> None:
    """Draw the share of right readings against the share that is answered, before and after. Raises OSError."""
    judged = outcome.held_out
    if judged is None:
        return
    sides = [("before", judged.old), ("after", judged.new)]
    answers = [(name, said.confidence, judged.right(said)) for name, said in sides]
    draw_coverage(folder / COVERAGE, answers, title=f"Coverage against accuracy, {len(judged.truth):,} held-out fields")


def errors_of(judged: JudgedFields) -> list[float]:
    """Calibration errors of both readers."""
    return [reliability(said.confidence, judged.right(said)).error for said in (judged.old, judged.new)]


def metrics_of(outcome: FieldsOutcome) -> dict[str, Any]:
    """The figures, for `metrics.json`."""
    held_out, compared = outcome.held_out, outcome.compared
    return {
        "reader": str(outcome.source),
        "labels": {
            "fields": len(outcome.encoded.labelled),
            "none": outcome.none,
            "unreadable": len(outcome.encoded.unreadable),
            "missing": len(outcome.missing),
            "doubted": len(outcome.doubted),
        },
        "held_out": None if held_out is None or compared is None else _figures(compared, held_out),
        "strings": _figures(outcome.compared_on_strings, outcome.strings),
    }


def _figures(compared: Paired, judged: JudgedFields) -> dict[str, Any]:
    def side(said: Said, interval: tuple[float, float]) -> dict[str, Any]:
        right = judged.right(said)
        return {
            "right": int(right.sum()),
            "accuracy": float(right.mean()),
            "interval": list(interval),
            "digit_error": digit_error(list(zip(said.texts, judged.truth, strict=True))),
            "calibration_error": reliability(said.confidence, right).error,
            "answered_at_95_percent": coverage(said.confidence, right),
        }

    return {
        "images": compared.images,
        "old": side(judged.old, compared.old_interval),
        "new": side(judged.new, compared.new_interval),
        **differences(compared),
    }


def differences(compared: Paired) -> dict[str, Any]:
    """What tells one network from the other, for `metrics.json`."""
    return {
        "difference": compared.new - compared.old,
        "difference_interval": list(compared.difference_interval),
        "only_old_right": compared.only_old,
        "only_new_right": compared.only_new,
        "mcnemar_p": compared.p,
    }
