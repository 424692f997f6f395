"""The report of a run against the truth: confusion, the mistakes to look at, the figures for programs.

Needs the `train` extra, which nothing else of digits-batch does.
"""

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from batch.accuracy.sheet import short_paths
from batch.accuracy.tally import NO_ANSWER, Mistake, Score, Tally
from batch.accuracy.thumbnail import SIDE_PX, member_thumbnails, thumbnail
from batch.files.walk import Walk
from exporter import figures
from exporter.contract import CLASSES

_CONFUSION, _MISTAKES, _ACCURACY = "confusion.png", "mistakes.csv", "accuracy.json"
_COLUMNS, _ROWS, _SHEETS = 8, 6, 10
_FEWEST_COLUMNS = 4  # so that the title has room
_CAPTION = 22  # characters
_NOWHERE = Walk(())


def file_names() -> set[str]:
    """Of all files that a report may have."""
    return {_CONFUSION, _MISTAKES, _ACCURACY, *sheet_names()}


def write(folder: Path, tally: Tally, what: Walk = _NOWHERE) -> str:
    """Write confusion.png, mistakes.png and further sheets, mistakes.csv and accuracy.json over those of another run.

    Args:
        folder: where the report goes; it exists.
        tally: of the run.
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
    with warnings.catch_warnings():
        # The figures' font lacks the letters of some file names; it draws boxes for them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        _draw_confusion(folder / _CONFUSION, tally)
        sheets = _draw_mistakes(folder, mistakes, tally.score.images, what)
    shown = min(len(mistakes), sheets * _COLUMNS * _ROWS)
    pages = "mistakes.png" if sheets == 1 else f"mistakes.png to {sheet_names()[sheets - 1]}"
    extent = (
        "" if shown == len(mistakes) else f" (the {shown:,} most confident; all {len(mistakes):,} are in {_MISTAKES})"
    )
    return f"report in {folder}: {_CONFUSION}, {pages}{extent}, {_MISTAKES}, {_ACCURACY}"


def shown(tally: Tally) -> tuple[str, dict[str, str], list[str]]:
    """Of what `write` has written for people: the accuracy, in a sentence; pictures with what they say; other files."""
    score = tally.score
    counts = f"{score.right:,} of {score.images:,} images are right, {tally.errors:,} have an error."
    if tally.unlabelled:
        counts += f" {tally.unlabelled:,} files have no label and are not counted."
    mistakes = len(tally.mistakes)
    pictures = {
        _CONFUSION: "Confusion matrix: for each true digit, how often it was taken for which; the figures are in "
        f"{_ACCURACY}",
        sheet_names()[0]: f"The most confident of {mistakes:,} mistakes" if mistakes else "No mistakes",
    }
    return f"Accuracy {score.describe()}. {counts}", pictures, [_MISTAKES, _ACCURACY]


def _write_accuracy(path: Path, tally: Tally) -> None:
    figures_of = {
        **_figures(tally.score),
        "errors": tally.errors,
        "unlabelled": tally.unlabelled,
        "classes": [_class_figures(tally, digit) for digit in range(CLASSES)],
        "confusion": [row[:CLASSES] for row in tally.confusion],
    }
    path.write_text(json.dumps(figures_of, indent=2) + "\n", encoding="utf-8")


def _class_figures(tally: Tally, digit: int) -> dict[str, Any]:
    other = tally.most_confused(digit)
    return {
        "digit": digit,
        **_figures(tally.score_of(digit)),
        "errors": tally.confusion[digit][NO_ANSWER],
        "most_confused": {"digit": other[0], "images": other[1]} if other else None,
    }


def _figures(score: Score) -> dict[str, Any]:
    return {
        "accuracy": score.accuracy,
        "interval_95": list(score.interval),
        "images": score.images,
        "right": score.right,
    }


def _write_mistakes(path: Path, mistakes: list[Mistake]) -> None:
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Mistake._fields)
        writer.writerows(mistakes)


def _draw_confusion(path: Path, tally: Tally) -> None:
    counts = np.array(tally.confusion, np.int64)
    title = f"{tally.score.images:,} images, accuracy {tally.score.describe()}"
    figures.confusion(path, counts if tally.errors else counts[:, :CLASSES], title=title)


def _draw_mistakes(folder: Path, mistakes: list[Mistake], images: int, what: Walk) -> int:
    """Draw the sheets, remove those that another run left beyond them, and return how many there are."""
    size = _COLUMNS * _ROWS
    sheets = min(max(1, -(-len(mistakes) // size)), _SHEETS)
    paths = [mistake.path for mistake in mistakes[: _SHEETS * size]]
    notes = short_paths(paths)
    members = member_thumbnails(paths, what)
    for number, name in enumerate(sheet_names()):
        if number >= sheets:
            (folder / name).unlink(missing_ok=True)
            continue
        first = number * size
        shown = mistakes[first : first + size]
        tiles = [
            thumbnail(path) if (tile := members.get(path)) is None else tile for path in paths[first : first + size]
        ]
        figures.contact_sheet(
            folder / name,
            np.stack(tiles) if tiles else np.zeros((0, SIDE_PX, SIDE_PX, 3), np.uint8),
            [_caption(mistake) for mistake in shown],
            title=_title(first, len(shown), len(mistakes), images),
            columns=min(_COLUMNS, max(_FEWEST_COLUMNS, len(shown))),
            notes=notes[first : first + size],
        )
    return sheets


def _title(first: int, shown: int, mistakes: int, images: int) -> str:
    if mistakes < 2:
        return f"{mistakes or 'no'} mistake{'' if mistakes else 's'} in {images:,} images"
    if shown == mistakes:
        return f"{mistakes:,} mistakes in {images:,} images, the most confident first"
    title = (
        f"mistakes {first + 1:,} to {first + shown:,} of {mistakes:,} in {images:,} images, the most confident first"
    )
    is_cut = first + shown == _SHEETS * _COLUMNS * _ROWS < mistakes
    return f"{title}; the others are in {_MISTAKES}" if is_cut else title


def sheet_names() -> list[str]:
    """The files of mistakes, in their order."""
    return ["mistakes.png", *(f"mistakes-{number}.png" for number in range(2, _SHEETS + 1))]


def _caption(mistake: Mistake) -> str:
    if mistake.error:
        return f"is {mistake.truth}: {mistake.error}"[:_CAPTION]
    return f"is {mistake.truth}, read {mistake.digit} ({mistake.confidence})"
