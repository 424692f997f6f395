"""The local engine: processes that share a job, die, are replaced, and never outlive who started them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from batch.client import wire_pb2 as wire
from batch.cluster.local import Local, ShardFailedError, run_local
from batch.cluster.shard import missing
from exporter.command import UserError
from tests.batch.cluster.support import asking, plan, workers_of, write_files
from tests.batch.conftest import ScriptedServer

TWO = Local(workers=2, attempts=3)


@pytest.fixture
def job(tmp_path: Path) -> str:
    """A job of ten shards, of four files each."""
    plan(tmp_path / "job", write_files(tmp_path / "scans", 40), shard_files=4)
    return str(tmp_path / "job")


class Told:
    """What an engine tells."""

    def __init__(self) -> None:
        self.shards: dict[int, Exception | None] = {}
        self.rows = 0
        self.notices: list[str] = []

    def tell(self, number: int, error: Exception | None) -> None:
        """Of a shard."""
        assert number not in self.shards
        self.shards[number] = error

    def show(self, rows: int, _errors: int) -> None:
        """Of rows."""
        self.rows += rows

    def run(self, job: str, server: ScriptedServer, how: Local = TWO, *, timeout: float = 5.0) -> None:
        """Answer what is missing of a job."""
        how_to_ask = asking(server.address, timeout=timeout)
        run_local(job, missing(job), how_to_ask, self.tell, how, notify=self.notices.append, show=self.show)


def _workers() -> Iterator[int]:
    """The worker processes that are children of this one."""
    yield from workers_of(os.getpid())


def test_workers_answer_all(job: str, scripted: ScriptedServer) -> None:
    """Every shard is answered once and told once, rows are counted, and no process is left."""
    told = Told()
    told.run(job, scripted)
    assert told.shards == dict.fromkeys(range(10))
    assert told.rows == sum(scripted.sizes) == 40
    assert list(missing(job)) == []
    assert list(_workers()) == []


def test_with_nothing_to_do_nothing_is_started(job: str) -> None:
    """Of a job that is done, neither a worker nor a server is needed."""
    run_local(job, iter(()), asking(), Told().tell, TWO, notify=pytest.fail)


def test_a_killed_worker_is_replaced(job: str, scripted: ScriptedServer) -> None:
    """A worker that SIGKILL ends in the middle of a shard costs nothing but its time."""
    killed: list[int] = []

    def kill(number: int, _request: wire.PredictRequest, _context: grpc.ServicerContext) -> None:
        if number in (1, 5, 9):
            killed.append(next(_workers()))
            os.kill(killed[-1], signal.SIGKILL)

    scripted.script = kill
    told = Told()
    told.run(job, scripted)
    assert len(killed) == 3
    assert told.shards == dict.fromkeys(range(10))
    assert list(missing(job)) == []
    assert any("its worker ended" in notice for notice in told.notices)


def test_a_shard_that_fails_again_and_again_is_reported(tmp_path: Path, job: str, scripted: ScriptedServer) -> None:
    """It is tried as often as it should be, after the others, which are done."""
    for number in range(4, 8):
        (tmp_path / "scans" / f"{number:04}.png").unlink()
    told = Told()
    told.run(job, scripted)
    failed = told.shards.pop(1)
    assert isinstance(failed, ShardFailedError)
    assert "none of the 4 files" in str(failed)
    assert told.shards == dict.fromkeys([0, *range(2, 10)])
    assert sum("shard 1 will be tried again" in notice for notice in told.notices) == 2
    assert list(missing(job)) == [1]


def test_a_server_that_is_gone_ends_the_run(job: str, scripted: ScriptedServer) -> None:
    """Where shard after shard fails and none is done, it is not their fault: the run ends and says so."""

    def fail(_number: int, _request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.UNAVAILABLE, "out for lunch")

    scripted.script = fail
    with pytest.raises(ShardFailedError, match=r"failed on end, the last with: .*out for lunch"):
        Told().run(job, scripted, Local(workers=2, attempts=1), timeout=0.3)
    assert list(_workers()) == []
    scripted.script = lambda *_: None
    told = Told()
    told.run(job, scripted)
    assert told.shards == dict.fromkeys(range(10))


def test_a_mistake_ends_the_run_at_once(tmp_path: Path, server: str) -> None:
    """A version that the server does not have is told once, not tried again."""
    plan(tmp_path / "job", write_files(tmp_path / "scans", 8), shard_files=4, version=99)
    job = str(tmp_path / "job")
    told = Told()
    with pytest.raises(UserError, match="planned for version 99") as caught:
        run_local(job, missing(job), asking(server), told.tell, TWO, notify=told.notices.append)
    assert caught.value.exit_code == 2
    assert told.notices == []
