"""The index of a table's rows: every form, every filter, names of every kind."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.review.rows import DECIDED, UNDECIDED, UNSURE, Filter, Rows
from batch.table.forms import NoRowError, Row
from exporter.command import UserError
from tests.batch.review.support import Line, write_numbers, write_table

LINES: list[Line] = [
    ("a/1.png", 1, "0.9000", ""),
    ("a/b/2.png", 2, "0.4000", ""),
    ('c/", quoted\n.png', 3, "0.6000", ""),
    ("broken.png", -1, "0.0000", "corrupt"),
    ("ab/4.png", 2, "1.0000", ""),
    ("gone.png", -1, "0.0000", "unreadable"),
]
BEST_LAST = [3, 5, 1, 2, 0, 4]
FORMS = ("csv", "jsonl", "parquet")


def _undecided(_: str) -> int:
    return UNDECIDED


@pytest.mark.parametrize("form", FORMS)
def test_errors_come_first_and_then_the_least_sure(tmp_path: Path, form: str) -> None:
    """All forms of a table give the same rows in the same order."""
    rows = Rows(write_table(tmp_path / f"preds.{form}", LINES), _undecided)
    assert rows.is_digits
    assert list(rows.select(Filter())) == BEST_LAST
    assert [rows.row(number) for number in range(rows.count)] == [
        Row(path, "" if error else str(digit), confidence, error, "" if error else "1")
        for path, digit, confidence, error in LINES
    ]
    assert rows.errors == ["corrupt", "unreadable"]
    with pytest.raises(NoRowError):
        rows.row(rows.count)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Filter(answer="2"), [1, 4]),
        (Filter(low=0.4, high=0.6), [1, 2]),
        (Filter(low=0.0, high=0.9), [1, 2, 0]),
        (Filter(folder="a"), [1, 0]),
        (Filter(folder="a/b/"), [1]),
        (Filter(error="any"), [3, 5]),
        (Filter(error="none", high=0.6), [1, 2]),
        (Filter(error="unreadable"), [5]),
        (Filter(error="no such error"), []),
        (Filter(state="undecided"), [5, 2, 0, 4]),
        (Filter(state="decided"), [3]),
        (Filter(state="unsure"), [1]),
        (Filter(answer="2", state="unsure", folder="a"), [1]),
    ],
)
def test_filters_let_their_rows_through(tmp_path: Path, wanted: Filter, numbers: list[int]) -> None:
    """Each filter, alone and with others."""
    states = {"broken.png": DECIDED, "a/b/2.png": UNSURE}
    rows = Rows(write_table(tmp_path / "preds.csv", LINES), lambda path: states.get(path, UNDECIDED))
    assert list(rows.select(wanted)) == numbers


def test_a_mark_changes_every_row_of_its_path(tmp_path: Path) -> None:
    """A file that digits-batch was given twice has one decision."""
    rows = Rows(write_table(tmp_path / "preds.csv", [*LINES, LINES[0]]), _undecided)
    rows.mark("a/1.png", DECIDED)
    rows.mark("nowhere.png", DECIDED)
    assert (list(rows.select(Filter(state="decided"))), rows.decided) == ([0, 6], 2)
    rows.mark("a/1.png", UNSURE)
    assert (rows.state(0), rows.decided) == (UNSURE, 0)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1))
def test_any_names_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """Quotes, commas, newlines and carriage returns in names do not shift the places of rows."""
    folder = tmp_path_factory.mktemp("names")
    table = write_table(folder / "preds.csv", [(name, 7, "0.5000", "") for name in names])
    rows = Rows(table, _undecided)
    assert [rows.row(number).path for number in range(rows.count)] == names
    rows.close()


def test_names_that_are_no_utf_8_keep_their_bytes(tmp_path: Path) -> None:
    """In CSV and JSON Lines a name comes back as the system has it."""
    for form in ("csv", "jsonl"):
        rows = Rows(write_table(tmp_path / f"preds.{form}", [("\udcff.png", 1, "0.5000", "")]), _undecided)
        assert rows.row(0).path == "\udcff.png"


@pytest.mark.parametrize("form", FORMS)
def test_tables_of_numbers_have_texts(tmp_path: Path, form: str) -> None:
    """Tables of fields are told by their columns; leading zeros stay."""
    lines = [("a.png", "0071", "0.8000", ""), ("b.png", "", "0.0000", "blank"), ("c.png", "5", "0.7000", "")]
    rows = Rows(write_numbers(tmp_path / f"preds.{form}", lines), _undecided)
    assert not rows.is_digits
    assert [rows.row(number).answer for number in rows.select(Filter())] == ["", "5", "0071"]


@pytest.mark.parametrize("form", FORMS)
def test_readings_of_fields(tmp_path: Path, form: str) -> None:
    """The model's readings of each field, the best first; none where there are none, None without their columns."""
    lines = [("a.png", "0071", "0.8000", ""), ("b.png", "", "0.0000", "no reading fits")]
    others = (("0011", "0.1500"), ("007", "0.0001"))
    rows = Rows(write_numbers(tmp_path / f"preds.{form}", lines, others), _undecided)
    assert rows.readings(0) == [("0071", "0.8000"), *others]
    assert rows.readings(1) == list(others)
    assert Rows(write_numbers(tmp_path / f"few.{form}", lines), _undecided).readings(1) == []
    assert Rows(write_numbers(tmp_path / f"plain.{form}", lines, None), _undecided).readings(0) is None
    assert Rows(write_table(tmp_path / f"digits.{form}", LINES), _undecided).readings(0) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("preds.csv", "path,text,confidence,error,alternative1,alternative_confidence1\na.png,12,0.9,,17,much\n"),
        ("preds.jsonl", '{"path": "a.png", "text": "12", "confidence": 0.9, "error": "", "alternatives": null}\n'),
    ],
)
def test_readings_that_somebody_has_edited_are_left_out(tmp_path: Path, name: str, content: str) -> None:
    """The row can be reviewed all the same."""
    (tmp_path / name).write_text(content)
    rows = Rows(tmp_path / name, _undecided)
    assert (rows.row(0).answer, rows.readings(0)) == ("12", [])


def test_a_last_row_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    """A table that digits-batch --watch goes on with is read as far as it is whole."""
    table = write_table(tmp_path / "preds.csv", LINES)
    with table.open("a") as file:
        file.write("new.png,4,0.9")
    assert Rows(table, _undecided).count == len(LINES)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_table_that_grows_keeps_the_numbers_of_its_rows(tmp_path: Path, form: str) -> None:
    """A watch appends rows; a table that was written anew, longer or not, is another one."""
    table = write_table(tmp_path / f"preds.{form}", LINES)
    rows = Rows(table, _undecided)
    more = write_table(tmp_path / f"more.{form}", [("new.png", 5, "0.1000", ""), ("odd.png", -1, "0.0000", "blank")])
    header = 0 if form == "jsonl" else more.read_bytes().index(b"\n") + 1
    with table.open("ab") as file:
        file.write(more.read_bytes()[header:])
    assert rows.grow(table, _undecided)
    assert list(rows.select(Filter())) == [3, 5, 7, 6, 1, 2, 0, 4]
    assert (rows.row(6).path, rows.row(0).path, rows.errors[-1]) == ("new.png", "a/1.png", "blank")
    assert rows.grow(table, _undecided)
    with table.open("ab") as file:
        file.write(more.read_bytes()[header:] + b"nonsense\n")
    with pytest.raises(UserError, match="row 11"):
        rows.grow(table, _undecided)
    assert (len(rows.select(Filter(answer="5"))), rows.row(7).path, rows.count) == (1, "odd.png", 8)
    table.write_bytes(table.read_bytes().replace(b"odd", b"even"))
    assert not rows.grow(table, _undecided)
    write_table(table, [*LINES, *LINES])
    assert not rows.grow(table, _undecided)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("preds.csv", "a,b\n1,2\n", "no table of digits-batch"),
        ("preds.csv", "path,digit,confidence,error\na.png,x,0.5,\n", "row 1"),
        ("preds.csv", "path,digit,confidence,error\na.png,1,much,\n", "row 1"),
        ("preds.csv", "path,digit,confidence,error\na.png,1,0.5,\nb.png\n", "row 2"),
        ("preds.jsonl", "[1]\n", "no JSON object"),
        ("preds.jsonl", '{"path": "a", "digit": 1}\n', "no table of digits-batch"),
        ("preds.parquet", "PAR1", "no Parquet file"),
        ("preds.txt", "", "its name ends in none of"),
        ("preds.review.csv", "path,was,confidence,label,by,when\n", "no table of digits-batch"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: str, reason: str) -> None:
    """The reason is for people, and names the file."""
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=reason) as refused:
        Rows(tmp_path / name, _undecided)
    assert name in str(refused.value)


@pytest.mark.soak
def test_a_million_rows_are_not_held_in_memory(tmp_path: Path) -> None:
    """The index of a million rows with long paths takes far less than the table itself."""
    with (tmp_path / "preds.csv").open("w") as file:
        file.write("path,digit,confidence,error,model_version\n")
        file.writelines(f"{'scans/' * 40}{n // 1000}/{n}.png,{n % 10},0.{n % 10000:04},,1\n" for n in range(1_000_000))
    program = (
        "import resource; from pathlib import Path; from batch.review.rows import Filter, Rows\n"
        "rows = Rows(Path('preds.csv'), lambda path: 0); rows.select(Filter(answer='3'))\n"
        "print(rows.count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    count, megabytes = map(int, found.stdout.split())
    assert count == 1_000_000
    assert megabytes < 200 < (tmp_path / "preds.csv").stat().st_size >> 20
