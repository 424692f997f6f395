"""Rows of Parquet and Arrow files, as pandas, Hugging Face's datasets and Arrow itself write them."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import feather, parquet

from batch.archives import table
from batch.archives.kinds import ARROW, PARQUET
from batch.archives.member import Member, Selection
from batch.archives.table import read_table
from batch.files.skipped import Skipped
from batch.files.walk import Walk, count, walk
from exporter.contract import UNREADABLE
from tests.batch.archives.support import EVERYTHING, collect, read_all
from tests.batch.conftest import ScriptedServer
from tests.batch.support import Client, read_rows
from tests.conftest import RunBatch


def _parquet(rows: Any, path: Path) -> None:  # noqa: ANN401 - pyarrow has no types
    parquet.write_table(rows, path, row_group_size=200)


def _file(rows: Any, path: Path) -> None:  # noqa: ANN401 - likewise
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=100)


def _stream(rows: Any, path: Path) -> None:  # noqa: ANN401 - likewise
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=100)


Write = Callable[[Any, Path], None]
WRITERS: dict[str, Write] = {
    "t.parquet": _parquet,
    "t.arrow": _file,
    "t.arrows": _stream,
    "t.ipc": _stream,
    "t.feather": feather.write_feather,
}


def _rows(count: int = 1500) -> Any:  # noqa: ANN401 - likewise
    images = [bytes([number % 10] * (1 + number % 50)) for number in range(count)]
    return pa.table({"id": [f"scan {number}" for number in range(count)], "label": list(range(count)), "image": images})


def _select(bytes_column: str | None = None, id_column: str | None = None) -> Selection:
    return EVERYTHING._replace(bytes_column=bytes_column, id_column=id_column)


@pytest.mark.parametrize("name", WRITERS)
def test_a_row_for_each_row(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer, name: str) -> None:
    """Rows come in order, named by the table's path and their ids, or their numbers."""
    WRITERS[name](_rows(), tmp_path / name)
    for options, names in (
        (["--bytes-column", "image", "--id-column", "id"], [f"scan {number}" for number in range(1500)]),
        ([], [str(number) for number in range(1500)]),
    ):
        result = digits_batch(name, *options, "--out", "o.csv", "--force", "--server", scripted.address)
        assert result.returncode == 0, result.stderr
        rows = read_rows(tmp_path / "o.csv")
        assert [row["path"] for row in rows] == [f"{name}/{one}" for one in names]
        assert [row["digit"] for row in rows] == [str(number % 10) for number in range(1500)]


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(),
        pa.large_binary(),
        pa.binary(3),
        pa.dictionary(pa.int32(), pa.binary()),
        pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_every_type_of_bytes(tmp_path: Path, name: str, kind: Any) -> None:  # noqa: ANN401 - pyarrow has no types
    """Binary of any width, in a dictionary, and in Hugging Face's struct; what is null has no bytes."""
    values: list[Any] = [b"one", None, b"two"]
    if pa.types.is_struct(kind):
        # The path beside bytes that are null names a file of this machine: it is not read.
        values = [{"bytes": b"one", "path": "x"}, {"bytes": None, "path": __file__}, {"bytes": b"two", "path": None}]
    if pa.types.is_dictionary(kind):
        column = pa.array(values, pa.binary()).dictionary_encode()
    else:
        column = pa.array(values, kind)
    WRITERS[name](pa.table({"picture": column, "name": ["a", "b", "c"]}), tmp_path / name)
    members, reason = read_all(tmp_path / name)
    assert not reason
    assert [(member.name, member.content, member.fault) for member in members] == [
        ("0", b"one", ""),
        ("1", None, UNREADABLE),
        ("2", b"two", ""),
    ]


def test_a_struct_that_is_null(tmp_path: Path) -> None:
    """A row without its struct has no bytes, whatever lies beneath."""
    column = pa.array([None, {"bytes": b"two"}], pa.struct({"bytes": pa.binary()}))
    _file(pa.table({"image": column}), tmp_path / "t.arrow")
    assert [member.content for member in read_all(tmp_path / "t.arrow")[0]] == [None, b"two"]


def test_which_column_is_taken(tmp_path: Path) -> None:
    """The one that is named; the only one of bytes; or one of a likely name. Otherwise it is to be named."""
    one, two = [b"1"], [b"2"]
    path = tmp_path / "t.parquet"

    def first(columns: dict[str, Any], bytes_column: str | None = None) -> object:
        _parquet(pa.table(columns), path)
        members, reason = read_all(path, _select(bytes_column))
        return members[0].content if members else reason

    assert first({"x": one, "y": ["text"]}) == b"1"
    assert first({"hash": one, "PNG": two}) == b"2"
    assert first({"bytes": one, "image": two}) == b"2"
    assert first({"bytes": one, "image": two}, "bytes") == b"1"
    assert "several columns of bytes: name the one of the images with --bytes-column; it has a, b" in str(
        first({"a": one, "b": two})
    )
    assert "has no column of bytes" in str(first({"image": ["text"]}))
    assert "has no column 'c', which --bytes-column names; its columns are a, b" in str(
        first({"a": one, "b": two}, "c")
    )
    assert "has no bytes in its column 'b'" in str(first({"a": one, "b": [1]}, "b"))


def test_ids_of_any_type(tmp_path: Path) -> None:
    """Numbers, bytes, dates and text are names; null is the row's number; text that is no UTF-8 keeps its bytes."""
    broken = pa.array([b"caf\xe9", b"a/b", None], pa.binary()).view(pa.string())
    columns = {
        "number": ([7, None, 9], ["7", "1", "9"]),
        "bytes": ([b"caf\xe9", b"b", b"c"], ["caf\udce9", "b", "c"]),
        "broken": (broken, ["caf\udce9", "a/b", "2"]),
    }
    made = {name: values for name, (values, _) in columns.items()} | {"image": [b"1", b"2", b"3"]}
    _file(pa.table(made), tmp_path / "t.arrow")
    for name, (_, wanted) in columns.items():
        members, reason = read_all(tmp_path / "t.arrow", _select("image", name))
        assert (reason, [member.name for member in members]) == ("", wanted)
    assert "--id-column names" in read_all(tmp_path / "t.arrow", _select("image", "nothing"))[1]


@pytest.mark.parametrize("name", WRITERS)
def test_a_table_that_was_cut_off(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer, name: str) -> None:
    """Rows of what came before, where the format lets them be read, then one for the table, and exit code 1."""
    WRITERS[name](_rows(), tmp_path / name)
    octets = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(octets[: len(octets) * 2 // 3])
    result = digits_batch(name, "--out", "out.csv", "--server", scripted.address)
    assert result.returncode == 1, result.stderr
    *rows, last = read_rows(tmp_path / "out.csv")
    assert (last["path"], last["error"]) == (name, UNREADABLE)
    assert [row["path"] for row in rows] == [f"{name}/{number}" for number in range(len(rows))]
    assert bool(rows) == (name in ("t.arrow", "t.arrows", "t.ipc"))
    assert f"{name} " in result.stdout


@pytest.mark.parametrize(("name", "end"), [("t.arrow", 20), ("t.arrows", 8), ("t.arrows", 3)])
def test_an_end_that_is_missing(tmp_path: Path, name: str, end: int) -> None:
    """All rows are there, and nobody can know whether there were more."""
    WRITERS[name](_rows(300), tmp_path / name)
    octets = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(octets[:-end])
    members, reason = read_all(tmp_path / name)
    assert len(members) == 300
    assert "after 300 rows" in reason


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 1000, b"ARROW1\0\0", b"FEA1" + bytes(100), bytes(100)])
@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_what_is_no_table(tmp_path: Path, name: str, content: bytes) -> None:
    """One reason, and no rows."""
    (tmp_path / name).write_bytes(content)
    members, reason = read_all(tmp_path / name)
    assert not members
    assert reason


def test_killed_and_resumed(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """A table is gone on with where it stopped."""
    _parquet(_rows(), tmp_path / "t.parquet")
    command = ["t.parquet", "--id-column", "id", "--server", scripted.address, "--batch-size", "2", "--in-flight", "2"]
    assert digits_batch(*command, "--out", "quiet.csv").returncode == 0
    with Client(tmp_path, "out.csv", command) as client:
        client.wait_for_answers(100)
        client.kill()
    calls, kept = scripted.calls, client.answered()
    other = digits_batch(*command[:1], *command[3:], "--out", "out.csv")
    assert other.returncode == 2
    assert "id-column was id" in other.stderr
    assert digits_batch(*command, "--out", "out.csv").returncode == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "quiet.csv").read_bytes()
    assert scripted.calls - calls == 750 - kept


def test_the_table_does_not_replace_the_images(
    tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer
) -> None:
    """--force overwrites a finished table, not the one that images are read from, named or in a folder."""
    _parquet(_rows(10), tmp_path / "t.parquet")
    before = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "link.parquet").symlink_to("t.parquet")
    for paths in (["t.parquet"], [".", "--glob", "*.parquet"], [tmp_path / "link.parquet"]):
        refused = digits_batch(*paths, "--out", "t.parquet", "--force", "--server", scripted.address)
        assert refused.returncode == 2
        assert "choose another --out" in refused.stderr
    assert (tmp_path / "t.parquet").read_bytes() == before


def test_how_many_there_will_be(tmp_path: Path) -> None:
    """Rows are counted without their images, by their names if there are any."""
    for name in ("t.parquet", "t.arrow"):
        WRITERS[name](_rows(), tmp_path / name)
        for identity in (None, "id"):
            what = Walk((str(tmp_path / name),), id_column=identity)
            assert count(what) == 1500
            names = [file.path for file in walk(what, Skipped(), reads=False)]
            assert names == [file.path for file in walk(what, Skipped())]


def test_large_images_come_few_at_a_time(tmp_path: Path) -> None:
    """A Parquet file of large images is read in pieces of about 16 MiB, however many rows it has."""
    rows = pa.table({"image": [bytes([number]) * (4 << 20) for number in range(12)]})
    parquet.write_table(rows, tmp_path / "t.parquet", compression="none", use_dictionary=False)
    with (tmp_path / "t.parquet").open("rb") as file:
        sizes = [rows for rows, _, _ in table._parquet(file, EVERYTHING)]
    assert max(sizes) <= 4
    assert sum(sizes) == 12


def test_without_pyarrow(tmp_path: Path) -> None:
    """A table, or a pattern for tables, is refused at once, with what to install; archives of other kinds are not."""
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    script = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'pyarrow' else find(name)\n"
        "from batch.cli import main\n"
        "main()"
    )
    for arguments in (["t.parquet"], [".", "--glob", "*.arrow"]):
        command = [sys.executable, "-P", "-c", script, *arguments, "--out", "o.csv", "--server", "localhost:1"]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 2
        assert "pyarrow is not installed: run pip install '.[parquet]'" in result.stderr
        assert result.stderr.count("\n") == 1


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(sorted(WRITERS)))
def test_damage_anywhere(tmp_path: Path, data: st.DataObject, name: str) -> None:
    """Whatever is cut off or changed: no error but the one that says so."""
    WRITERS[name](_rows(300), tmp_path / name)
    octets = bytearray((tmp_path / name).read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(octets) - 1), max_size=5)):
        octets[at] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.integers(0, len(octets)) | st.just(len(octets)))
    members, _ = collect(
        read_table(io.BytesIO(octets[:end]), PARQUET if name == "t.parquet" else ARROW, _select("image"))
    )
    assert all(isinstance(member, Member) for member in members)
