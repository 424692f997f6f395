"""Jobs in an object store: images, archives and the job itself at URLs."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from batch.client.tensors import Target
from batch.cluster.finish import finish_job
from batch.cluster.folder import open_folder
from batch.cluster.manifest import ShardError
from batch.cluster.plan import plan_job
from batch.cluster.planned import Plan, Planned
from batch.cluster.shard import missing, run_shard
from batch.cluster.status import status_of
from batch.files.walk import Walk
from batch.job import Job, begin, run_job
from batch.stores import store
from batch.table.output import Form
from exporter.command import UserError
from exporter.contract import CHANGED
from tests.batch.archives.support import digits, tar_of
from tests.batch.cluster.support import asking
from tests.batch.conftest import ScriptedServer
from tests.batch.stores.conftest import bucket, environment, s3_endpoint
from tests.batch.stores.support import SECRET, Bucket, FaultyProxy
from tests.batch.support import read_rows

pytestmark = pytest.mark.clusters

__all__ = ["bucket", "environment", "s3_endpoint"]

WHAT = ("*.png", "*.tar")


@pytest.fixture
def job(bucket: Bucket) -> str:
    """Where a job of 30 objects and a tar of 50 is, in the same bucket."""
    bucket.put_numbered("scans/", 30)
    bucket.put("scans/0010a.tar", tar_of(digits(50)))
    return f"{bucket.url}/jobs/one"


def _plan(job: str, bucket: Bucket) -> Planned:
    walk = Walk((f"{bucket.url}/scans",), WHAT)
    plan = Plan(walk, str(Path.cwd()), Target("digits", "serving_default", 1), 4, Form(), shard_files=12)
    return plan_job(open_folder(job), plan, begin(walk, (), expands=False))


def _keys(bucket: Bucket, prefix: str) -> list[str]:
    listed = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix=prefix)
    return [one["Key"] for one in listed.get("Contents", [])]


def test_a_job_has_the_rows_of_a_run(job: str, bucket: Bucket, scripted: ScriptedServer, tmp_path: Path) -> None:
    """Its table is that of `digits-batch`; repeating a shard asks nothing; nothing secret is in the job."""
    planned = _plan(job, bucket)
    assert (planned.files, planned.archives) == (31, 1)
    assert planned.shards > 2
    with pytest.raises(UserError, match="meanwhile"):
        _plan(job, bucket)
    for number in missing(job):
        run_shard(job, number, asking(scripted.address))
    calls = scripted.calls
    run_shard(job, 0, asking(scripted.address))
    assert scripted.calls == calls
    assert status_of(job).done == planned.shards
    finish_job(job, str(tmp_path / "job.csv"))
    run_job(Job(Walk((f"{bucket.url}/scans",), WHAT), tmp_path / "run.csv", (scripted.address,), batch_size=4))
    assert (tmp_path / "job.csv").read_bytes() == (tmp_path / "run.csv").read_bytes()
    keys = _keys(bucket, "jobs/one/")
    assert "jobs/one/job.json" in keys
    assert "jobs/one/_SUCCESS" in keys
    for key in keys:
        assert SECRET.encode() not in bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read()


def test_the_table_goes_to_a_store(job: str, bucket: Bucket, scripted: ScriptedServer, tmp_path: Path) -> None:
    """`finish` puts one object, or parts and `_SUCCESS`; what is there is kept, unless --force says otherwise."""
    planned = _plan(job, bucket)
    for number in range(planned.shards):
        run_shard(job, number, asking(scripted.address))
    finish_job(job, str(tmp_path / "out.csv"))
    whole = (tmp_path / "out.csv").read_bytes()
    for ending in ("csv", "jsonl"):
        finish_job(job, f"{bucket.url}/out.{ending}")
    assert bucket.read("out.csv") == whole
    bucket.put("out.csv", b"another's")
    with pytest.raises(UserError, match="--force"):
        finish_job(job, f"{bucket.url}/out.csv")
    assert bucket.read("out.csv") == b"another's"
    finish_job(job, f"{bucket.url}/out.csv", force=True)
    assert bucket.read("out.csv") == whole
    bucket.put("parts/part-99999.csv", b"of another table")
    for force in (False, True):
        finish_job(job, f"{bucket.url}/parts/", force=force)
        with pytest.raises(UserError, match="--force"):
            finish_job(job, f"{bucket.url}/parts/")
    keys = _keys(bucket, "parts/")
    assert keys == ["parts/_SUCCESS", *(f"parts/part-{number:05}.csv" for number in range(planned.shards))]
    header, *rows = whole.splitlines(keepends=True)
    parts = [bucket.read(key).splitlines(keepends=True) for key in keys[1:]]
    assert [line for part in parts for line in part[1:]] == rows
    assert {part[0] for part in parts} == {header}


def test_markers_are_read_many_at_once(
    bucket: Bucket, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is missing, the status and the table are right where shards are more than are read at once."""
    paths = bucket.put_numbered("scans/", 70)
    job = f"{bucket.url}/jobs/many"
    walk = Walk((f"{bucket.url}/scans",), WHAT)
    plan = Plan(walk, str(Path.cwd()), Target("digits", "serving_default", 1), 1, Form(), shard_files=1)
    plan_job(open_folder(job), plan, begin(walk, (), expands=False))
    late = [5, 66]
    for number in sorted(set(range(70)) - set(late)):
        run_shard(job, number, asking(scripted.address))
    with FaultyProxy(bucket.endpoint) as proxy:
        for name, value in bucket.environment(proxy.endpoint).items():
            monkeypatch.setenv(name, value)
        store._connected.cache_clear()
        assert list(missing(job)) == late
        status = status_of(job)
        assert (status.done, status.missing, status.failed) == (68, 2, 0)
        assert 2 < proxy.most_at_once <= 32
        for number in late:
            run_shard(job, number, asking(scripted.address))
        finish_job(job, str(tmp_path / "out.csv"))
    assert [row["path"] for row in read_rows(tmp_path / "out.csv")] == paths


def test_objects_that_changed_since_the_plan(
    job: str, bucket: Bucket, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """By their ETags: rows say so for an object that was overwritten, one that is gone, and an archive."""
    planned = _plan(job, bucket)
    first, second, third = [key for key in _keys(bucket, "scans/") if key.endswith(".png")][:3]
    bucket.put(first, b"\7")
    bucket.client.delete_object(Bucket=bucket.name, Key=second)
    bucket.put("scans/0010a.tar", tar_of(digits(49)))
    for number in range(planned.shards):
        run_shard(job, number, asking(scripted.address))
    finish_job(job, str(tmp_path / "out.csv"))
    changed = [row["path"] for row in read_rows(tmp_path / "out.csv") if row["error"] == CHANGED]
    assert sorted(changed) == sorted(f"{bucket.url}/{key}" for key in (first, second, "scans/0010a.tar"))
    assert f"{bucket.url}/{third}" not in changed


def test_objects_that_are_all_gone(job: str, bucket: Bucket, scripted: ScriptedServer) -> None:
    """A shard none of whose objects is there fails, as where another bucket is meant; it gets no rows."""
    _plan(job, bucket)
    for key in _keys(bucket, "scans/"):
        bucket.client.delete_object(Bucket=bucket.name, Key=key)
    with pytest.raises(ShardError):
        run_shard(job, 0, asking(scripted.address))
    assert status_of(job).failed == 1


def test_two_workers_on_one_shard(job: str, bucket: Bucket, scripted: ScriptedServer) -> None:
    """Both end with the same marker, and one part is left."""
    _plan(job, bucket)
    markers = []
    threads = [
        threading.Thread(target=lambda: markers.append(run_shard(job, 0, asking(scripted.address)))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert markers[0] == markers[1]
    assert _keys(bucket, "jobs/one/parts/") == [f"jobs/one/{markers[0].part}"]


def test_the_command_and_a_worker_that_is_killed(
    job: str, bucket: Bucket, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """A worker that gets SIGKILL leaves nothing that counts but whole shards; the next ones finish the job."""
    command = [sys.executable, "-P", "-m", "batch.cluster.cli"]
    paths = [f"{bucket.url}/scans", "--glob", "*.png", "--glob", "*.tar"]
    options = ["--shard-files", "12", "--batch-size", "4", "--model-version", "1"]
    planned = subprocess.run([*command, "plan", job, *paths, *options], capture_output=True, text=True, check=False)
    assert planned.returncode == 0, planned.stderr
    assert "30 images and 1 archive in" in planned.stdout
    scripted.script = lambda _number, _request, _context: time.sleep(0.1)
    work = [*command, "work", job, "--server", scripted.address]
    worker = subprocess.Popen(work, stderr=subprocess.DEVNULL)
    while scripted.calls < 4:
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    scripted.script = lambda _number, _request, _context: None
    for step in (work, [*command, "finish", job, "--out", str(tmp_path / "out.csv")]):
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert len({row["path"] for row in read_rows(tmp_path / "out.csv")}) == 80


def test_a_job_that_cannot_be_there(bucket: Bucket, scripted: ScriptedServer) -> None:
    """A bucket that is not there, or a store that is none, is told in one sentence."""
    command = [sys.executable, "-P", "-m", "batch.cluster.cli"]
    for job, text in ((f"{bucket.url}-no/job", "no such bucket"), ("ftp://x/job", "are not read")):
        for step in (["work", job, "--server", scripted.address], ["status", job], ["finish", job, "--out", "x.csv"]):
            done = subprocess.run([*command, *step], capture_output=True, text=True, check=False)
            assert done.returncode in (2, 3)
            assert text in done.stderr
            assert "Traceback" not in done.stderr
