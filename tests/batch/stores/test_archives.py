"""Archives in a store: read as they come, members as rows, nothing of them on this machine's disk."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from batch.files.skipped import Skipped
from batch.files.walk import Walk, walk
from batch.job import Job, run_job
from batch.stores import file as object_file
from batch.stores.faults import StoreError
from batch.stores.file import open_object
from batch.stores.patience import Patience
from batch.stores.urls import parse_url
from batch.table.remote import local_place
from exporter.command import UserError
from tests.batch.conftest import ScriptedServer
from tests.batch.stores.support import CUT, RESET, Bucket, FaultyProxy, Reply, s3_error
from tests.batch.support import read_rows

pytestmark = pytest.mark.clusters

_IMAGES = {f"{number:03}.png": bytes([number]) * (number + 1) for number in range(60)}


def _tar(images: dict[str, bytes]) -> bytes:
    octets = io.BytesIO()
    with tarfile.open(fileobj=octets, mode="w") as archive:
        for name, image in images.items():
            member = tarfile.TarInfo(name)
            member.size = len(image)
            archive.addfile(member, io.BytesIO(image))
    return octets.getvalue()


def _zip(images: dict[str, bytes]) -> bytes:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as archive:
        for name, image in images.items():
            archive.writestr(name, image)
    return octets.getvalue()


def _parquet(images: dict[str, bytes]) -> bytes:
    octets = io.BytesIO()
    parquet.write_table(pa.table({"image": list(images.values())}), octets)
    return octets.getvalue()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.tar", _tar),
        ("a.tar.gz", lambda images: gzip.compress(_tar(images), mtime=0)),
        ("a.zip", _zip),
        ("a.parquet", _parquet),
    ],
)
def test_an_archive_in_a_store(
    bucket: Bucket,
    scripted: ScriptedServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    make: Callable[[dict[str, bytes]], bytes],
) -> None:
    """The same rows as of the archive on a disk, though the store fails now and then, in blocks far smaller than it."""
    monkeypatch.setattr(object_file, "_BLOCK_BYTES", 8000)
    monkeypatch.setattr(object_file, "_BUFFER_BYTES", 512)
    (tmp_path / name).write_bytes(make(_IMAGES))
    url = bucket.put(f"in/{name}", make(_IMAGES))

    def fail_often(number: int, _method: str, _path: str) -> Reply | None:
        return {1: RESET, 2: CUT, 3: s3_error(503, "SlowDown")}.get(number % 5)

    with FaultyProxy(bucket.endpoint, fail_often) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        monkeypatch.chdir(tmp_path)
        run_job(Job(Walk((name,)), tmp_path / "disk.csv", (scripted.address,), batch_size=7))
        run_job(Job(Walk((url,)), tmp_path / "store.csv", (scripted.address,), batch_size=7))
    rows = [(row["path"].rpartition(name)[2], row["digit"]) for row in read_rows(tmp_path / "store.csv")]
    assert rows == [(row["path"].rpartition(name)[2], row["digit"]) for row in read_rows(tmp_path / "disk.csv")]
    assert len(rows) == 60
    assert read_rows(tmp_path / "store.csv")[0]["path"].startswith(url + "/")


def test_archives_under_a_prefix(bucket: Bucket) -> None:
    """Opened where a pattern names them; members carry the archive's ETag and their bytes."""
    bucket.put("in/a.tar", _tar({"x.png": b"1", "y.jpg": b"2"}))
    bucket.put("in/b.png", b"3")
    skipped = Skipped()
    (loose,) = walk(Walk((f"{bucket.url}/in",)), skipped)
    assert (loose.path, skipped.unopened) == (f"{bucket.url}/in/b.png", 1)
    found = list(walk(Walk((f"{bucket.url}/in",), ("*.tar", "*.jpg")), Skipped()))
    assert [(file.path, file.content) for file in found] == [(f"{bucket.url}/in/a.tar/y.jpg", b"2")]
    tag = bucket.client.head_object(Bucket=bucket.name, Key="in/a.tar")["ETag"].strip('"')
    assert found[0].tag == tag


def test_a_table_does_not_replace_what_is_read(bucket: Bucket, scripted: ScriptedServer) -> None:
    """A Parquet file of images is not the place for a Parquet table, --force or not."""
    url = bucket.put("in/a.parquet", _parquet(_IMAGES))
    for what in (Walk((url,)), Walk((f"{bucket.url}/in/",), ("*.parquet",))):
        with pytest.raises(UserError, match="would take the place of an object"):
            run_job(Job(what, local_place(url), (scripted.address,), force=True, url=url))
    assert bucket.read("in/a.parquet") == _parquet(_IMAGES)


def test_an_archive_that_changes_while_it_is_read(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two halves of two archives are no archive: the run stops, and reads the new one when it is repeated."""
    monkeypatch.setattr(object_file, "_BLOCK_BYTES", 4096)
    monkeypatch.setattr(object_file, "_BUFFER_BYTES", 512)
    monkeypatch.setattr("batch.archives.source._CHUNK", 512)
    url = bucket.put("a.tar", _tar(_IMAGES))
    files = walk(Walk((url,)), Skipped())
    next(files)
    bucket.put("a.tar", _tar(dict(reversed(_IMAGES.items()))))
    with pytest.raises(StoreError, match="changed in the meantime"):
        list(files)


@pytest.mark.parametrize("name", ["gone.tar", "gone.parquet"])
def test_an_archive_that_has_gone(bucket: Bucket, name: str) -> None:
    """Its row says that it cannot be read."""
    skipped = Skipped()
    (file,) = walk(Walk(("-",)), skipped, [f"{bucket.url}/{name}"])
    assert (file.path, file.fault) == (f"{bucket.url}/{name}", "unreadable")
    assert skipped.archives == {f"{bucket.url}/{name}": "cannot be opened (no such object)"}


@pytest.mark.parametrize("name", ["a.tar", "a.zip", "a.parquet"])
def test_a_store_that_fails_while_an_archive_is_read(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """No row says so: the archive is sound."""
    monkeypatch.setattr(object_file, "_BLOCK_BYTES", 2048)
    make = {"a.tar": _tar, "a.zip": _zip, "a.parquet": _parquet}[name]
    url = bucket.put(name, make(_IMAGES))
    with FaultyProxy(bucket.endpoint, lambda _number, method, _path: RESET if method == "GET" else None) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        with pytest.raises(StoreError, match="gave up after"):
            list(walk(Walk((url,), patience=Patience(0.3)), Skipped()))


def test_an_object_as_a_file(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read on, here and there, and beyond its end."""
    monkeypatch.setattr(object_file, "_BLOCK_BYTES", 10)
    monkeypatch.setattr(object_file, "_BUFFER_BYTES", 7)
    content = bytes(range(256))
    where = parse_url(bucket.put("x", content))
    with open_object(where, Patience(20)) as file:
        assert file.read() == content
        for start, count in [(0, 3), (250, 100), (95, 20), (256, 1), (7, 0), (1000, 5), (100, 60)]:
            file.seek(start)
            assert file.read(count) == content[start : start + count]
        assert file.seek(-6, io.SEEK_END) == 250
        assert file.read() == content[250:]
    with open_object(parse_url(bucket.put("empty", b"")), Patience(20)) as file:
        assert file.read() == b""
