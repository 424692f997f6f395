"""digits-job as people run it: plan, work, status, finish; killed and repeated."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest

from batch.client import wire_pb2 as wire
from tests.batch.cluster.support import workers_of, write_files
from tests.batch.conftest import ScriptedServer
from tests.batch.support import wait_for, write_scans
from tests.conftest import RunBatch, interruptible
from tests.support import Image, field_png

pytestmark = pytest.mark.clusters

RunJob = Callable[..., "subprocess.CompletedProcess[str]"]


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-P", "-m", "batch.cluster.cli", *map(str, arguments)]


@pytest.fixture
def digits_job(tmp_path: Path) -> RunJob:
    """Run digits-job in a folder of its own; no server listens unless a test names one."""
    variables = {name: value for name, value in os.environ.items() if name != "DIGITS_SERVER"}

    def run_job(*arguments: str | Path, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            _command(*arguments),
            cwd=tmp_path,
            env=variables | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run_job


@pytest.mark.parametrize("way", ["work", "run"])
def test_from_plan_to_table(
    tmp_path: Path, digits_job: RunJob, digits_batch: RunBatch, scripted: ScriptedServer, way: str
) -> None:
    """Four commands write the table that digits-batch writes; each may be repeated, and none does its work twice."""
    write_files(tmp_path / "scans", 60)
    cut = ("--batch-size", "5")
    one = digits_batch("scans", "--out", "one.csv", "--server", scripted.address, *cut)
    assert one.returncode == 0, one.stderr

    planning = ("plan", "job", "scans", "--server", scripted.address, "--shard-files", "20", *cut)
    planned = digits_job(*planning)
    assert planned.returncode == 0, planned.stderr
    assert "job: 60 images in 3 shards, for version 1 of model digits" in planned.stdout
    assert digits_job("status", "job").returncode == 3
    early = digits_job("finish", "job", "--out", "job.csv")
    assert early.returncode == 3
    assert "3 of 3 shards are missing" in early.stderr

    working = (way, "job", "--server", scripted.address, *(("--workers", "2") if way == "run" else ()))
    worked = digits_job(*working)
    assert worked.returncode == 0, worked.stderr
    calls = scripted.calls
    again = digits_job(*planning)
    assert again.returncode == 0
    assert "planned already" in again.stderr
    assert digits_job(*working).returncode == 0
    assert scripted.calls == calls

    status = digits_job("status", "job", "--json")
    assert status.returncode == 0
    assert (json.loads(status.stdout)["done"], json.loads(status.stdout)["rows"]) == (3, 60)
    assert "done" in digits_job("status", "job").stdout
    finished = digits_job("finish", "job", "--out", "job.csv", "--summary", "job.json")
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "job.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    summary = json.loads((tmp_path / "job.json").read_text())
    assert (summary["rows"], summary["settings"]["shard-files"]) == (60, 20)
    repeated = digits_job("finish", "job", "--out", "job.csv")
    assert repeated.returncode == 2
    assert "--force" in repeated.stderr


def test_rows_with_errors(tmp_path: Path, digits_job: RunJob, scripted: ScriptedServer) -> None:
    """A worker that did its work ends with 0, whatever the rows say; the table at the end tells by 1."""
    write_files(tmp_path / "scans", 5)
    assert "job: 5 images in 1 shard, for" in digits_job("plan", "job", "scans", "--model-version", "1").stdout
    early = digits_job("finish", "job", "--out", "job.jsonl").stderr
    assert "1 of 1 shard is missing" in early
    (tmp_path / "scans" / "0002.png").unlink()
    worked = digits_job("work", "job", "--server", scripted.address, "--of", "1", JOB_COMPLETION_INDEX="0")
    assert worked.returncode == 0
    assert "shard 0: 5 rows, 1 with an error" in worked.stderr
    finished = digits_job("finish", "job", "--out", "job.jsonl")
    assert finished.returncode == 1
    assert "changed since the plan" in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "job"], "PATH is missing"),
        (["plan", "job", "nowhere"], "nowhere: no such file or folder"),
        (["plan", "job", "empty"], "nothing to do"),
        (["plan", "job", "scans", "--model-version", "1", "--model-label", "stable"], "exclude each other"),
        (
            ["plan", "planned", "scans", "--model-version", "1", "--shard-files", "20000"],
            "other settings (shard-files)",
        ),
        (["plan", "planned", "scans", "--model-version", "2"], "other settings (model-version)"),
        (["plan", "scans/0000.png", "scans", "--model-version", "1"], "choose another folder for the job"),
        (["work", "job"], "no planned job"),
        (["work", "planned", "--index", "1"], "--index needs --of"),
        (["run", "planned", "--saved-model", "m"], "--saved-model needs --in-process"),
        (["run", "planned", "--in-process", "--server", "localhost"], "exclude each other"),
        (["status", "job"], "no planned job"),
        (["finish", "job", "--out", "x.csv"], "no planned job"),
        (["finish", "planned", "--out", "x.txt"], "the ending says the form"),
        (["finish", "planned", "--out", "x.csv", "--summary", "x.csv"], "is the table itself"),
    ],
)
def test_wrong_usage(tmp_path: Path, digits_job: RunJob, arguments: list[str], said: str) -> None:
    """A mistake is one line that says what to do, with exit code 2, and changes nothing."""
    write_files(tmp_path / "scans", 3)
    (tmp_path / "empty").mkdir()
    digits_job("plan", "planned", "scans", "--model-version", "1")
    result = digits_job(*arguments)
    assert result.returncode == 2, result.stderr
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize("way", ["work", "run"])
def test_an_interrupted_command(tmp_path: Path, digits_job: RunJob, scripted: ScriptedServer, way: str) -> None:
    """Ctrl-C ends a worker, or all, with 130 and what to do; what was under way is another worker's at once."""
    write_files(tmp_path / "scans", 40)
    digits_job("plan", "job", "scans", "--model-version", "1", "--shard-files", "4")

    def wait(number: int, _request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        while number == 5 and context.is_active():
            time.sleep(0.01)

    scripted.script = wait
    with interruptible():
        worker = subprocess.Popen(
            _command(way, "job", "--server", scripted.address), cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
    wait_for(lambda: scripted.calls > 5)
    worker.send_signal(signal.SIGINT)
    assert "interrupted; repeat the command" in worker.communicate(timeout=60)[1]
    assert worker.returncode == 130
    assert digits_job("work", "job", "--server", scripted.address).returncode == 0
    assert digits_job("status", "job").returncode == 0


@pytest.mark.parametrize("way", ["work", "run"])
def test_a_full_disk(tmp_path: Path, digits_job: RunJob, scripted: ScriptedServer, way: str) -> None:
    """A part that the disk does not take is exit code 3 and what to do; with room, the same command goes on."""
    write_files(tmp_path / "scans", 200)
    digits_job("plan", "job", "scans", "--model-version", "1", "--shard-files", "100")
    command = (way, "job", "--server", scripted.address)
    # Files of at most 1 KiB (POSIX counts in 512 bytes): markers are shorter, parts are longer.
    limited = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 2; exec "$@"', "sh", *_command(*command)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert limited.returncode == 3, limited.stderr
    assert "File too large" in limited.stderr
    assert digits_job("status", "job").returncode == 3
    assert digits_job(*command).returncode == 0
    assert digits_job("finish", "job", "--out", "job.csv").returncode == 0


def test_workers_end_with_who_started_them(tmp_path: Path, digits_job: RunJob, scripted: ScriptedServer) -> None:
    """If SIGKILL ends digits-job run, its workers end by themselves; what is done stays, and the command goes on."""
    write_files(tmp_path / "scans", 40)
    digits_job("plan", "job", "scans", "--model-version", "1", "--shard-files", "4")

    def wait(number: int, _request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        while number >= 5 and context.is_active():
            time.sleep(0.01)

    scripted.script = wait
    command = ("run", "job", "--server", scripted.address, "--workers", "2")
    runner = subprocess.Popen(_command(*command), cwd=tmp_path)
    wait_for(lambda: scripted.calls > 6)
    workers = list(workers_of(runner.pid))
    assert len(workers) == 2
    runner.kill()
    runner.wait()
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    done = json.loads(digits_job("status", "job", "--json").stdout)["done"]
    assert done >= 3
    scripted.script = lambda *_: None
    asked = sum(scripted.sizes)
    assert digits_job(*command).returncode == 0
    assert sum(scripted.sizes) - asked == 40 - 4 * done


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_a_worker_killed_again_and_again(
    tmp_path: Path, digits_job: RunJob, scripted: ScriptedServer, kills: int
) -> None:
    """A worker that SIGKILL ends at random moments leaves nothing that a later one does not put right."""
    write_files(tmp_path / "scans", 400)
    planning = ("--model-version", "1", "--shard-files", "20", "--batch-size", "2")
    for job in ("quiet", "killed"):
        digits_job("plan", job, "scans", *planning)
    assert digits_job("work", "quiet", "--server", scripted.address).returncode == 0
    scripted.script = lambda *_: time.sleep(0.02)
    random = np.random.default_rng(1)
    for _ in range(kills):
        worker = subprocess.Popen(
            _command("work", "killed", "--server", scripted.address), cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        before = scripted.calls
        while scripted.calls == before and worker.poll() is None:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.5))
        worker.kill()
        worker.wait()
    scripted.script = lambda *_: None
    assert digits_job("work", "killed", "--server", scripted.address).returncode == 0
    parts = [
        {path.name: path.read_bytes() for path in (tmp_path / job / "parts").iterdir()} for job in ("quiet", "killed")
    ]
    assert parts[0] == parts[1]


def test_each_worker_loads_the_model_itself(
    tmp_path: Path, digits_job: RunJob, server: str, mnist_pngs: list[bytes]
) -> None:
    """With --in-process there is no server, and the rows are those that a server's model gives."""
    (tmp_path / "scans").mkdir()
    for number, png in enumerate([*mnist_pngs[:10], b"no image"]):
        (tmp_path / "scans" / f"{number:02}.png").write_bytes(png)
    for job in ("served", "loaded"):
        digits_job("plan", job, "scans", "--model-version", "1", "--probabilities")
    assert digits_job("run", "served", "--server", server, "--workers", "1").returncode == 0
    loaded = digits_job("run", "loaded", "--in-process", "--workers", "1")
    assert loaded.returncode == 0, loaded.stderr
    for job in ("served", "loaded"):
        assert digits_job("finish", job, "--out", f"{job}.csv").returncode == 1
    assert (tmp_path / "loaded.csv").read_bytes() == (tmp_path / "served.csv").read_bytes()
    digits_job("plan", "newer", "scans", "--model-version", "2")
    newer = digits_job("run", "newer", "--in-process", "--workers", "1")
    assert newer.returncode == 2
    assert "planned for version 2 of model digits" in newer.stderr


def test_fields_of_several_digits(
    tmp_path: Path, digits_job: RunJob, digits_batch: RunBatch, reader: ScriptedServer
) -> None:
    """The options of --read numbers are the plan's, and its table is that of digits-batch; wrong ones plan nothing."""
    write_scans(tmp_path / "fields", [b"0042", b"7 42", b"1 2"], 150)
    options = ["fields", "--read", "numbers", "--digits", "2-4", "--server", reader.address]
    one = digits_batch(*options, "--out", "one.csv")
    assert one.returncode == 1, one.stderr
    assert digits_job("plan", "job", *options).returncode == 0
    assert digits_job("run", "job", "--server", reader.address, "--workers", "1").returncode == 0
    finished = digits_job("finish", "job", "--out", "job.csv")
    assert finished.returncode == 1, finished.stderr
    assert "150 fields in" in finished.stdout
    assert (tmp_path / "job.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    other = digits_job("plan", "job", "fields", "--server", reader.address)
    assert other.returncode == 2
    assert "is planned already, with other settings" in other.stderr
    wrong = digits_job("plan", "wrong", "fields", "--digits", "2", "--server", reader.address)
    assert wrong.returncode == 2
    assert "--digits works only with --read numbers" in wrong.stderr


def test_each_worker_reads_fields_itself(
    tmp_path: Path, digits_job: RunJob, server: str, mnist_sample: tuple[Image, Image]
) -> None:
    """With --in-process, the texts and their alternatives are those of a server, too."""
    images, _ = mnist_sample
    (tmp_path / "fields").mkdir()
    for number in range(6):
        (tmp_path / "fields" / f"{number}.png").write_bytes(field_png(list(images[number : 2 * number + 1])))
    for job in ("served", "loaded"):
        command = ("plan", job, "fields", "--model-version", "1", "--read", "numbers", "--digits", "1-4")
        assert digits_job(*command, "--probabilities").returncode == 0
    assert digits_job("run", "served", "--server", server, "--workers", "1").returncode == 0
    loaded = digits_job("run", "loaded", "--in-process", "--workers", "1")
    assert loaded.returncode == 0, loaded.stderr
    for job in ("served", "loaded"):
        digits_job("finish", job, "--out", f"{job}.csv")
    assert (tmp_path / "loaded.csv").read_bytes() == (tmp_path / "served.csv").read_bytes()
