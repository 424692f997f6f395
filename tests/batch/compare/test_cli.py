"""digits-batch compare, as a user runs it."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from batch.accuracy.tally import wilson_interval
from batch.accuracy.thumbnail import SIDE_PX
from tests.batch.review.support import Line, samples, write_numbers, write_table
from tests.conftest import RunBatch


def _changed(lines: list[Line]) -> list[Line]:
    """Two answers made wrong, one an error."""
    first, second, third, *others = lines
    return [
        *reversed(others),
        (first[0], 7, "0.9700", ""),
        (second[0], 6, "0.6000", ""),
        (third[0], -1, "0.0000", "corrupt"),
    ]


def test_a_comparison_is_told_and_drawn(tmp_path: Path, digits_batch: RunBatch) -> None:
    """Counts, versions and the truth are printed; the CSV has all changes, and the sheet has a tile for each."""
    lines = samples(tmp_path)
    old = write_table(tmp_path / "old.csv", [*lines, ("gone.png", 1, "0.9000", "")])
    new = write_table(tmp_path / "new.jsonl", _changed(lines))
    result = digits_batch(
        "compare", old.name, new.name, "--truth", "parent", "--out", "changes.csv", "--sheet", "sheet.png"
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    words = " ".join(result.stdout.split())
    for part in (
        "model version 1 -> 1",
        "only in old.csv, not compared: 1: gone.png",
        f"old accuracy 100.00% (95% interval {_low(len(lines), len(lines))} to 100.00%)",
        "of 3 changes with a label, for the better 0, for the worse 3, neither 0",
        "McNemar's exact test: p 0.2500, the difference cannot be told from chance",
        "changes.csv: all 3 changed rows",
        "sheet.png: 3 of 3 changes",
    ):
        assert part in words, part
    with (tmp_path / "changes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [line[0] for line in lines[:3]]
    assert [(row["new"], row["new_error"], row["outcome"]) for row in rows] == [
        ("7", "", "worse"),
        ("6", "", "worse"),
        ("", "corrupt", "worse"),
    ]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * SIDE_PX
        drawn = [sheet.convert("L").crop((12 + at * 204, 42, 204 + at * 204, 234)).getextrema() for at in range(4)]
    assert all(isinstance(low, int) and low < 100 for low, _ in drawn[:3])
    assert len(drawn) == 4


def _low(right: int, count: int) -> str:
    return f"{wilson_interval(right, count)[0]:.2%}"


def test_fields_are_drawn_wide(tmp_path: Path, digits_batch: RunBatch) -> None:
    """A sheet of numbers has wide tiles, a cross for a picture that is gone."""
    write_numbers(tmp_path / "old.csv", [("gone.png", "12", "0.9000", "")])
    write_numbers(tmp_path / "new.csv", [("gone.png", "123", "0.9000", "")])
    result = digits_batch("compare", "old.csv", "new.csv", "--sheet", "sheet.png")
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (2 * 432 + 12, 30 + 12 + 96 + 3 * 17 + 12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("old.csv", "numbers.csv"), "old.csv has single digits, and numbers.csv numbers"),
        (("old.csv", "other.csv"), "no file in common"),
        (("old.csv", "nothing.csv"), "cannot read nothing.csv"),
        (("old.csv", "s3://bucket/new.csv"), "copy it to this machine"),
        (("old.csv", "notes.txt"), "no table of digits-batch"),
        (("old.csv", "old.csv", "--truth", "parent"), "none of the 1 rows in both tables has a label"),
        (("old.csv", "old.csv", "--truth", "nothing.csv"), "--truth nothing.csv"),
        (("old.csv", "old.csv", "--out", "old.csv", "--force"), "would overwrite what is compared"),
        (("old.csv", "old.csv", "--out", "other.csv"), "--force"),
        (("old.csv", "old.csv", "--out", "no/changes.csv"), "no folder no"),
        (("old.csv", "old.csv", "--sheet", "sheet.jpg"), "must end in .png"),
    ],
)
def test_wrong_usage_is_explained(
    tmp_path: Path, digits_batch: RunBatch, arguments: tuple[str, ...], words: str
) -> None:
    """One line says what is wrong; the exit code is 2, and nothing is written over."""
    write_table(tmp_path / "old.csv", [("a.png", 1, "0.9000", "")])
    write_table(tmp_path / "other.csv", [("b.png", 1, "0.9000", "")])
    write_numbers(tmp_path / "numbers.csv", [("a.png", "12", "0.9000", "")])
    (tmp_path / "notes.txt").write_text("no table")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = digits_batch("compare", *arguments)
    assert result.returncode == 2, result.stdout
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_called_compare_is_predicted(tmp_path: Path, digits_batch: RunBatch) -> None:
    """Named ./compare, it is a PATH as any other: that it is empty is what is said of it."""
    (tmp_path / "compare").mkdir()
    result = digits_batch("./compare", "--out", "preds.csv")
    assert result.returncode == 2
    assert "compare" in result.stderr
    assert "OLD" not in result.stderr
