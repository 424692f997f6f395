"""The counts of a comparison, and the statistics against the truth."""

import csv
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.compare.against import BETTER, NEITHER, WORSE, Against, mcnemar
from batch.compare.changes import write_changes
from batch.compare.comparison import compare
from exporter.command import UserError
from tests.batch.review.support import Line, write_numbers, write_table
from trainer.evaluation import paired

BAD = "corrupt"

_SIDE = st.tuples(st.integers(0, 9), st.integers(0, 10_000), st.booleans())
_TABLE = st.dictionaries(st.integers(0, 30), _SIDE, min_size=1)


def _lines(table: dict[int, tuple[int, int, bool]]) -> list[Line]:
    return [
        (f"scans/{name % 10}/{name}.png", *((-1, "0.0000", BAD) if bad else (digit, f"{share / 10_000:.4f}", "")))
        for name, (digit, share, bad) in table.items()
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=_TABLE, new=_TABLE, ending=st.sampled_from(["csv", "jsonl"]), data=st.data())
def test_the_counts_add_up(tmp_path: Path, old: dict[int, Any], new: dict[int, Any], ending: str, data: Any) -> None:  # noqa: ANN401 - hypothesis'
    """Each row of either table is counted once, in any order of rows and in either form."""
    shuffled = data.draw(st.permutations(list(new.items())))
    before = write_table(tmp_path / "old.csv", _lines(old))
    after = write_table(tmp_path / f"new.{ending}", _lines(dict(shuffled)))
    common = old.keys() & new.keys()
    if not common:
        with pytest.raises(UserError, match="no file in common"):
            compare(before, after)
        return
    found = compare(before, after, "parent")
    assert found.rows == len(common)
    assert found.same + found.changed + found.failed + found.recovered + found.errors == len(common)
    assert found.same == sum(
        old[name][2:] == new[name][2:] == (False,) and old[name][0] == new[name][0] for name in common
    )
    assert len(found.changes) == found.changed + found.failed + found.recovered
    assert found.bands.total() == found.changed
    assert (len(found.old.alone), len(found.new.alone)) == (len(old) - len(common), len(new) - len(common))
    against = found.against
    assert against is not None
    outcomes = Counter(change.outcome for change in found.changes)
    assert outcomes == Counter({BETTER: against.better, WORSE: against.worse, NEITHER: against.neither})
    assert against.images == len(common)
    assert against.new_right - against.old_right == against.better - against.worse
    assert against.old_right == sum(not old[name][2] and old[name][0] == name % 10 for name in common)
    assert found.old.answered == sum(not old[name][2] for name in common)
    ranks = [change.rank() for change in found.changes]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_form_of_a_table_is_read(tmp_path: Path, ending: str) -> None:
    """A table of any form is compared with a CSV, with its model versions and mean confidence."""
    old = write_table(tmp_path / "old.csv", [("a.png", 1, "0.9000", ""), ("b.png", 2, "0.5000", "")])
    new = write_table(tmp_path / f"new.{ending}", [("b.png", 3, "0.7000", ""), ("a.png", 1, "0.9500", "")])
    found = compare(old, new)
    assert (found.same, found.changed) == (1, 1)
    (change,) = found.changes
    assert change.path == "b.png"
    assert (change.old, change.new) == (("2", "0.5000", ""), ("3", "0.7000", ""))
    assert (change.truth, change.outcome, found.against) == ("", "", None)
    assert found.new.mean_confidence == pytest.approx(0.825)
    assert found.old.versions == found.new.versions == {"1": 2}


def test_numbers_are_compared_as_whole_texts(tmp_path: Path) -> None:
    """A leading zero is a change, and the truth is a whole text."""
    old = write_numbers(tmp_path / "old.csv", [("a.png", "0123", "0.9000", ""), ("b.png", "77", "0.9000", "")])
    new = write_numbers(tmp_path / "new.jsonl", [("a.png", "123", "0.8000", ""), ("b.png", "77", "0.9000", "")])
    (tmp_path / "truth.csv").write_text("path,label\na.png,0123\nb.png,78\n")
    found = compare(old, new, str(tmp_path / "truth.csv"))
    assert not found.is_digits
    assert [change.outcome for change in found.changes] == [WORSE]
    assert found.against == Against(images=2, old_right=1, worse=1)


def test_a_path_that_comes_twice_is_compared_once(tmp_path: Path) -> None:
    """The first row of each table counts; further ones are counted apart."""
    old = write_table(tmp_path / "old.csv", [("a.png", 1, "0.9", ""), ("a.png", 2, "0.9", ""), ("b.png", 2, "0.9", "")])
    new = write_table(
        tmp_path / "new.csv",
        [("a.png", 1, "0.9", ""), ("a.png", 3, "0.9", ""), ("c.png", 3, "0.9", ""), ("c.png", 3, "0.9", "")],
    )
    found = compare(old, new)
    assert (found.rows, found.same) == (1, 1)
    assert (found.old.repeated, found.new.repeated) == (1, 2)
    assert (found.old.alone, found.new.alone) == (["b.png"], ["c.png"])


def test_names_that_are_no_utf8_keep_their_bytes(tmp_path: Path) -> None:
    """A path of any bytes is matched, and written as it was."""
    path = b"scans/\xff,\n.png".decode("utf-8", "surrogateescape")
    old = write_table(tmp_path / "old.csv", [(path, 1, "0.9000", "")])
    new = write_table(tmp_path / "new.jsonl", [(path, 2, "0.9000", "")])
    write_changes(tmp_path / "changes.csv", compare(old, new).changes, with_truth=False)
    with (tmp_path / "changes.csv").open(newline="", errors="surrogateescape") as file:
        (row,) = csv.DictReader(file)
    assert (row["path"], row["old"], row["new"]) == (path, "1", "2")


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("a.png,1,2.0,,1", "new.csv"),
        ("a.png,1,nan,,1", "new.csv"),
        ("a.png,x,0.5,,1", "new.csv"),
        ("a.png,1", "new.csv"),
        (json.dumps({"path": "a.png", "digit": 12, "confidence": 0.5, "error": ""}), "new.jsonl"),
    ],
)
def test_a_row_of_something_else_is_named(tmp_path: Path, row: str, name: str) -> None:
    """A row that digits-batch cannot have written is an error with its number."""
    good = write_table(tmp_path / "old.csv", [("a.png", 1, "0.9", "")])
    header = good.read_text().splitlines()[0] if name.endswith(".csv") else ""
    bad = tmp_path / name
    bad.write_text("\n".join(filter(None, (header, row))) + "\n")
    with pytest.raises(UserError, match="row 1 is no row"):
        compare(good, bad)


@pytest.mark.parametrize(("one", "other", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 0.0625), (1, 9, 0.021484375)])
def test_mcnemars_test_has_known_values(one: int, other: int, p: float) -> None:
    """The p of small counts, by hand from the binomial distribution."""
    assert mcnemar(one, other) == pytest.approx(p, rel=1e-9)


@given(one=st.integers(0, 400), other=st.integers(0, 400))
def test_mcnemars_test_is_the_trainers(one: int, other: int) -> None:
    """It agrees with exact whole numbers, and either side may be named first."""
    assert mcnemar(one, other) == pytest.approx(paired.mcnemar(one, other), rel=1e-8, abs=1e-300)
    assert mcnemar(one, other) == mcnemar(other, one)


def test_mcnemars_test_takes_many_changes() -> None:
    """A million changes have a p, where whole numbers would be too large and floats too small."""
    assert mcnemar(0, 1_000_000) == 0.0
    z = 2_000 / math.sqrt(1_000_000)
    normal = math.erfc(z / math.sqrt(2))
    assert mcnemar(499_000, 501_000) == pytest.approx(normal, rel=0.01)
