"""A table at a URL: put whole, once, and never over something else."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.files.walk import Walk
from batch.job import Job, run_job
from batch.stores.faults import StoreError, TakenError
from batch.stores.patience import Patience
from batch.stores.store import open_store
from batch.stores.urls import parse_url
from batch.table.remote import local_place, make_folder
from exporter.command import UserError
from tests.batch.conftest import ScriptedServer
from tests.batch.stores.support import LOST, Bucket, FaultyProxy, Reply, s3_error
from tests.conftest import RunBatch

pytestmark = pytest.mark.clusters


@pytest.fixture
def proxy(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A proxy by which the bucket, which holds ten objects of one byte, is found."""
    bucket.put_numbered("scans/", 10)
    with FaultyProxy(bucket.endpoint) as faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint)
        yield faulty


@pytest.fixture
def job(bucket: Bucket, proxy: FaultyProxy, scripted: ScriptedServer) -> Job:
    """Reads the ten objects and puts a table beside them."""
    url = f"{bucket.url}/out/preds.csv"
    return Job(Walk((f"{bucket.url}/scans",)), local_place(url), (scripted.address,), timeout=1.0, url=url)


def _digits(bucket: Bucket) -> str:
    return "".join(line.split(",")[1] for line in bucket.read("out/preds.csv").decode().splitlines()[1:])


def test_the_table_is_put(
    bucket: Bucket, scripted: ScriptedServer, digits_batch: RunBatch, tmp_path: Path, environment: None
) -> None:
    """With one request; nothing is left on this machine. Without --force it is not written anew."""
    bucket.put_numbered("scans/", 10)
    command = (f"{bucket.url}/scans", "--out", f"{bucket.url}/out/preds.csv", "--server", scripted.address)
    result = digits_batch(*command)
    assert result.returncode == 0, result.stderr
    assert _digits(bucket) == "0123456789"
    assert f"rows are kept in {tmp_path}/state/digits/preds-" in result.stderr
    assert f"{bucket.url}/out/preds.csv" in result.stdout
    assert not list((tmp_path / "state" / "digits").iterdir())
    calls = scripted.calls
    refused = digits_batch(*command)
    assert refused.returncode == 2
    assert f"{bucket.url}/out/preds.csv is there already; add --force" in refused.stderr
    assert scripted.calls == calls
    assert digits_batch(*command, "--force").returncode == 0


def test_what_came_in_the_meantime_is_not_overwritten(job: Job, bucket: Bucket, scripted: ScriptedServer) -> None:
    """Another's table stays; the rows of this run are kept, and can be put with --force."""
    scripted.script = lambda *_: bucket.put("out/preds.csv", b"another's")
    with pytest.raises(UserError, match="is there already"):
        run_job(job)
    assert bucket.read("out/preds.csv") == b"another's"
    calls = scripted.calls
    run_job(Job(job.walk, job.out, job.servers, force=True, url=job.url))
    assert (_digits(bucket), scripted.calls) == ("0123456789", calls)


def test_an_answer_that_is_lost(job: Job, bucket: Bucket, proxy: FaultyProxy) -> None:
    """The table was put, though nobody said so: a second attempt finds its own bytes."""
    puts: list[str] = []

    def lose_the_first(_number: int, method: str, path: str) -> Reply | None:
        puts.extend([path] * (method == "PUT"))
        return LOST if method == "PUT" and len(puts) == 1 else None

    proxy.script = lose_the_first
    run_job(job)
    assert _digits(bucket) == "0123456789"
    assert len(puts) == 2


def test_a_run_that_ended_before_it_knew(
    job: Job, bucket: Bucket, proxy: FaultyProxy, scripted: ScriptedServer
) -> None:
    """Where the table was put and the run was stopped, the same run again asks nothing and is done."""
    proxy.script = lambda _number, method, _path: LOST if method == "PUT" else None
    with pytest.raises(StoreError, match="gave up after 1 s"):
        run_job(job)
    assert _digits(bucket) == "0123456789"
    proxy.script = lambda *_: None
    calls = scripted.calls
    summary, _ = run_job(job)
    assert (summary.resumed, scripted.calls) == (10, calls)
    assert not list(job.out.parent.iterdir())


def test_a_store_that_takes_no_condition(job: Job, bucket: Bucket, proxy: FaultyProxy) -> None:
    """It is looked first instead."""
    refused: list[str] = []

    def refuse_the_first(_number: int, method: str, path: str) -> Reply | None:
        refused.extend([path] * (method == "PUT"))
        return s3_error(501, "NotImplemented") if method == "PUT" and len(refused) == 1 else None

    proxy.script = refuse_the_first
    run_job(job)
    assert _digits(bucket) == "0123456789"


def test_a_large_table_is_put_in_parts(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one object at the end, or none; the same content again is no fault."""
    part = 5 << 20  # what S3 wants at least
    monkeypatch.setattr("batch.stores.s3.PART_BYTES", part)
    monkeypatch.setattr("batch.stores.store.PART_BYTES", part)
    where = parse_url(f"{bucket.url}/large")
    store = open_store(where)
    content = bytes(range(256)) * (2 * part // 256) + b"the end"
    store.put_file(where, io.BytesIO(content), Patience(20))
    assert bucket.read("large") == content
    store.put_file(where, io.BytesIO(content), Patience(20))
    with pytest.raises(TakenError):
        store.put_file(where, io.BytesIO(content[:-1] + b"!"), Patience(20))
    assert bucket.read("large") == content
    assert not bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads")


@pytest.mark.parametrize(
    ("out", "text"),
    [
        ("s3://no-such-bucket/preds.csv", "no such bucket"),
        ("s3://bucket/preds.txt", "--out s3://bucket/preds.txt: the ending says the form"),
        ("s3://bucket/preds/", "names no table"),
        ("s3://user:secret@bucket/preds.csv", "carries credentials"),
        ("ftp://host/preds.csv", "URLs of ftp:// are not read"),
    ],
)
def test_what_no_table_can_be_put_to(
    bucket: Bucket, scripted: ScriptedServer, digits_batch: RunBatch, tmp_path: Path, out: str, text: str
) -> None:
    """One line before the run, and no secret in it."""
    (tmp_path / "a.png").write_bytes(b"\1")
    refused = digits_batch("a.png", "--out", out, "--server", scripted.address)
    assert refused.returncode == 2, refused.stderr
    assert text in refused.stderr
    assert "secret" not in refused.stderr
    assert scripted.calls == 0


def test_the_place_of_a_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder for the user alone; names tell URLs apart, and can be read."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one, other = local_place("s3://a/x/preds 1.csv"), local_place("s3://b/x/preds 1.csv")
    assert one == local_place("s3://a/x/preds 1.csv") != other
    assert one.parent == tmp_path / "digits"
    assert one.name.startswith("preds_1-")
    assert one.suffix == ".csv"
    make_folder(one)
    assert one.parent.stat().st_mode & 0o077 == 0
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set XDG_STATE_HOME to a folder that can be written"):
        make_folder(local_place("s3://a/x.csv"))
