"""One shard: answered once however often and by however many it is tried, and nothing half-done that counts."""

import json
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from batch.client import wire_pb2 as wire
from batch.client.endpoint import ServerError
from batch.client.security import Security
from batch.cluster.folder import open_folder
from batch.cluster.manifest import ShardError
from batch.cluster.marker import Marker, marker_name, read_failure, read_marker
from batch.cluster.planned import Planned
from batch.cluster.reach import let_go
from batch.cluster.shard import missing, run_shard
from batch.table.output import Form
from exporter.command import UserError
from exporter.contract import CHANGED, UNREADABLE
from tests.batch.cluster.support import answer_all, asking, plan, write_files
from tests.batch.conftest import ScriptedServer
from tests.batch.support import Row, read_rows


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    """A job of two shards, 20 files and 10."""
    return plan(tmp_path / "job", write_files(tmp_path / "scans", 30))


def _rows(tmp_path: Path, marker: Marker) -> list[Row]:
    return read_rows(tmp_path / "job" / marker.part)


def _parts(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "job" / "parts").iterdir()}


def test_a_shard_becomes_a_part_and_a_marker(tmp_path: Path, planned: Planned, scripted: ScriptedServer) -> None:
    """The part has a row for each file, in order; the marker counts them and is what `read_marker` reads."""
    job = str(tmp_path / "job")
    marker = run_shard(job, 1, asking(scripted.address))
    assert [row["path"] for row in _rows(tmp_path, marker)] == [
        f"{tmp_path}/scans/{number:04}.png" for number in range(20, 30)
    ]
    assert [int(row["digit"]) for row in _rows(tmp_path, marker)] == [number % 10 for number in range(20, 30)]
    assert (marker.summary.rows, marker.summary.versions) == (10, {"1": 10})
    assert read_marker(open_folder(job), planned, 1) == marker
    assert list(missing(job)) == [0]


def test_a_marker_is_json_and_can_be_pickled(tmp_path: Path, planned: Planned, scripted: ScriptedServer) -> None:
    """Engines may carry a marker as they like, and people read it."""
    marker = run_shard(str(tmp_path / "job"), 0, asking(scripted.address))
    assert Marker.of(marker.to_json()) == marker
    assert pickle.loads(pickle.dumps(marker)) == marker  # noqa: S301 - our own
    assert json.loads((tmp_path / "job" / marker_name(0)).read_bytes())["rows"] == 20


def test_a_shard_that_is_done_is_not_asked_again(tmp_path: Path, planned: Planned, scripted: ScriptedServer) -> None:
    """Repeating a shard gives the marker that is there, without a request."""
    first = run_shard(str(tmp_path / "job"), 0, asking(scripted.address))
    calls = scripted.calls
    assert run_shard(str(tmp_path / "job"), 0, asking(scripted.address)) == first
    assert scripted.calls == calls


def test_many_workers_on_one_shard_leave_one_part(tmp_path: Path, planned: Planned, scripted: ScriptedServer) -> None:
    """Workers that answer the same shard at the same time agree on one part and one marker."""
    barrier = threading.Barrier(4)

    def work(_: int) -> Marker:
        barrier.wait()
        try:
            return run_shard(str(tmp_path / "job"), 0, asking(scripted.address))
        finally:
            let_go()

    with ThreadPoolExecutor(4) as threads:
        markers = list(threads.map(work, range(4)))
    assert all(marker == markers[0] for marker in markers)
    assert list(_parts(tmp_path)) == [Path(markers[0].part).name]


def test_a_second_worker_with_another_answer_changes_nothing(
    tmp_path: Path, planned: Planned, scripted: ScriptedServer
) -> None:
    """Who ends second with other rows, as when a file has changed in between, leaves the first one's as they are."""
    job = str(tmp_path / "job")
    first: list[Marker] = []

    def be_overtaken(number: int, _request: wire.PredictRequest, _context: grpc.ServicerContext) -> None:
        if number == 0:
            scripted.script = lambda *_: None
            thread = threading.Thread(target=lambda: first.append(run_shard(job, 0, asking(scripted.address))))
            thread.start()
            thread.join()
            (tmp_path / "scans" / "0019.png").write_bytes(b"changed")

    scripted.script = be_overtaken
    second = run_shard(job, 0, asking(scripted.address, in_flight=1))
    assert second == first[0]
    assert list(_parts(tmp_path)) == [Path(second.part).name]
    assert not any(row["error"] for row in _rows(tmp_path, second))


@pytest.mark.parametrize(
    "damage", ["no JSON", "another job's", "of another count", "the part is gone", "the part is cut"]
)
def test_a_marker_that_does_not_fit(tmp_path: Path, planned: Planned, scripted: ScriptedServer, damage: str) -> None:
    """A marker that is damaged, or whose part is, counts for nothing; the shard is answered again."""
    job = str(tmp_path / "job")
    marker = run_shard(job, 0, asking(scripted.address))
    place, part = tmp_path / "job" / marker_name(0), tmp_path / "job" / marker.part
    rows = part.read_bytes()
    found = place.read_text()
    if damage == "no JSON":
        place.write_text("{")
    elif damage == "another job's":
        place.write_text(found.replace(planned.id, "other"))
    elif damage == "of another count":
        place.write_text(found.replace('"rows": 20', '"rows": 21'))
    elif damage == "the part is gone":
        part.unlink()
    else:
        part.write_bytes(rows[:-1])
    assert list(missing(job)) == [0, 1]
    again = run_shard(job, 0, asking(scripted.address))
    assert (again.part, again.sha256) == (marker.part, marker.sha256)
    assert part.read_bytes() == rows
    assert list(missing(job)) == [1]


def test_files_that_changed_since_the_plan(tmp_path: Path, planned: Planned, scripted: ScriptedServer) -> None:
    """A file of another size or time, or that is gone, gets an error row; its neighbours get their digits."""
    scans = tmp_path / "scans"
    (scans / "0001.png").write_bytes(b"longer than before")
    os.utime(scans / "0003.png", ns=(0, 1))
    (scans / "0005.png").unlink()
    marker = run_shard(str(tmp_path / "job"), 0, asking(scripted.address))
    rows = _rows(tmp_path, marker)
    assert {number for number, row in enumerate(rows) if row["error"]} == {1, 3, 5}
    assert marker.summary.errors == {CHANGED: 3}


def test_files_that_were_not_there_at_the_plan(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A file that the plan did not find is unreadable as in any run; one that has come since has changed."""
    scans = write_files(tmp_path / "scans", 2)
    for name in ("dangling.png", "later.png"):
        (scans / name).symlink_to(tmp_path / name)
    plan(tmp_path / "job", scans)
    (tmp_path / "later.png").write_bytes(b"png")
    marker = run_shard(str(tmp_path / "job"), 0, asking(scripted.address))
    assert [row["error"] for row in _rows(tmp_path, marker)] == ["", "", UNREADABLE, CHANGED]


def test_a_worker_without_the_files(tmp_path: Path, planned: Planned, scripted: ScriptedServer) -> None:
    """Where none of a shard's files is, as on a machine without the share, the shard fails and gets no rows."""
    (tmp_path / "scans").rename(tmp_path / "elsewhere")
    with pytest.raises(ShardError, match="none of the 20 files"):
        run_shard(str(tmp_path / "job"), 0, asking(scripted.address))
    assert list(missing(str(tmp_path / "job"))) == [0, 1]
    (tmp_path / "elsewhere").rename(tmp_path / "scans")
    assert not run_shard(str(tmp_path / "job"), 0, asking(scripted.address)).summary.errors


def test_a_worker_in_another_folder(tmp_path: Path, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths are found from wherever a worker runs, and stand in the table as they were given."""
    write_files(tmp_path / "scans", 3)
    absolute = write_files(tmp_path / "more", 1)
    monkeypatch.chdir(tmp_path)
    plan(tmp_path / "job", "scans", absolute)
    monkeypatch.chdir("/")
    marker = run_shard(str(tmp_path / "job"), 0, asking(scripted.address))
    assert [(row["path"], row["error"]) for row in _rows(tmp_path, marker)] == [
        *((f"scans/000{number}.png", "") for number in range(3)),
        (f"{absolute}/0000.png", ""),
    ]


def test_a_failed_attempt_is_noted_until_one_succeeds(
    tmp_path: Path, planned: Planned, scripted: ScriptedServer
) -> None:
    """A fault of the server leaves a note with its reason and how often, and no part; a success removes it."""
    folder = open_folder(str(tmp_path / "job"))

    def fail(_number: int, _request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.UNAVAILABLE, "out for lunch")

    scripted.script = fail
    for attempt in (1, 2):
        with pytest.raises(ServerError, match="out for lunch"):
            run_shard(folder.name, 0, asking(scripted.address, timeout=0.5))
        failure = read_failure(folder, 0)
        assert failure is not None
        assert "out for lunch" in failure.reason
        assert failure.attempts == attempt
    assert list(folder.names("parts")) == list(folder.names("tmp")) == []
    scripted.script = lambda *_: None
    run_shard(folder.name, 0, asking(scripted.address))
    assert read_failure(folder, 0) is None


def test_a_server_with_another_version(tmp_path: Path, planned: Planned, scripted: ScriptedServer) -> None:
    """All rows come from the version of the plan: a server with another one gets no answer into the table."""
    scripted.version = 2
    with pytest.raises(UserError, match="planned for version 1 of model digits: serve that"):
        run_shard(str(tmp_path / "job"), 0, asking(scripted.address))
    assert list(missing(str(tmp_path / "job"))) == [0, 1]


def test_a_server_without_the_model(tmp_path: Path, server: str) -> None:
    """A server that does not have the pinned version is told in a sentence, at once."""
    plan(tmp_path / "job", write_files(tmp_path / "scans", 3), version=99)
    with pytest.raises(UserError, match="planned for version 99 of model digits") as caught:
        run_shard(str(tmp_path / "job"), 0, asking(server))
    assert caught.value.exit_code == 2


def test_nothing_secret_is_written(tmp_path: Path, planned: Planned, scripted: ScriptedServer) -> None:
    """What a server wants to see of a caller stands nowhere in the job, after a failure neither."""

    def fail(_number: int, _request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "who are you?")

    how = asking(scripted.address, security=Security(metadata=(("authorization", "Bearer secret-token"),)))
    run_shard(str(tmp_path / "job"), 0, how)
    scripted.script = fail
    with pytest.raises(UserError):
        run_shard(str(tmp_path / "job"), 1, how)
    assert b"secret-token" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "secret-token" not in repr(how)


def test_columns_are_those_of_the_plan(tmp_path: Path, scripted: ScriptedServer) -> None:
    """Probabilities and the review column are in the parts if they were planned."""
    planned = plan(tmp_path / "job", write_files(tmp_path / "scans", 3), form=Form(True, 0.9))  # noqa: FBT003 - by place
    answer_all(tmp_path / "job", planned, scripted.address)
    (rows,) = _parts(tmp_path).values()
    assert rows.splitlines()[0] == b"path,digit,confidence,error,model_version,review,p0,p1,p2,p3,p4,p5,p6,p7,p8,p9"
