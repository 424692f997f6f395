"""File names of any bytes, from the walk or a list through the journal into every form of table."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from batch.client.endpoint import ServerError
from batch.files.paths import PathList
from batch.files.skipped import Skipped
from batch.files.walk import STANDARD_INPUT, Walk
from batch.job import Job, run_job
from batch.summary import Summary
from batch.terminal.display import print_summary
from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows
from tests.conftest import RunBatch

# What tables, journals, shells, terminals and encodings trip over; the last but one are the bytes of a lone surrogate.
_PIECES = (
    *(b"\n", b"\r\n", b"\r", b",", b'"', b'""', b"'", b";", b"\t", b" ", b"=", b"=1+1", b"-", b"--out", b"@", b"+"),
    *(b"\\", b"\\n", b"]]]", b"[0,[[", b"{", b"%s", b"*", b"?", b"$HOME", b"~", b"#", b"\x1b[31m", b"\x7f", b"a", b"B"),
    *("é".encode(), "e\N{COMBINING ACUTE ACCENT}".encode(), "\N{LINE SEPARATOR}".encode(), "\ufeff".encode()),
    *("\N{PILE OF POO}".encode(), "\x85".encode(), b"\xff", b"\xe9", b"\xed\xb3\xa9", b".png"),
)
_NAMES = st.sets(
    (st.binary(min_size=1, max_size=30) | st.lists(st.sampled_from(_PIECES), min_size=1, max_size=8).map(b"".join))
    .filter(lambda name: not {0, ord("/")} & set(name))
    .filter(lambda name: name not in (b".", b"..")),
    min_size=1,
    max_size=12,
)
_SETTINGS = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _write(folder: Path, names: list[bytes]) -> None:
    """Write a file of one byte each: its place in the list."""
    folder.mkdir()
    for place, name in enumerate(names):
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:  # noqa: PTH123 - bytes
            file.write(bytes([place]))


def _read(out: Path) -> list[tuple[bytes, str]]:
    """Names and digits of a table, by whatever reads its form."""
    if out.suffix == ".csv":
        rows = [(row["path"], row["digit"]) for row in read_rows(out)]
    else:
        # A JSON string holds no newline, but str.splitlines knows more of these than there are.
        records = [json.loads(line) for line in out.read_bytes().split(b"\n")[:-1]]
        rows = [(record["path"], str(record["digit"])) for record in records]
    return [(os.fsencode(path), digit) for path, digit in rows]


def _run_stopped(scripted: ScriptedServer, job: Job, stop: int, listed: bytes = b"") -> None:
    """Run a job that a server stops at a request, if there are as many, and run it again."""
    scripted.calls = 0
    scripted.script = lambda number, _request, context: (
        context.abort(grpc.StatusCode.INTERNAL, "broken") if number == stop else None
    )
    try:
        run_job(job, listed=PathList(io.BytesIO(listed)))
    except ServerError:
        scripted.script = lambda *_: None
        summary, _ = run_job(job, listed=PathList(io.BytesIO(listed)))
        assert summary.resumed == 2 * stop


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@_SETTINGS
@given(names=_NAMES, stop=st.integers(0, 7))
def test_any_names_in_a_folder(
    tmp_path_factory: pytest.TempPathFactory, scripted: ScriptedServer, form: str, names: set[bytes], stop: int
) -> None:
    """Each file has one row with its name as it is, sorted by bytes, whether or not the run was stopped in between."""
    folder = tmp_path_factory.mktemp("job")
    taken = sorted(name for name in names if not name.startswith(b"."))
    _write(folder / "scans", [*taken, *(names - set(taken))])
    (folder / "scans" / "a last one").write_bytes(b"")
    walk = Walk((str(folder / "scans"),), globs=("*",))
    job = Job(walk, folder / f"out.{form}", (scripted.address,), batch_size=2, in_flight=1)
    _run_stopped(scripted, job, stop)
    prefix = os.fsencode(folder) + b"/scans/"
    expected = {prefix + name: str(place % 10) for place, name in enumerate(taken)} | {prefix + b"a last one": "0"}
    assert _read(job.out) == sorted(expected.items())


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@_SETTINGS
@given(names=_NAMES.flatmap(lambda names: st.permutations(sorted(names))), stop=st.integers(0, 7))
def test_any_names_in_a_list(
    tmp_path_factory: pytest.TempPathFactory, scripted: ScriptedServer, form: str, names: list[bytes], stop: int
) -> None:
    """Names on standard input, separated by NUL, have their rows in the list's order, exactly as they were given."""
    folder = tmp_path_factory.mktemp("job")
    _write(folder / "scans", names)
    walk = Walk((STANDARD_INPUT,))
    job = Job(walk, folder / f"out.{form}", (scripted.address,), batch_size=2, in_flight=1)
    with contextlib.chdir(folder / "scans"):
        _run_stopped(scripted, job, stop, b"".join(name + b"\0" for name in names))
    assert _read(job.out) == [(name, str(place % 10)) for place, name in enumerate(names)]


def test_what_find_print0_says(tmp_path: Path, scripted: ScriptedServer) -> None:
    """`find -print0 | digits-batch -` takes a list beyond any buffer, and names that no other list could hold."""
    names = sorted(b"%04d " % number + piece * 30 for number, piece in enumerate(_PIECES * 30) if piece != b"\\n")
    _write(tmp_path / "scans", [b"\n"])
    for name in names:
        os.link(tmp_path / "scans" / "\n", os.fsencode(tmp_path / "scans") + b"/" + name)
    listed = subprocess.run(["find", "scans", "-type", "f", "-print0"], cwd=tmp_path, capture_output=True, check=True)  # noqa: S607
    command = [sys.executable, "-P", "-m", "batch.cli", "-", "--out", "out.csv", "--server", scripted.address]
    result = subprocess.run(command, cwd=tmp_path, input=listed.stdout, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    paths = [path for path, _ in _read(tmp_path / "out.csv")]
    assert paths == listed.stdout.split(b"\0")[:-1]
    assert sorted(paths) == sorted([b"scans/\n", *(b"scans/" + name for name in names)])


@pytest.mark.parametrize("name", ["[red].csv", "[].csv", "caf\udce9.csv", "a\nb.csv", "- out.csv", ":smile:.csv"])
def test_any_name_of_the_table(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer, name: str) -> None:
    """The table, too, may be called what one likes: it is there, and the screen shows its name."""
    (tmp_path / "scan.png").write_bytes(b"\3")
    # As in most languages' locales: what is no UTF-8 cannot be printed as it is.
    result = digits_batch("scan.png", "--server", scripted.address, f"--out={name}", PYTHONIOENCODING="utf-8:strict")
    assert result.returncode == 0, result.stderr
    assert name.splitlines()[0].replace("\udce9", "?") in result.stdout
    assert len(read_rows(tmp_path / name)) == 1


def test_any_words_of_a_foreign_model() -> None:
    """Errors are shown in the words of the model, brackets and all."""
    screen = io.StringIO()
    print_summary(Console(file=screen), Summary(errors=Counter({"no [/b] in :smile:": 1})), Skipped(), "out.csv")
    assert "error: no [/b] in :smile:" in screen.getvalue()
