"""A watcher that is killed at any line of the code that writes: at every one in the soak, else at some."""

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from batch.client.answers import Answer
from batch.files.file import File
from batch.table.output import Form
from batch.watch import moves, parts, state, tables
from batch.watch.moves import Mover
from batch.watch.parts import Answered, Parts
from batch.watch.roots import Root
from batch.watch.settings import Roll
from batch.watch.state import Known, State, state_of
from tests.batch.support import read_rows
from tests.batch.watch.support import drop

_WRITING = {module.__file__ for module in (moves, parts, state, tables)}
_NAMES = [f"{number}.png" for number in range(6)]
_KILLED = 9


def _watch(folder: Path, out: str, roll: Roll, *, move: bool) -> None:
    """Answer what is not answered, two files at a time, and move it."""
    root = Root(str(folder / "in"))
    table = folder / out
    done = folder / "done" if move else None
    with State(state_of(table)) as known:
        written = Parts(table, Form(), roll, known, lambda _: None)
        mover = Mover(done, None, [root], known, lambda _: None)
        mover.catch_up()
        left = [_known(root, folder / "in" / name) for name in _NAMES if (folder / "in" / name).exists()]
        left = [one for one in left if not known.knows(*one[:3])]
        written.end_if_over()
        for start in range(0, len(left), 2):
            some = left[start : start + 2]
            answered = [Answered(one, [_file(one)], [Answer(3, "0.5000", "", "1")]) for one in some]
            written.write(answered, {root.fact: root.inode()})
            mover.move(some)
        written.close()


def _known(root: Root, path: Path) -> Known:
    status = path.stat()
    return Known(root.key_of(str(path)), status.st_size, status.st_mtime_ns, failed=False)


def _file(known: Known) -> File:
    return File(os.path.basename(os.fsdecode(known.key)), known.size, known.mtime_ns)  # noqa: PTH119 - a plain name


def _in_a_process(work: Callable[[], None], *, most_lines: int | None = None) -> bool:
    """Run something in a process that ends after so many lines of the code that writes; whether it came to its end."""
    child = os.fork()
    if child == 0:
        count = 0

        def on_line(_frame: FrameType, event: str, _more: Any) -> Any:  # noqa: ANN401 - a tracing function
            nonlocal count
            count += event == "line"
            if count == most_lines:
                os._exit(_KILLED)
            return on_line

        def on_call(frame: FrameType, _event: str, _more: Any) -> Any:  # noqa: ANN401 - likewise
            return on_line if frame.f_code.co_filename in _WRITING else None

        code = 1
        try:
            sys.settrace(on_call if most_lines is not None else None)
            work()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, _KILLED), "it failed by itself"
    return code == 0


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory: a process that is killed leaves the same there, and thousands of syncs cost nothing."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    ("out", "roll", "move"),
    [
        ("preds.csv", Roll(), False),
        ("preds.csv", Roll(), True),
        ("preds.jsonl", Roll(rows=4), False),
        ("preds.parquet", Roll(rows=3), True),
    ],
)
@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_at_a_line(memory: Path, out: str, roll: Roll, move: bool, step: int) -> None:  # noqa: FBT001 - a parameter
    """Each file has one row, each part as many as it should, and each file is moved: whichever line was the last."""
    lines = 1 - step
    is_whole = False
    while not is_whole:
        lines += step
        folder = memory / str(lines)
        for name in _NAMES:
            drop(folder / "in" / name, b"image")

        def watch(folder: Path = folder) -> None:
            _watch(folder, out, roll, move=move)

        is_whole = _in_a_process(watch, most_lines=lines)
        assert is_whole or _in_a_process(watch)
    assert lines > 100

    for number in range(1, lines + 1, step):
        folder = memory / str(number)
        tables_of_it = sorted(folder.glob(f"preds*{Path(out).suffix}"))
        counts = [Counter(_paths(table)) for table in tables_of_it]
        assert sum(counts, Counter()) == Counter(_NAMES), f"killed at line {number}: {counts}"
        if roll.rows:
            lengths = [sum(count.values()) for count in counts]
            assert lengths == [roll.rows] * (6 // roll.rows) + [6 % roll.rows] * (6 % roll.rows > 0), number
        remaining = sorted(path.name for path in (folder / "in").iterdir())
        assert remaining == ([] if move else _NAMES), number
        if move:
            assert sorted(path.name for path in (folder / "done").iterdir()) == _NAMES, number


def _paths(table: Path) -> list[str]:
    if table.suffix == ".csv":
        return [row["path"] for row in read_rows(table)]
    if table.suffix == ".jsonl":
        return [json.loads(line)["path"] for line in table.read_text().splitlines()]
    from pyarrow import parquet  # noqa: PLC0415 - not before the processes: its threads do not outlive a fork

    return [row["path"] for row in parquet.read_table(table).to_pylist()]
