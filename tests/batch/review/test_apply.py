"""The corrected table: people's decisions in the place of answers, in every form."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batch.review.apply import Applied, apply
from batch.review.decisions import Decisions, decisions_of
from batch.table.forms import Row
from batch.table.output import Form
from exporter.command import UserError
from tests.batch.review.support import Line, write_numbers, write_table

LINES: list[Line] = [
    ("right.png", 1, "0.4000", ""),
    ("wrong.png", 2, "0.5000", ""),
    ("empty.png", 3, "0.6000", ""),
    ("broken.png", -1, "0.0000", "corrupt"),
    ("unsure.png", 4, "0.3000", ""),
    ("other.png", 5, "0.9900", ""),
]
LABELS = {"right.png": "1", "wrong.png": "7", "empty.png": "none", "broken.png": "8", "unsure.png": "unsure"}


def _decide(table: Path, labels: dict[str, str]) -> None:
    decisions = Decisions(decisions_of(table), "Ann")
    for path, label in labels.items():
        decisions.decide(Row(path, "", "0.5000", ""), label, 0)


def _read(table: Path) -> list[dict[str, Any]]:
    if table.suffix == ".csv":
        with table.open(newline="") as file:
            return list(csv.DictReader(file))
    if table.suffix == ".jsonl":
        return [json.loads(line) for line in table.read_text().splitlines()]
    from pyarrow import parquet  # noqa: PLC0415 - one form in three

    rows: list[dict[str, Any]] = parquet.read_table(table).to_pylist()
    return rows


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_decisions_take_the_place_of_answers(tmp_path: Path, form: str) -> None:
    """Answers, errors and the column review follow the decisions, the rest stays; a column tells which rows."""
    table = write_table(tmp_path / f"preds.{form}", LINES, Form(min_confidence=0.9))
    _decide(table, {**LABELS, "elsewhere.png": "3"})
    done = apply(table, tmp_path / f"corrected.{form}", force=False)
    assert done == Applied(rows=6, confirmed=1, changed=2, empty=1, unsure=1, absent=1)
    rows = _read(tmp_path / f"corrected.{form}")
    found = [(row["path"], int(row["digit"]), row["error"], int(row["review"]), int(row["reviewed"])) for row in rows]
    assert found == [
        ("right.png", 1, "", 0, 1),
        ("wrong.png", 7, "", 0, 1),
        ("empty.png", -1, "no digit", 0, 1),
        ("broken.png", 8, "", 0, 1),
        ("unsure.png", 4, "", 1, 0),
        ("other.png", 5, "", 0, 0),
    ]
    assert [round(float(row["confidence"]), 4) for row in rows] == [float(line[2]) for line in LINES]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [table.name, "preds.review.csv", f"corrected.{form}"]
    )


def test_a_corrected_table_can_be_corrected_further(tmp_path: Path) -> None:
    """Rows that were decided before stay marked."""
    table = write_table(tmp_path / "preds.csv", LINES)
    _decide(table, {"wrong.png": "7"})
    apply(table, tmp_path / "first.csv", force=False)
    _decide(tmp_path / "first.csv", {"other.png": "6"})
    apply(tmp_path / "first.csv", tmp_path / "second.csv", force=False)
    found = {row["path"]: (row["digit"], row["reviewed"]) for row in _read(tmp_path / "second.csv")}
    assert (found["wrong.png"], found["other.png"], found["right.png"]) == (("7", "1"), ("6", "1"), ("1", "0"))


def test_texts_of_numbers_are_put_right(tmp_path: Path) -> None:
    """Leading zeros stay, and no digit is an empty text."""
    lines = [("a.png", "71", "0.8000", ""), ("b.png", "5", "0.7000", ""), ("c.png", "", "0.0000", "blank")]
    table = write_numbers(tmp_path / "preds.csv", lines)
    _decide(table, {"a.png": "0071", "b.png": "none", "c.png": "12"})
    apply(table, tmp_path / "corrected.csv", force=False)
    found = [(row["text"], row["error"]) for row in _read(tmp_path / "corrected.csv")]
    assert found == [("0071", ""), ("", "no digit"), ("12", "")]


def test_what_cannot_be_applied_is_refused(tmp_path: Path) -> None:
    """Another form, the table itself, a file that is there, no decisions: each has its reason."""
    table = write_table(tmp_path / "preds.csv", LINES)
    with pytest.raises(UserError, match="holds no decisions"):
        apply(table, tmp_path / "corrected.csv", force=False)
    _decide(table, LABELS)
    for out, reason in (("corrected.parquet", "end in .csv"), ("preds.csv", "choose another name")):
        with pytest.raises(UserError, match=reason):
            apply(table, tmp_path / out, force=True)
    apply(table, tmp_path / "corrected.csv", force=False)
    before = (tmp_path / "corrected.csv").read_bytes()
    with pytest.raises(UserError, match="--force"):
        apply(table, tmp_path / "corrected.csv", force=False)
    apply(table, tmp_path / "corrected.csv", force=True)
    assert (tmp_path / "corrected.csv").read_bytes() == before


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    """`--apply` opens no page, and counts."""
    _decide(write_table(tmp_path / "preds.csv", LINES), LABELS)
    command = [sys.executable, "-P", "-m", "batch.review.cli", "preds.csv", "--apply", "corrected.csv"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "6 rows; a person has confirmed 1, changed 2, found no digit in 1" in " ".join(result.stderr.split())
    assert (tmp_path / "corrected.csv").is_file()
