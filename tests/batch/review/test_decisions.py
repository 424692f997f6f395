"""The file of decisions: nothing that was said to be done is ever lost, whoever writes and whatever is killed."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from batch.accuracy.truth import read_truth
from batch.review.decisions import ConflictError, Decisions, decisions_of, is_label
from batch.table.forms import Row
from exporter.command import UserError
from exporter.label_file import DIGITS, REVIEW_COLUMNS, TEXTS

ROW = Row("a.png", "7", "0.5000", "")


def _lines(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_the_last_line_of_a_path_counts(tmp_path: Path) -> None:
    """Each decision is a line; an empty label takes the one before back."""
    path = decisions_of(tmp_path / "preds.parquet")
    decisions = Decisions(path, "Ann")
    first = decisions.decide(ROW, "1", 0)
    decisions.decide(Row("b.png", "", "0.0000", "blank"), "none", 0)
    decisions.decide(ROW, "", first.number)
    assert path.name == "preds.review.csv"
    header, *lines = _lines(path)
    assert tuple(header) == REVIEW_COLUMNS
    assert [line[:5] for line in lines] == [
        ["a.png", "7", "0.5000", "1", "Ann"],
        ["b.png", "", "0.0000", "none", "Ann"],
        ["a.png", "7", "0.5000", "", "Ann"],
    ]
    again = Decisions(path, "Bob")
    again.refresh()
    assert again.labelled() == {"b.png": "none"}
    assert [one.path for one in again.since(1)] == ["b.png", "a.png"]
    assert [one.path for one in again.since(2)] == ["a.png"]


def test_somebody_elses_decision_is_told_and_not_replaced(tmp_path: Path) -> None:
    """Who has not seen the latest decision on a path cannot write over it; who has can."""
    path = tmp_path / "preds.review.csv"
    ann, bob = Decisions(path, "Ann"), Decisions(path, "Bob")
    ann.decide(ROW, "1", 0)
    with pytest.raises(ConflictError) as conflict:
        bob.decide(ROW, "2", 0)
    assert (conflict.value.decision.by, conflict.value.decision.label) == ("Ann", "1")
    assert len(_lines(path)) == 2
    assert bob.decide(ROW, "2", conflict.value.decision.number).label == "2"


def test_two_processes_lose_no_line_of_each_other(tmp_path: Path) -> None:
    """Four processes decide on different rows of one table at the same time, and every line is whole."""
    program = (
        "import sys; from pathlib import Path; from batch.review.decisions import Decisions; "
        "from batch.table.forms import Row; d = Decisions(Path('preds.review.csv'), sys.argv[1]);"
        "[d.decide(Row(f'{sys.argv[1]}/\\n{n}.png', '1', '0.5000', ''), '2', 0) for n in range(50)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, name], cwd=tmp_path) for name in "abcd"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    decisions = Decisions(tmp_path / "preds.review.csv", "")
    decisions.refresh()
    assert decisions.labelled() == {f"{name}/\n{number}.png": "2" for name in "abcd" for number in range(50)}
    assert decisions.count == 200


def test_sigkill_loses_no_decision_that_was_confirmed(tmp_path: Path) -> None:
    """A process is killed while it decides as fast as it can; what it had confirmed is there, and more can follow."""
    program = (
        "from pathlib import Path; from batch.review.decisions import Decisions; from batch.table.forms import Row\n"
        "d = Decisions(Path('preds.review.csv'), 'Ann')\n"
        "for n in range(100000): print(d.decide(Row(f'{n}.png', '1', '0.5000', ''), '2', 0).path, flush=True)"
    )
    for round_ in range(3):
        (tmp_path / "preds.review.csv").unlink(missing_ok=True)
        writer = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        confirmed = [writer.stdout.readline().strip() for _ in range(20 + round_ * 7)]
        writer.kill()
        confirmed += writer.stdout.read().split()
        writer.wait()
        decisions = Decisions(tmp_path / "preds.review.csv", "Bob")
        decisions.decide(Row("last.png", "1", "0.5000", ""), "3", 0)
        labels = decisions.labelled()
        assert {path for path in confirmed if path.endswith(".png")} <= labels.keys()
        assert labels["last.png"] == "3"


@pytest.mark.parametrize("count", [1, 2, 10, 37, 54])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, count: int) -> None:
    """Wherever a crash has torn a line, of a name with quotes and a newline, the next decision is whole."""
    path = tmp_path / "preds.review.csv"
    decisions = Decisions(path, "Ann")
    decisions.decide(ROW, "1", 0)
    whole = path.read_bytes()
    decisions.decide(Row('the "\n" one.png', "1", "0.5000", ""), "2", 0)
    torn = path.read_bytes()[: len(whole) + count]
    path.write_bytes(torn)
    after = Decisions(path, "Ann")
    after.refresh()
    assert after.labelled() == {"a.png": "1"}
    after.decide(Row("b.png", "1", "0.5000", ""), "3", 0)
    assert path.read_bytes().startswith(whole + b"b.png,")
    again = Decisions(path, "")
    again.refresh()
    assert again.labelled() == {"a.png": "1", "b.png": "3"}


def test_a_last_line_without_its_newline_is_kept(tmp_path: Path) -> None:
    """An editor may have taken the newline away: the line is whole all the same."""
    path = tmp_path / "preds.review.csv"
    Decisions(path, "Ann").decide(ROW, "1", 0)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    decisions = Decisions(path, "Ann")
    decisions.decide(Row("b.png", "1", "0.5000", ""), "3", 0)
    assert decisions.labelled() == {"a.png": "1", "b.png": "3"}


def test_a_torn_header_is_written_anew(tmp_path: Path) -> None:
    """A crash at the very first decision leaves a part of the header."""
    path = tmp_path / "preds.review.csv"
    path.write_bytes(b"path,wa")
    Decisions(path, "Ann").decide(ROW, "1", 0)
    assert [line[0] for line in _lines(path)] == ["path", "a.png"]


def test_a_file_that_is_taken_away_or_replaced_counts_as_it_is_now(tmp_path: Path) -> None:
    """What was decided in a file that is gone is void, and it is known that it is."""
    path = tmp_path / "preds.review.csv"
    decisions = Decisions(path, "Ann")
    decisions.decide(ROW, "1", 0)
    path.rename(tmp_path / "away")
    decisions.refresh()
    assert (decisions.labelled(), decisions.epoch) == ({}, 1)
    Decisions(path, "Bob").decide(Row("b.png", "1", "0.5000", ""), "3", 0)
    decisions.refresh()
    (tmp_path / "away").rename(path)
    decisions.refresh()
    assert (decisions.labelled(), decisions.epoch) == ({"a.png": "1"}, 2)


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """A file that happens to have the name is not written to."""
    path = tmp_path / "preds.review.csv"
    path.write_text("my,own\n")
    with pytest.raises(UserError, match="move it away"):
        Decisions(path, "Ann").decide(ROW, "1", 0)
    assert path.read_text() == "my,own\n"


def test_labels_are_those_of_their_table() -> None:
    """Digits have one, numbers up to as many as the model reads; there are words for the rest."""
    for label in ("", "none", "unsure", "7"):
        assert is_label(label, is_digits=True)
        assert is_label(label, is_digits=False)
    assert is_label("0071", is_digits=False)
    for label in ("0071", "x", "-1", "\uff17", "1 "):
        assert not is_label(label, is_digits=True)
    for label in ("1" * 33, "12.50", "1\n"):
        assert not is_label(label, is_digits=False)


def test_truth_takes_the_file_as_it_is(tmp_path: Path) -> None:
    """--truth has the digits that count in the end, and no label for the rest."""
    path = tmp_path / "preds.review.csv"
    decisions = Decisions(path, "Ann")
    latest = decisions.decide(ROW, "1", 0)
    decisions.decide(ROW, "4", latest.number)
    for name, label in (("b", "none"), ("c", "unsure"), ("d", "5")):
        latest = decisions.decide(Row(f"{name}.png", "1", "0.5000", ""), label, 0)
    decisions.decide(Row("d.png", "1", "0.5000", ""), "", latest.number)
    truth = read_truth(str(path), tmp_path / "out.csv", DIGITS)
    assert [truth(str(tmp_path / f"{name}.png")) for name in "abcd"] == [4, None, None, None]
    (tmp_path / "labels.csv").write_text("path,label\na.png,3\nb.png,none\n")
    listed = read_truth(str(tmp_path / "labels.csv"), tmp_path / "out.csv", DIGITS)
    assert [listed(str(tmp_path / f"{name}.png")) for name in "ab"] == [3, None]


def test_truth_takes_texts_of_numbers(tmp_path: Path) -> None:
    """Of a table of fields, the texts; leading zeros stay."""
    decisions = Decisions(tmp_path / "preds.review.csv", "Ann")
    decisions.decide(Row("a.png", "71", "0.5000", ""), "0071", 0)
    decisions.decide(Row("b.png", "5", "0.5000", ""), "none", 0)
    truth = read_truth(str(decisions.path), tmp_path / "out.csv", TEXTS)
    assert [truth(str(tmp_path / f"{name}.png")) for name in "ab"] == ["0071", None]
