"""digits-review --audit: which rows, what is shown of them, what is kept, and what is said in the end."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.batch.review.support import Line, Running, running, write_numbers, write_table


def _table(folder: Path, rows: int = 400) -> Path:
    """Digits of rising confidence, and an error; every tenth answer is wrong. The truth is the folder's name."""
    lines: list[Line] = [("errors/0.png", -1, "0.0000", "corrupt")]
    for number in range(rows):
        truth = number % 10
        said = (truth + 1) % 10 if number % 100 < 10 else truth
        lines.append((f"{truth}/{number}.png", said, f"{0.5 + number / rows / 2:.4f}", ""))
    return write_table(folder / "preds.csv", lines)


def _sample(review: Running) -> list[dict[str, Any]]:
    return review.rows()


def _wait(review: Running, has_come: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What the server says once it has noticed a change of files."""
    for _ in range(300):
        found = review.get("/api/changes", since=0)
        if has_come(found):
            return found
        time.sleep(0.1)
    pytest.fail(f"not noticed: {found}")


def _answer(review: Running, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        status, _ = review.decide(row["row"], row["path"].partition("/")[0], (row["decision"] or {}).get("number", 0))
        assert status == 200


def test_answers_are_hidden_until_they_are_given(tmp_path: Path) -> None:
    """Nothing that is sent tells the table's answer or its confidence of a row before a person has decided on it."""
    _table(tmp_path)
    with running(tmp_path, "preds.csv", "--audit", "50") as review:
        rows = _sample(review)
        assert len(rows) == 50
        assert all(row["answer"] is None and row["confidence"] is None and not row["error"] for row in rows)
        assert review.get("/api/table")["is_blind"]
        # The order tells nothing either.
        numbers = [int(Path(row["path"]).stem) for row in rows]
        assert numbers != sorted(numbers)
        # A filter would find out.
        assert [row["row"] for row in review.rows(low=0.9, answer=3)] == [row["row"] for row in rows]
        _, given = review.decide(rows[0]["row"], "3")
        assert given["decision"]["was"] in list("0123456789")
        # Who takes the file of answers away begins anew.
        (tmp_path / "preds.audit.csv").unlink()
        _wait(review, lambda found: found["decided"] == 0)
        assert _sample(review)[0]["decision"] is None
        others = set(range(400)) - {row["row"] for row in rows}
        status, refused = review.decide(min(others), "3")
        assert status == 400
        assert "not in the sample" in refused["error"]


def test_an_audit_goes_on_after_a_kill(tmp_path: Path) -> None:
    """The same rows come again, with what was decided; a larger sample keeps them."""
    _table(tmp_path)
    with running(tmp_path, "preds.csv", "--audit", "30") as review:
        first = _sample(review)
        _answer(review, first[:10])
        review.process.kill()
        review.process.wait()
    with running(tmp_path, "preds.csv", "--audit", "30") as review:
        again = _sample(review)
        assert [row["path"] for row in again] == [row["path"] for row in first]
        assert [row["path"] for row in again if row["decision"]] == [row["path"] for row in first[:10]]
    with running(tmp_path, "preds.csv", "--audit", "60") as review:
        more = _sample(review)
        assert len(more) == 60
        assert {row["path"] for row in first} <= {row["path"] for row in more}
        assert review.get("/api/changes", since=0)["decided"] == 10
    assert not (tmp_path / "preds.review.csv").exists()


def test_a_scripted_reviewer_reads_the_result(tmp_path: Path) -> None:
    """The whole sample answered as the truth is: the interval holds the accuracy, and the page has the lines."""
    _table(tmp_path, 4000)
    with running(tmp_path, "preds.csv", "--audit", "300", "--at-most", "20") as review:
        view = review.get("/api/view")["view"]
        rows = review.get("/api/rows", view=view, first=0, count=300)["rows"]
        assert len(rows) == 300
        _answer(review, rows[:-1])
        assert review.get("/api/changes", since=0)["result"] == []
        _answer(review, rows[-1:])
        lines = review.get("/api/changes", since=0)["result"]
        review.process.send_signal(2)
        printed, _ = review.process.communicate(timeout=30)
    assert printed.splitlines()[-len(lines) :] == lines
    assert lines[0].startswith("Of 4,000 answers, 300 were looked at, ")
    found = re.search(r"whole table: ([\d.]+)% \(95% interval ([\d.]+)% to ([\d.]+)%\)\. 1 row with an error", lines[1])
    assert found, lines
    accuracy, low, high = map(float, found.groups())
    assert low < accuracy < high
    # Wider than 95 %: this must not fail by chance.
    assert 80 < accuracy < 97
    assert re.search(r"among the 3,700 that were not looked at: \d+ \(95% interval \d+ to \d+\)", lines[2])
    assert lines[3].startswith("--min-confidence 0 leaves at most 20% wrong among the rest: of the table's answers")


def test_labels_that_are_no_digit(tmp_path: Path) -> None:
    """No digit is a wrong answer; a row that nobody could read is left out, and said to be."""
    _table(tmp_path, 20)
    with running(tmp_path, "preds.csv", "--audit", "20") as review:
        rows = _sample(review)
        _answer(review, rows[2:])
        review.decide(rows[0]["row"], "none")
        review.decide(rows[1]["row"], "unsure")
        first, accuracy, *_ = review.get("/api/changes", since=0)["result"]
    assert re.match(r"Of 20 answers, 19 were looked at, \d+ of them wrong; 1 more that nobody could read", first)
    assert "95% interval" in accuracy


def test_a_table_of_numbers(tmp_path: Path) -> None:
    """Texts are compared as they are, with leading zeros."""
    lines = [(f"{number}.png", f"00{number % 10}", f"{0.6 + number / 1000:.4f}", "") for number in range(200)]
    write_numbers(tmp_path / "preds.csv", lines)
    with running(tmp_path, "preds.csv", "--audit", "40") as review:
        rows = _sample(review)
        assert all(row["alternatives"] is None for row in rows)
        for place, row in enumerate(rows):
            digit = str(int(Path(row["path"]).stem) % 10)
            review.decide(row["row"], digit if place == 0 else f"00{digit}")
        assert "40 were looked at, 1 of them wrong" in review.get("/api/changes", since=0)["result"][0]


def _refused(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-P", "-m", "batch.review.cli", "preds.csv", "--no-browser", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


def test_a_table_that_has_changed_is_told(tmp_path: Path) -> None:
    """While it is audited, the audit goes on with what it was. Afterwards it cannot go on, and a message says so."""
    _table(tmp_path)
    with running(tmp_path, "preds.csv", "--audit", "20") as review:
        rows = _sample(review)
        _table(tmp_path, 399)
        found = _wait(review, lambda found: bool(found["notice"]))
        assert "the audit is of the table as it was" in found["notice"]
        _answer(review, rows)
        assert review.get("/api/changes", since=0)["result"]
    message = _refused(tmp_path, "--audit", "20")
    assert "other answers than when its audit began: move preds.audit.json and preds.audit.csv away" in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at-most", "2"], "--at-most works only with --audit"),
        (["--audit", "5", "--apply", "out.csv"], "--audit and --apply exclude each other"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], words: str) -> None:
    """One line says what to leave out."""
    _table(tmp_path, 10)
    assert words in _refused(tmp_path, *arguments)


def test_files_that_are_no_audit(tmp_path: Path) -> None:
    """A table of errors alone has nothing to audit; a file of that name that is none of ours is not written over."""
    write_table(tmp_path / "preds.csv", [("a.png", -1, "0.0000", "corrupt")])
    assert "no row with an answer" in _refused(tmp_path, "--audit", "5")
    _table(tmp_path, 10)
    (tmp_path / "preds.audit.json").write_text(json.dumps({"seed": "x"}))
    assert "is no file of digits-review" in _refused(tmp_path, "--audit", "5")
    assert json.loads((tmp_path / "preds.audit.json").read_text()) == {"seed": "x"}
