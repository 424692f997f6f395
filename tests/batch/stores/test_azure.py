"""digits-batch on Azure Blob Storage, by a server of its REST API on this machine."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.files.skipped import Skipped
from batch.files.walk import Walk, walk
from batch.stores import store
from batch.stores.faults import LargeError, MissingError, StoreError, TakenError
from batch.stores.patience import Patience
from batch.stores.store import open_store
from batch.stores.urls import parse_url
from exporter.command import UserError
from tests.batch.conftest import ScriptedServer
from tests.batch.stores.azure_server import AzureServer
from tests.batch.support import read_rows
from tests.conftest import RunBatch

pytestmark = pytest.mark.clusters

_PATIENCE = Patience(20)


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AzureServer]:
    """A server that this process and those it starts find."""
    with AzureServer() as server:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", server.connection)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        store._connected.cache_clear()
        yield server
        store._connected.cache_clear()


def test_rows_from_and_to_a_container(
    azure: AzureServer, scripted: ScriptedServer, digits_batch: RunBatch, tmp_path: Path
) -> None:
    """Blobs of several pages become rows in their order; the table is put once, and not again."""
    for number in range(20):
        azure.put(f"in/{number:02}.png", bytes([number]))
    azure.put("in/empty.png", b"")
    azure.failures = [503, 500, 503]
    command = ("az://scans/in", "--out", "abfs://scans/out/p.csv", "--server", scripted.address, "--batch-size", "6")
    result = digits_batch(*command)
    assert result.returncode == 0, result.stderr
    (tmp_path / "p.csv").write_bytes(azure.blobs["out/p.csv"].content)
    rows = read_rows(tmp_path / "p.csv")
    assert [row["path"] for row in rows] == [
        *(f"az://scans/in/{n:02}.png" for n in range(20)),
        "az://scans/in/empty.png",
    ]
    assert [row["digit"] for row in rows[:20]] == [*"0123456789" * 2]
    assert "is there already" in digits_batch(*command).stderr


def test_folders(azure: AzureServer) -> None:
    """What stands for a folder is none of the blobs; with no recursion, what has a further slash is not listed."""
    azure.put("a", b"", is_folder=True)
    azure.put("a/f.png", b"", is_folder=True)
    for name in ("a/x.png", "a/b/y.png", "a/b/z.png", "a/.c/y.png"):
        azure.put(name, b"\1")
    skipped = Skipped()
    (file,) = walk(Walk(("az://scans/a",), recursive=False), skipped)
    assert (file.path, file.size, file.tag) == ("az://scans/a/x.png", 1, "0x3")
    assert file.mtime_ns == 1767323045 * 10**9
    assert skipped.unwalked == 1


def test_what_is_not_there(azure: AzureServer) -> None:
    """A container or blob that is not there is told before a run, and by a future of its own kind."""
    with pytest.raises(UserError, match=r"no such bucket or container \(ContainerNotFound\)"):
        Walk(("az://other/x",)).check()
    with pytest.raises(UserError, match=r"nothing under az://scans/x/"):
        Walk(("az://scans/x",)).check()
    where = parse_url("az://scans/x")
    with pytest.raises(MissingError):
        open_store(where).fetch(where, _PATIENCE, most=10).result()


def test_reading_a_part(azure: AzureServer) -> None:
    """A span of a blob; with a tag, only while that is the blob's; nothing of one that is too large."""
    azure.put("x", b"0123456789")
    where = parse_url("az://scans/x")
    found = open_store(where).fetch(where, _PATIENCE, most=10).result()
    assert found == (b"0123456789", "0x1")
    assert open_store(where).fetch(where, _PATIENCE, most=3, span=(2, 5), tag=found.tag).result().content == b"234"
    with pytest.raises(LargeError):
        open_store(where).fetch(where, _PATIENCE, most=9).result()
    azure.put("x", b"9876543210")
    with pytest.raises(StoreError, match="was changed"):
        open_store(where).fetch(where, _PATIENCE, most=10, span=(2, 5), tag=found.tag).result()


def test_writing_whole(azure: AzureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob is put where nothing is; a large one in parts; the same content again is no fault."""
    where = parse_url("az://scans/x")
    one = open_store(where)
    one.put(where, b"first", _PATIENCE)
    one.put(where, b"first", _PATIENCE)
    with pytest.raises(TakenError):
        one.put(where, b"other", _PATIENCE)
    one.put(where, b"other", _PATIENCE, replace=True)
    assert azure.blobs["x"].content == b"other"
    monkeypatch.setattr("batch.stores.azure.PART_BYTES", 4)
    monkeypatch.setattr("batch.stores.store.PART_BYTES", 4)
    large = parse_url("az://scans/large")
    one.put_file(large, io.BytesIO(b"0123456789"), _PATIENCE)
    one.put_file(large, io.BytesIO(b"0123456789"), _PATIENCE)
    assert azure.blobs["large"].content == b"0123456789"
