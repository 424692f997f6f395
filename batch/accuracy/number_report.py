"""The report of a run over fields against the truth: mistakes with the places of their digits, figures for programs.

Needs the `train` extra, as the report of single digits.
"""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from batch.accuracy.number_tally import Count, NumberMistake, NumberTally
from batch.accuracy.report import sheet_names
from batch.accuracy.sheet import letters, sheet, short_paths
from batch.accuracy.thumbnail import WIDE, member_thumbnails, thumbnail
from batch.files.walk import Walk

_CONFUSION, _MISTAKES, _ACCURACY = "confusion.png", "mistakes.csv", "accuracy.json"
_WRITTEN = ("path", "truth", "text", "confidence", "error", "digit_errors")
_COLUMNS, _ROWS = 3, 16


def write_fields(folder: Path, tally: NumberTally, what: Walk) -> str:
    """Write mistakes.png and further sheets, mistakes.csv and accuracy.json over those of another run.

    Args:
        folder: made by `prepare` of the report of digits.
        tally: of the run, whose answers have readings and boxes.
        what: was walked; archives are read once more for the pictures of mistakes in them.

    Returns:
        What is where, in one line.

    Raises:
        OSError: a file cannot be written.
        StoreError: pictures are in a store, which failed.
    """
    # The same order however the run went: one that was resumed has its answers in another.
    mistakes = sorted(tally.mistakes, key=lambda mistake: (-float(mistake.confidence), mistake.path))
    _write_accuracy(folder / _ACCURACY, tally)
    _write_mistakes(folder / _MISTAKES, mistakes)
    (folder / _CONFUSION).unlink(missing_ok=True)  # of a run over single digits
    names = _draw_mistakes(folder, mistakes, tally.total.fields, what)
    pages = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    shown = len(names) * _COLUMNS * _ROWS
    extent = (
        f" (the {shown:,} most confident; all {len(mistakes):,} are in {_MISTAKES})" if shown < len(mistakes) else ""
    )
    return f"report in {folder}: {pages}{extent}, {_MISTAKES}, {_ACCURACY}"


def shown_fields(tally: NumberTally) -> tuple[str, dict[str, str], list[str]]:
    """Of what `write_fields` has written for people: the accuracy, in a sentence; pictures with texts; other files."""
    total = tally.total
    text = f"Fields exact: {total.score.describe()}. {total.exact:,} of {total.fields:,} fields are exact, "
    text += f"{total.errors:,} have an error. Digit error {total.digit_error_rate:.2%}: of {total.digits:,} digits "
    text += f"{total.digit_errors:,} are to insert, remove or change."
    if tally.unlabelled:
        text += f" {tally.unlabelled:,} files have no label and are not counted."
    count = len(tally.mistakes)
    pictures = {
        sheet_names()[0]: f"The most confident of {count:,} fields that are not exact" if count else "No mistakes"
    }
    return text, pictures, [_MISTAKES, _ACCURACY]


def _write_accuracy(path: Path, tally: NumberTally) -> None:
    by_digits = [{"length": digits, **_figures(count)} for digits, count in sorted(tally.counts.items())]
    figures = {**_figures(tally.total), "unlabelled": tally.unlabelled, "by_length": by_digits}
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _figures(count: Count) -> dict[str, Any]:
    return {
        "accuracy": count.score.accuracy,
        "interval_95": list(count.score.interval),
        "fields": count.fields,
        "exact": count.exact,
        "errors": count.errors,
        "digits": count.digits,
        "digit_errors": count.digit_errors,
        "digit_error_rate": count.digit_error_rate,
    }


def _write_mistakes(path: Path, mistakes: list[NumberMistake]) -> None:
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_WRITTEN)
        writer.writerows(mistake[: len(_WRITTEN)] for mistake in mistakes)


def _draw_mistakes(folder: Path, mistakes: list[NumberMistake], fields: int, what: Walk) -> list[str]:
    """Draw the sheets, remove those that another run left beyond them, and return their names."""
    size = _COLUMNS * _ROWS
    names = sheet_names()
    drawn = names[: max(1, -(-len(mistakes) // size))]
    shown = mistakes[: len(drawn) * size]
    views = {mistake.path: replace(WIDE, boxes=mistake.boxes) for mistake in shown}
    members = member_thumbnails(views, what, views.__getitem__)
    notes = short_paths([mistake.path for mistake in shown])
    for number, name in enumerate(names):
        if name not in drawn:
            (folder / name).unlink(missing_ok=True)
            continue
        some = slice(number * size, (number + 1) * size)
        tiles = [
            thumbnail(mistake.path, views[mistake.path]) if (tile := members.get(mistake.path)) is None else tile
            for mistake in shown[some]
        ]
        title = f"{len(mistakes):,} of {fields:,} fields are not exact, the most confident first"
        if len(drawn) > 1:
            title += f": {some.start + 1:,} to {some.start + len(tiles):,}"
        lines = [
            (_caption(mistake), _readings(mistake), note)
            for mistake, note in zip(shown[some], notes[some], strict=True)
        ]
        sheet(title, tiles, lines, WIDE, _COLUMNS).save(folder / name)
    return drawn


def _caption(mistake: NumberMistake) -> str:
    if mistake.error:
        return f"is {mistake.truth}: {mistake.error}"
    return f"is {mistake.truth}, read {mistake.text} ({mistake.confidence})"


def _readings(mistake: NumberMistake) -> str:
    """The model's readings, as many as have room."""
    readings = [f"{text} ({float(confidence):.2f})" for text, confidence in mistake.alternatives]
    while len("  ".join(readings)) > letters(WIDE):
        readings.pop()
    return "  ".join(readings)
