"""Workers: which shards each takes, alone, by index, or together with others."""

import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batch.cluster.claims import Claims
from batch.cluster.folder import open_folder
from batch.cluster.shard import missing
from batch.cluster.work import Share, Worked, work
from exporter.command import UserError
from tests.batch.cluster.support import asking, plan, write_files
from tests.batch.conftest import ScriptedServer


@pytest.fixture
def job(tmp_path: Path) -> str:
    """A job of ten shards, of four files each."""
    plan(tmp_path / "job", write_files(tmp_path / "scans", 40), shard_files=4)
    return str(tmp_path / "job")


def test_one_worker_answers_all(job: str, scripted: ScriptedServer) -> None:
    """A worker alone answers every shard once, and leaves no claim."""
    done: list[int] = []
    worked = work(job, None, asking(scripted.address), tell=lambda marker: done.append(marker.shard))
    assert (worked, sorted(done)) == (Worked(10, {}), list(range(10)))
    assert list(missing(job)) == []
    assert list(open_folder(job).names("claims")) == []
    assert work(job, None, asking(scripted.address)) == Worked(0, {})


def test_several_workers_share_a_job(job: str, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of several machines at the same time ask for each image once, and all end when the job is done."""
    monkeypatch.setattr(socket, "gethostname", lambda: threading.current_thread().name)
    barrier = threading.Barrier(3)

    def one(_: int) -> int:
        barrier.wait()
        return work(job, None, asking(scripted.address)).done

    with ThreadPoolExecutor(3) as threads:
        done = list(threads.map(one, range(3)))
    assert sum(done) >= 10
    assert sum(scripted.sizes) == 40
    assert list(missing(job)) == []


def test_by_index(job: str, scripted: ScriptedServer) -> None:
    """Workers by index answer what their index says, all of it together."""
    done: list[int] = []
    for index in range(3):
        done.clear()
        work(job, Share(index, 3), asking(scripted.address), tell=lambda marker: done.append(marker.shard))
        assert done == [number for number in range(10) if number % 3 == index]
    assert list(missing(job)) == []


def test_a_shard_that_cannot_be_answered_does_not_stop_the_others(
    tmp_path: Path, job: str, scripted: ScriptedServer
) -> None:
    """Where one shard's files are not here, the others are answered, and the worker says which is not."""
    for number in range(8, 12):
        (tmp_path / "scans" / f"{number:04}.png").unlink()
    worked = work(job, None, asking(scripted.address))
    assert worked.done == 9
    assert list(worked.failed) == list(missing(job)) == [2]


@pytest.mark.parametrize(
    ("index", "of", "environment", "share"),
    [
        (None, None, {"SLURM_ARRAY_TASK_ID": "3"}, None),
        (2, 5, {"SLURM_ARRAY_TASK_ID": "3"}, Share(2, 5)),
        (None, 5, {"JOB_COMPLETION_INDEX": "4"}, Share(4, 5)),
        (None, 5, {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "1"}, Share(0, 5)),
        (None, 5, {"SLURM_ARRAY_TASK_ID": "1"}, Share(1, 5)),
        (None, 5, {"AWS_BATCH_JOB_ARRAY_INDEX": "0"}, Share(0, 5)),
    ],
)
def test_the_index_of_a_worker(
    index: int | None, of: int | None, environment: dict[str, str], share: Share | None
) -> None:
    """The index is the one given, or with --of alone that of Kubernetes, Slurm or AWS Batch."""
    assert Share.parse(index, of, environment) == share


@pytest.mark.parametrize(
    ("index", "of", "environment", "said"),
    [
        (1, None, {}, "--index needs --of"),
        (5, 5, {}, "from 0 to 4"),
        (None, 5, {}, "--of needs --index"),
        (None, 5, {"SLURM_ARRAY_TASK_ID": "5"}, "from 0 to 4"),
        (None, 5, {"SLURM_ARRAY_TASK_ID": "x"}, "SLURM_ARRAY_TASK_ID is no number"),
    ],
)
def test_an_index_that_does_not_fit(index: int | None, of: int | None, environment: dict[str, str], said: str) -> None:
    """An index without a number of workers, or outside of it, is refused in a sentence."""
    with pytest.raises(UserError, match=said):
        Share.parse(index, of, environment)


def test_a_claim_keeps_others_off(tmp_path: Path) -> None:
    """A shard that is claimed is another's only once it is given back."""
    folder = open_folder(str(tmp_path))
    mine, other = Claims(folder), Claims(folder)
    other._host = "elsewhere"
    assert other.take(1)
    with other.held(1):
        assert not mine.take(1)
        assert not mine.take(1)
    assert mine.take(1)


def test_a_claim_that_does_not_change_is_stale(tmp_path: Path) -> None:
    """A claim that has not been renewed for as long as one looked at it holds nobody up."""
    folder = open_folder(str(tmp_path))
    mine, other = Claims(folder, stale=0.0), Claims(folder)
    other._host = "elsewhere"
    assert other.take(1)
    assert not mine.take(1)
    folder.put("claims/00001.json", other._claim())
    assert not mine.take(1)
    assert mine.take(1)


def test_a_claim_of_a_dead_process_is_stale_at_once(tmp_path: Path) -> None:
    """After a kill, the same command on the same machine does not wait for its own old claims."""
    folder = open_folder(str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for process in (dead.pid, os.getpid()):
        claim = {"host": socket.gethostname(), "process": process, "worker": "old", "beat": 1}
        folder.put("claims/00001.json", json.dumps(claim).encode())
        assert Claims(folder).take(1)
    alive = {"host": socket.gethostname(), "process": os.getppid(), "worker": "old", "beat": 1}
    folder.put("claims/00001.json", json.dumps(alive).encode())
    assert not Claims(folder).take(1)


def test_a_worker_waits_for_the_last_shards_of_others(job: str, scripted: ScriptedServer) -> None:
    """A worker whose last shards others are at ends when they are done, and takes over what they give back."""
    folder = open_folder(job)
    other = Claims(folder)
    other._host = "elsewhere"
    assert other.take(3)
    with ThreadPoolExecutor(1) as threads:
        with other.held(3):
            worked = threads.submit(work, job, None, asking(scripted.address))
            while list(missing(job)) != [3]:
                assert not worked.done()
        assert worked.result().done == 10
