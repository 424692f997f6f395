"""digits-batch on Google Cloud Storage, by a server of its JSON API on this machine."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.files.skipped import Skipped
from batch.files.walk import Walk, walk
from batch.stores import protocol, store
from batch.stores.faults import MissingError, StoreError, TakenError
from batch.stores.patience import Patience
from batch.stores.store import open_store
from batch.stores.urls import parse_url
from exporter.command import UserError
from tests.batch.conftest import ScriptedServer
from tests.batch.stores.gcs_server import GcsServer
from tests.batch.support import read_rows
from tests.conftest import RunBatch

pytestmark = pytest.mark.clusters

_PATIENCE = Patience(20)


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[GcsServer]:
    """A server that this process and those it starts find."""
    with GcsServer() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.endpoint)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        store._connected.cache_clear()
        yield server
        store._connected.cache_clear()


def test_rows_from_and_to_a_bucket(
    gcs: GcsServer, scripted: ScriptedServer, digits_batch: RunBatch, tmp_path: Path
) -> None:
    """Objects of several pages become rows in their order; the table is put once, and not again."""
    for number in range(20):
        gcs.put(f"in/{number:02}.png", bytes([number]))
    gcs.put("in/empty.png", b"")
    command = ("gs://scans/in", "--out", "gcs://scans/out/p.csv", "--server", scripted.address, "--batch-size", "6")
    result = digits_batch(*command)
    assert result.returncode == 0, result.stderr
    (tmp_path / "p.csv").write_bytes(gcs.objects["out/p.csv"].content)
    rows = read_rows(tmp_path / "p.csv")
    assert [row["path"] for row in rows] == [
        *(f"gs://scans/in/{n:02}.png" for n in range(20)),
        "gs://scans/in/empty.png",
    ]
    assert [row["digit"] for row in rows[:20]] == [*"0123456789" * 2]
    assert "is there already" in digits_batch(*command).stderr


_PARTS = st.sampled_from(["a", "a-b", "b", ".h", "x.png", "X.PNG", "é.png", "a b", ".y.png", "z.jpg"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.sets(st.lists(_PARTS, min_size=1, max_size=3).map("/".join), max_size=8), recursive=st.booleans())
def test_a_prefix_is_walked_as_a_folder_is(gcs: GcsServer, keys: set[str], *, recursive: bool) -> None:
    """The same objects as files of such names; in the order of their keys."""
    # On a disk, a name is that of a file or of a folder.
    keys = {key for key in keys if not any(other.startswith(key + "/") for other in keys)}
    gcs.objects.clear()
    with tempfile.TemporaryDirectory() as folder:
        for key in {*keys, "keep"}:
            gcs.put(f"in/{key}", b"\1")
            path = Path(folder, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"\1")
        on_disk = [file.path.removeprefix(folder) for file in walk(Walk((folder,), recursive=recursive), Skipped())]
    in_store = [file.path for file in walk(Walk(("gs://scans/in",), recursive=recursive), Skipped())]
    assert in_store == sorted((f"gs://scans/in{path}" for path in on_disk), key=str.encode)


def test_one_level(gcs: GcsServer) -> None:
    """With no recursion, what has a further slash is not listed."""
    for name in ("a/x.png", "a/b/y.png", "a/b/z.png", "a/.c/y.png"):
        gcs.put(name, b"\1")
    skipped = Skipped()
    (file,) = walk(Walk(("gs://scans/a",), recursive=False), skipped)
    assert (file.path, file.size, file.tag) == ("gs://scans/a/x.png", 1, "1")
    assert file.mtime_ns == 1767323045 * 10**9
    assert skipped.unwalked == 1


def test_what_is_not_there(gcs: GcsServer) -> None:
    """A bucket or object that is not there is told before a run, and by a future of its own kind."""
    with pytest.raises(UserError, match="no such bucket"):
        Walk(("gs://other/x",)).check()
    with pytest.raises(UserError, match=r"nothing under gs://scans/x/"):
        Walk(("gs://scans/x",)).check()
    where = parse_url("gs://scans/x")
    with pytest.raises(MissingError):
        open_store(where).fetch(where, _PATIENCE, most=10).result()


def test_reading_a_part(gcs: GcsServer) -> None:
    """A span of an object; with a tag, only while that is the object's."""
    gcs.put("x", b"0123456789")
    where = parse_url("gs://scans/x")
    found = open_store(where).fetch(where, _PATIENCE, most=10).result()
    assert found.content == b"0123456789"
    part = open_store(where).fetch(where, _PATIENCE, most=10, span=(2, 5), tag=found.tag).result()
    assert part.content == b"234"
    gcs.put("x", b"9876543210")
    with pytest.raises(StoreError, match="was changed"):
        open_store(where).fetch(where, _PATIENCE, most=10, span=(2, 5), tag=found.tag).result()


def test_writing_whole(gcs: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object is put where nothing is; a large one in parts; the same content again is no fault."""
    where = parse_url("gs://scans/x")
    one = open_store(where)
    one.put(where, b"first", _PATIENCE)
    one.put(where, b"first", _PATIENCE)
    with pytest.raises(TakenError):
        one.put(where, b"other", _PATIENCE)
    one.put(where, b"other", _PATIENCE, replace=True)
    assert gcs.objects["x"].content == b"other"
    monkeypatch.setattr("batch.stores.gcs.PART_BYTES", 4)
    monkeypatch.setattr("batch.stores.store.PART_BYTES", 4)
    large = parse_url("gs://scans/large")
    one.put_file(large, io.BytesIO(b"0123456789"), _PATIENCE)
    assert gcs.objects["large"].content == b"0123456789"
    assert protocol.PART_BYTES % 262_144 == 0
