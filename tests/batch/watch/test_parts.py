"""Parts of a watched table: when they end, what they are called, and what a killed watcher leaves of them."""

import errno
from pathlib import Path

import pytest

from batch.client.answers import Answer
from batch.files.file import File
from batch.table.output import Form
from batch.watch.parts import Answered, Parts
from batch.watch.settings import Roll
from batch.watch.state import Known, State, state_of
from batch.watch.tables import TableError
from exporter.command import UserError
from tests.batch.watch.support import paths_in


class Clock:
    """The time of a part's name, as a test says."""

    def __init__(self) -> None:
        self.text = "2026-11-25T09"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Set the clock of --roll."""
    clock = Clock()
    monkeypatch.setattr("batch.watch.settings.time.strftime", lambda _: clock.text)
    return clock


class Table:
    """A table that is opened and closed again and again."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.told: list[str] = []

    def open(self, roll: Roll, form: Form = Form()) -> Parts:  # noqa: B008 - immutable
        """Open it as a watcher does when it starts."""
        self.state = State(state_of(self.out))
        return Parts(self.out, form, roll, self.state, self.told.append)

    def close(self, parts: Parts) -> None:
        """Close it as a watcher does when it ends, by whatever cause."""
        parts.close()
        self.state._db.close()

    def names(self) -> list[str]:
        """Its files."""
        return sorted(path.name for path in self.out.parent.iterdir() if ".watch" not in path.name)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """A table called preds.csv."""
    return Table(tmp_path / "preds.csv")


def answered(*names: str, pages: int = 1) -> list[Answered]:
    """Files and the same answer for each page."""
    found = []
    for name in names:
        files = [File(f"{name}#page={page}" if pages > 1 else name, 9, 9) for page in range(1, pages + 1)]
        known = Known(name.encode(), 9, 9, failed=False)
        found.append(Answered(known, files, [Answer(3, "0.5000", "", "1")] * pages))
    return found


def test_hours(table: Table, clock: Clock) -> None:
    """A part for each hour, continued after a restart; an hour that comes twice is one part."""
    parts = table.open(Roll(period="hourly"))
    parts.write(answered("a"))
    table.close(parts)
    parts = table.open(Roll(period="hourly"))
    parts.write(answered("b"))
    clock.text = "2026-11-25T08"
    parts.write(answered("c"))
    clock.text = "2026-11-25T10"
    parts.end_if_over()
    assert table.told == [f"{table.out.parent}/preds-2026-11-25T09.csv is complete: 3 rows"]
    parts.write(answered("d"))
    table.close(parts)
    assert table.names() == ["preds-2026-11-25T09.csv", "preds-2026-11-25T10.csv"]
    assert list(paths_in(table.out.parent / table.names()[0])) == ["a", "b", "c"]
    assert list(paths_in(table.out.parent / table.names()[1])) == ["d"]


def test_names_that_are_taken(table: Table, clock: Clock) -> None:
    """Nothing is overwritten: a part gets another name, in CSV and in Parquet."""
    (table.out.parent / "preds-2026-11-25T09.csv").write_text("precious")
    parts = table.open(Roll(period="hourly"))
    parts.write(answered("a"))
    table.close(parts)
    assert table.names() == ["preds-2026-11-25T09-2.csv", "preds-2026-11-25T09.csv"]
    assert (table.out.parent / "preds-2026-11-25T09.csv").read_text() == "precious"

    kept = Table(table.out.with_name("preds.parquet"))
    parts = kept.open(Roll(rows=1))
    (table.out.parent / "preds-000001.parquet").write_text("precious")
    parts.write(answered("a"))
    kept.close(parts)
    assert "preds-000001-2.parquet" in kept.names()
    assert (table.out.parent / "preds-000001.parquet").read_text() == "precious"


def test_a_change_of_roll(table: Table, clock: Clock) -> None:
    """The part that was open ends, and the next is named in the new way."""
    for roll in (Roll(), Roll(rows=2), Roll(period="hourly")):
        parts = table.open(roll)
        parts.write(answered(roll.kind or "one"))
        table.close(parts)
    assert table.names() == ["preds-000002.csv", "preds-2026-11-25T09.csv", "preds.csv"]


def test_pages_of_a_file_stay_together(table: Table) -> None:
    """A part has fewer rows than N, or, for a file of more pages than that, more, but never a part of a file."""
    parts = table.open(Roll(rows=4))
    parts.write([*answered("a", "b"), *answered("t", pages=3), *answered("u", pages=9), *answered("c")])
    table.close(parts)
    lengths = [sum(paths_in(table.out.with_name(name)).values()) for name in table.names()]
    assert lengths == [2, 3, 9, 1]


@pytest.mark.parametrize("name", ["preds.csv", "preds.jsonl"])
@pytest.mark.parametrize("before", [0, 1])
def test_killed_before_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, before: int) -> None:
    """Rows that are in the table and not in the state go at the next start, also the first ones of a new table."""
    table = Table(tmp_path / name)
    parts = table.open(Roll())
    for number in range(before):
        parts.write(answered(f"file{number}"))
    whole = table.out.read_bytes() if before else b""

    def fail(*_: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(State, "commit", fail)
        with pytest.raises(OSError, match="No space"):
            parts.write(answered("lost"))
    assert b"lost" in table.out.read_bytes()
    table.close(parts)

    parts = table.open(Roll())
    assert (table.out.read_bytes() if table.out.exists() else b"") == whole
    assert not table.state.knows(b"lost", 9, 9)
    parts.write(answered("lost"))
    assert table.state.knows(b"lost", 9, 9)
    table.close(parts)
    assert table.out.read_bytes().count(b"lost") == 1


def test_killed_before_a_parquet_part_was_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is in its place: its rows are not written a second time."""
    from pyarrow import parquet  # noqa: PLC0415 - slow

    table = Table(tmp_path / "preds.parquet")
    parts = table.open(Roll(rows=2))

    def fail(*_: object, **_more: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(State, "end_part", fail)
        with pytest.raises(OSError, match="Input"):
            parts.write(answered("a", "b"))
    table.close(parts)
    parts = table.open(Roll(rows=2))
    parts.write(answered("c", "d"))
    table.close(parts)
    assert table.names() == ["preds-000001.parquet", "preds-000002.parquet"]
    rows = [row["path"] for name in table.names() for row in parquet.read_table(tmp_path / name).to_pylist()]
    assert rows == ["a", "b", "c", "d"]


@pytest.mark.parametrize("name", ["preds.csv", "preds.parquet"])
def test_killed_when_a_part_was_just_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Its number is used by the next one: no part seems to be missing."""
    table = Table(tmp_path / name)
    parts = table.open(Roll(rows=1))
    parts.write(answered("a"))

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(State, "commit", fail)
        with pytest.raises(OSError, match="No space"):
            parts.write(answered("b"))
    table.close(parts)
    parts = table.open(Roll(rows=1))
    parts.write(answered("b"))
    table.close(parts)
    assert table.names() == [f"preds-00000{number}{table.out.suffix}" for number in (1, 2)]


def test_a_foreign_file_in_a_new_tables_place(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not removed as what a killed watcher left."""
    parts = table.open(Roll())

    def fail(*_: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("batch.watch.tables.render", fail)
        with pytest.raises(OSError, match="No space"):
            parts.write(answered("a"))
    table.close(parts)
    table.out.write_text("precious")
    with pytest.raises(TableError, match="not of this watcher"):
        table.open(Roll())
    table.state._db.close()
    assert table.out.read_text() == "precious"


def test_a_state_that_is_none(tmp_path: Path) -> None:
    """Another file by that name is refused and stays as it is."""
    path = state_of(tmp_path / "preds.csv")
    path.write_text("precious, and longer than the header of a database" * 10)
    with pytest.raises(UserError, match=r"preds\.csv\.watch"):
        State(path)
    assert path.read_text().startswith("precious")
