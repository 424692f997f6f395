"""What an adaptation was worth: figures for programs and people, and pictures, in the run folder."""

import csv
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from exporter.command import counted
from exporter.contract import NO_DIGIT, RUN_ADAPTED, RUN_FIELDS, RUN_METRICS, RUN_TEMPERATURE
from exporter.figures import confusion, contact_sheet
from exporter.gate import MOST_LOST, SURE, is_better
from exporter.label_file import NONE
from trainer.adapt import field_report
from trainer.adapt.field_report import FieldsOutcome, differences, errors_of, metrics_of
from trainer.data.labels import Labelled
from trainer.data.pictures import Pictures, thumbnails
from trainer.evaluation import figures
from trainer.evaluation.doubts import doubted
from trainer.evaluation.evaluate import Evaluation, evaluate
from trainer.evaluation.paired import Paired, compare
from trainer.run_folder.runs import CONFUSION, RELIABILITY

BEFORE_AFTER = "before_after.png"
CONFUSION_BEFORE = "confusion_before.png"
DOUBTED, DOUBTED_SHEET = "doubted.csv", "doubted.png"

_DRAWN = 60  # doubted labels at most on the sheet

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Judged:
    """What both networks say of the same n pictures, none of which the new one was adapted to."""

    old: Floats
    """Calibrated probabilities, [n, 10]."""
    new: Floats
    labels: npt.NDArray[np.int64]
    """0 to 9, or NO_DIGIT, [n]."""
    has_ink: npt.NDArray[np.bool_]
    """[n]; what has none is answered `blank`, which is wrong for a digit."""

    @property
    def digits(self) -> npt.NDArray[np.bool_]:
        """Which are digits, [n]."""
        found: npt.NDArray[np.bool_] = self.labels != NO_DIGIT
        return found

    def right(self, answers: Floats) -> npt.NDArray[np.bool_]:
        """Which of the digits are answered right."""
        found: npt.NDArray[np.bool_] = (answers.argmax(axis=1) == self.labels) & self.has_ink
        return found[self.digits]

    def evaluated(self, answers: Floats) -> Evaluation:
        """Figures over the digits with ink."""
        chosen = self.digits & self.has_ink
        return evaluate(answers[chosen], self.labels[chosen])

    def sure_of_none(self, answers: Floats) -> float | None:
        """Mean confidence in what is labelled as no digit; None where nothing is."""
        others = ~self.digits & self.has_ink
        return float(answers[others].max(axis=1).mean()) if others.any() else None


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """All that is known when the networks have answered."""

    source: Path
    pictures: Pictures
    missing: Sequence[str]
    """Labels without a file."""
    groups: Sequence[str]
    grouped_by: str | None
    folds: int
    temperature: float
    """That calibrates the new network."""
    held_out: Judged | None
    """None where all pictures are one group, so that nothing can be held out."""
    mnist: Judged
    fields: FieldsOutcome | None = None
    """None where no fields were labelled."""

    @property
    def compared(self) -> Paired | None:
        """Both networks on the held-out digits."""
        if self.held_out is None:
            return None
        digits = self.held_out.digits
        groups = [group for group, is_digit in zip(self.groups, digits, strict=True) if is_digit]
        judged = self.held_out
        return compare(judged.right(judged.old), judged.right(judged.new), groups)

    @property
    def compared_on_mnist(self) -> Paired:
        """Both networks on MNIST's test digits."""
        return compare(self.mnist.right(self.mnist.old), self.mnist.right(self.mnist.new))

    @property
    def doubted(self) -> npt.NDArray[np.int64]:
        """Places of labels that are likely mistakes."""
        if self.held_out is None:
            return np.zeros(0, np.int64)
        places = np.flatnonzero(self.held_out.has_ink)
        judged = self.held_out
        return places[doubted(judged.old[places], judged.new[places], judged.labels[places])]


def write(folder: Path, outcome: Outcome, *, seed: int, seconds: float) -> None:
    """Fill a run folder with the figures and the pictures. Raises OSError."""
    (folder / RUN_METRICS).write_text(
        json.dumps(_metrics(outcome, seed=seed, seconds=seconds), indent=2) + "\n", encoding="utf-8"
    )
    judged, compared = outcome.held_out, outcome.compared
    if judged is not None and compared is not None:
        before, after = judged.evaluated(judged.old), judged.evaluated(judged.new)
        confusion(
            folder / CONFUSION_BEFORE,
            before.confusion,
            title=f"Before: {compared.old:.2%} of {compared.images:,} labelled pictures right",
        )
        confusion(
            folder / CONFUSION,
            after.confusion,
            title=f"After: {compared.new:.2%} of {compared.images:,} held-out pictures right",
        )
        figures.reliability(
            folder / RELIABILITY,
            after.reliability,
            title=f"Expected calibration error {after.reliability.error:.2%}, {compared.images:,} held-out pictures",
        )
    figures.before_after(folder / BEFORE_AFTER, [(row.name, row.compared) for row in _rows(outcome)])
    if outcome.fields is not None:
        field_report.draw(folder, outcome.fields)
    _write_doubted(folder, outcome)


def _metrics(outcome: Outcome, *, seed: int, seconds: float) -> dict[str, Any]:
    judged, mnist = outcome.held_out, outcome.mnist
    test = mnist.evaluated(mnist.new)
    labels = outcome.pictures.labels
    held_out = None if outcome.compared is None or judged is None else _figures(outcome.compared, judged)
    return {
        "recipe": "adapt",
        "test_accuracy": test.accuracy,
        "test_loss": test.loss,
        RUN_TEMPERATURE: outcome.temperature,
        "expected_calibration_error": test.reliability.error,
        RUN_ADAPTED: {
            "from": str(outcome.source),
            "labels": {
                "digits": int((labels != NO_DIGIT).sum()),
                NONE: int((labels == NO_DIGIT).sum()),
                "blank": int((~outcome.pictures.has_ink).sum()),
                "unreadable": len(outcome.pictures.unreadable),
                "missing": len(outcome.missing),
                "doubted": len(outcome.doubted),
            },
            "group": outcome.grouped_by,
            "groups": len({*outcome.groups, *(() if outcome.fields is None else outcome.fields.groups)}),
            "folds": outcome.folds,
            "held_out": held_out,
            "mnist": _figures(outcome.compared_on_mnist, mnist),
            RUN_FIELDS: None if outcome.fields is None else metrics_of(outcome.fields),
        },
        "seed": seed,
        "wall_seconds": round(seconds, 3),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("tensorflow", "keras", "numpy", "digits")},
        },
    }


def _figures(compared: Paired, judged: Judged) -> dict[str, Any]:
    sides = {}
    for name, answers, right, interval in (
        ("old", judged.old, compared.old_right, compared.old_interval),
        ("new", judged.new, compared.new_right, compared.new_interval),
    ):
        evaluation = judged.evaluated(answers)
        sides[name] = {
            "right": right,
            "accuracy": right / compared.images,
            "interval": list(interval),
            "calibration_error": evaluation.reliability.error,
            "mean_confidence_in_none": judged.sure_of_none(answers),
            "confusion": evaluation.confusion.tolist(),
        }
    return {
        "images": compared.images,
        **sides,
        **differences(compared),
    }


@dataclass(frozen=True, eq=False)
class _Doubted:
    """A label that is likely a mistake, with both answers and how sure they are."""

    labelled: Labelled[int] | Labelled[str]
    label: str
    old: str
    old_confidence: float
    new: str
    new_confidence: float


def _write_doubted(folder: Path, outcome: Outcome) -> None:
    """List likely mistakes of labelling, and draw the first of them."""
    if outcome.held_out is None and (outcome.fields is None or outcome.fields.held_out is None):
        return
    doubts = [*_doubted_digits(outcome), *_doubted_fields(outcome.fields)]
    with (folder / DOUBTED).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", "label", "old", "old_confidence", "new", "new_confidence"])
        for each in doubts:
            answers = [each.old, f"{each.old_confidence:.4f}", each.new, f"{each.new_confidence:.4f}"]
            rows.writerow([each.labelled.name, each.label, *answers])
    if not doubts:
        return
    drawn = doubts[:_DRAWN]
    contact_sheet(
        folder / DOUBTED_SHEET,
        thumbnails([each.labelled for each in drawn]),
        [f"label {each.label}, or {each.new}?" for each in drawn],
        title=f"Labels that both networks doubt: {len(drawn)} of {len(doubts):,}",
        columns=min(len(drawn), 6),
        notes=[each.labelled.name for each in drawn],
    )


def _doubted_digits(outcome: Outcome) -> list[_Doubted]:
    judged = outcome.held_out
    if judged is None:
        return []
    return [
        _Doubted(
            outcome.pictures.labelled[place],
            NONE if judged.labels[place] == NO_DIGIT else str(judged.labels[place]),
            str(judged.old[place].argmax()),
            float(judged.old[place].max()),
            str(judged.new[place].argmax()),
            float(judged.new[place].max()),
        )
        for place in outcome.doubted
    ]


def _doubted_fields(fields: FieldsOutcome | None) -> list[_Doubted]:
    if fields is None or fields.held_out is None:
        return []
    judged = fields.held_out
    return [
        _Doubted(
            fields.encoded.labelled[place],
            judged.truth[place],
            judged.old.texts[place],
            float(judged.old.confidence[place]),
            judged.new.texts[place],
            float(judged.new.confidence[place]),
        )
        for place in fields.doubted
    ]


@dataclass(frozen=True, eq=False)
class _Row:
    """Before and after, on one set."""

    name: str
    compared: Paired
    errors: Sequence[float]
    """Calibration errors of both."""


def _rows(outcome: Outcome) -> list[_Row]:
    rows = []

    def of_digits(name: str, compared: Paired, judged: Judged) -> None:
        errors = [judged.evaluated(answers).reliability.error for answers in (judged.old, judged.new)]
        rows.append(_Row(name, compared, errors))

    if outcome.compared is not None and outcome.held_out is not None:
        of_digits("held-out labels", outcome.compared, outcome.held_out)
    fields = outcome.fields
    if fields is not None and fields.compared is not None and fields.held_out is not None:
        rows.append(_Row("held-out fields", fields.compared, errors_of(fields.held_out)))
    of_digits("MNIST's test set", outcome.compared_on_mnist, outcome.mnist)
    if fields is not None:
        rows.append(_Row("strings of its digits", fields.compared_on_strings, errors_of(fields.strings)))
    return rows


def _about(compared: Paired | None, what: str) -> str:
    if compared is None:
        return (
            "All labelled pictures are one group: nothing can be held out, and nobody can tell whether it is better. "
            "Label pictures of more writers or pages, or group them otherwise with --group."
        )
    low, high = compared.difference_interval
    if is_better(low, compared.p):
        return f"It is better on {what}s that it has not seen."
    if is_better(-high, compared.p):
        return f"It is worse on {what}s that it has not seen."
    return (
        f"{counted(compared.images, what)} are too few to tell whether it is better: {compared.only_new} are right "
        f"only now, {compared.only_old} were right only before (p {compared.p:.2g}; below {SURE:g} is wanted). Label "
        "more."
    )


def table(outcome: Outcome) -> Table:
    """Before and after, for the terminal."""
    shown = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    shown.add_column("", no_wrap=True)
    for heading in ("pictures", "before", "after", "difference (95 %)", "p", "calibration error"):
        shown.add_column(heading, no_wrap=True, justify="right")
    for row in _rows(outcome):
        compared = row.compared
        low, high = compared.difference_interval
        shown.add_row(
            row.name,
            f"{compared.images:,}",
            f"{compared.old:.2%}",
            f"{compared.new:.2%}",
            f"{100 * (compared.new - compared.old):+.2f} ({100 * low:+.2f} to {100 * high:+.2f})",
            f"{compared.p:.2g}",
            " -> ".join(f"{error:.2%}" for error in row.errors),
        )
    return shown


def verdict(outcome: Outcome) -> list[str]:
    """What the figures say, in sentences."""
    mnist, fields = outcome.compared_on_mnist, outcome.fields
    said = []
    if outcome.pictures.labelled:
        said.append(_about(outcome.compared, "label"))
    if fields is not None:
        about = _about(fields.compared, "field")
        said += [about] if about not in said else []
    lost = mnist.old - mnist.new
    if lost > MOST_LOST:
        said.append(
            f"MNIST's test set loses {100 * lost:.2f} points; {100 * MOST_LOST:g} is the most that is accepted."
        )
    doubts = len(outcome.doubted) + (0 if fields is None else len(fields.doubted))
    if doubts:
        said.append(f"Both networks doubt {counted(doubts, 'label')}: look at {DOUBTED} and {DOUBTED_SHEET}.")
    return said
