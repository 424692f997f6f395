"""The table of a job: the very one that digits-batch writes, or nothing."""

import json
from pathlib import Path

import pytest
from pyarrow import parquet

from batch.cluster.finish import finish_job
from batch.cluster.folder import open_folder
from batch.cluster.marker import read_marker
from batch.cluster.parts import DamagedError, UnfinishedError
from batch.cluster.planned import open_job
from batch.cluster.shard import missing, run_shard
from batch.cluster.status import status_of
from batch.files.walk import Walk
from batch.job import Job, run_job
from batch.table.output import Form
from exporter.command import UserError
from tests.batch.cluster.support import BATCH, answer_all, asking, plan, write_files
from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows

FORMS = {"plain": Form(), "all columns": Form(probabilities=True, min_confidence=0.9)}


def _scans(folder: Path) -> Path:
    """Files with names that need care in a table, one of them not to be read."""
    scans = write_files(folder / "scans", 45)
    for name in (b'a"b,c.png', b"d\ne\r.png", b"\xff.png", b"\xc3\xa4.png"):
        (scans / name.decode("utf-8", "surrogateescape")).write_bytes(b"png")
    (scans / "dangling.png").symlink_to(folder / "nowhere")
    return scans


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_table_is_that_of_digits_batch(tmp_path: Path, scripted: ScriptedServer, ending: str, form: Form) -> None:
    """Joined, the parts are byte for byte what one run over all files writes; in Parquet, row for row."""
    walk = Walk((str(_scans(tmp_path)),))
    job = Job(walk, tmp_path / f"run.{ending}", (scripted.address,), batch_size=BATCH, form=form)
    expected, _ = run_job(job)
    planned = plan(tmp_path / "job", walk=walk, form=form, shard_files=15)
    answer_all(tmp_path / "job", planned, scripted.address)
    out = tmp_path / f"job.{ending}"
    found, _ = finish_job(str(tmp_path / "job"), str(out))
    if ending == "parquet":
        assert parquet.read_table(out) == parquet.read_table(job.out)
    else:
        assert out.read_bytes() == job.out.read_bytes()
    assert (found.digits, found.errors, found.versions) == (expected.digits, expected.errors, expected.versions)
    assert found.confidence == pytest.approx(expected.confidence)
    assert (tmp_path / "job" / "_SUCCESS").exists()


@pytest.fixture
def done(tmp_path: Path, scripted: ScriptedServer) -> str:
    """A job of three shards that are answered."""
    planned = plan(tmp_path / "job", write_files(tmp_path / "scans", 45))
    answer_all(tmp_path / "job", planned, scripted.address)
    return str(tmp_path / "job")


def test_a_folder_gets_a_part_for_each_shard(tmp_path: Path, done: str) -> None:
    """A name that ends with a slash is a folder of CSV parts in the order of the walk, whole once _SUCCESS is there."""
    finish_job(done, f"{tmp_path}/preds/")
    parts = sorted(path.name for path in (tmp_path / "preds").iterdir())
    assert parts == ["_SUCCESS", "part-00000.csv", "part-00001.csv", "part-00002.csv"]
    paths = [row["path"] for name in parts[1:] for row in read_rows(tmp_path / "preds" / name)]
    assert paths == [f"{tmp_path}/scans/{number:04}.png" for number in range(45)]


def test_what_is_there_is_not_overwritten(tmp_path: Path, done: str) -> None:
    """A table that is there stays, unless --force is given; then parts of an older one are removed."""
    for out in ("preds.csv", "preds/"):
        finish_job(done, f"{tmp_path}/{out}")
        with pytest.raises(UserError, match="--force"):
            finish_job(done, f"{tmp_path}/{out}")
    (tmp_path / "preds" / "part-00003.csv").write_text("older")
    (tmp_path / "preds" / "notes.txt").write_text("mine")
    (tmp_path / "preds.csv").write_text("older")
    for out in ("preds.csv", "preds"):
        finish_job(done, f"{tmp_path}/{out}", force=True)
    assert len(read_rows(tmp_path / "preds.csv")) == 45
    names = {path.name for path in (tmp_path / "preds").iterdir()}
    assert "part-00003.csv" not in names
    assert {"notes.txt", "_SUCCESS"} < names
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "part-00000.csv").write_text("another program's")
    with pytest.raises(UserError, match="--force"):
        finish_job(done, f"{tmp_path}/others")


def test_a_missing_shard_refuses_the_table(tmp_path: Path, done: str) -> None:
    """While a shard is missing, nothing is written, and it is said how many and what to do."""
    (tmp_path / "job" / "done" / "00001.json").unlink()
    with pytest.raises(UnfinishedError, match="1 of 3 shards is missing: run digits-job work"):
        finish_job(done, f"{tmp_path}/preds.csv")
    assert not (tmp_path / "preds.csv").exists()
    assert not (tmp_path / "job" / "_SUCCESS").exists()


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_damaged_part_is_answered_again(tmp_path: Path, done: str, scripted: ScriptedServer, ending: str) -> None:
    """A part with a flipped bit makes no table; its shard counts as missing, and answering it makes all well."""
    marker = read_marker(open_folder(done), open_job(open_folder(done)), 1)
    assert marker is not None
    part = tmp_path / "job" / marker.part
    rows = part.read_bytes()
    part.write_bytes(rows.replace(b"0.5000", b"0.5001", 1))
    out = tmp_path / f"preds.{ending}"
    with pytest.raises(DamagedError, match="shard 1 is to be answered again"):
        finish_job(done, str(out))
    assert not out.exists()
    assert list(missing(done)) == [1]
    run_shard(done, 1, asking(scripted.address))
    assert part.read_bytes() == rows
    finish_job(done, str(out))


def test_status_from_markers(tmp_path: Path, scripted: ScriptedServer) -> None:
    """Shards done, missing and failed, rows and errors are counted; while work goes on there is a rate and a time."""
    scans = write_files(tmp_path / "scans", 45)
    job = str(tmp_path / "job")
    plan(tmp_path / "job", scans)
    assert (status_of(job).done, status_of(job).missing, status_of(job).rate) == (0, 3, None)
    (scans / "0000.png").unlink()
    run_shard(job, 0, asking(scripted.address))
    scripted.stop()
    with pytest.raises(UserError):
        run_shard(job, 1, asking(scripted.address, timeout=0.3))
    status = status_of(job)
    assert (status.shards, status.done, status.missing, status.failed) == (3, 1, 2, 1)
    assert (status.images, status.rows, status.errors) == (45, 20, {"changed since the plan": 1})
    assert status.rate is not None
    assert status.seconds_left == pytest.approx(25 / status.rate)
    assert [failure.shard for failure in status.failures] == [1]
    assert json.loads(json.dumps(status.to_json()))["failures"][0]["attempts"] == 1


def test_the_rate_after_a_pause(tmp_path: Path, done: str) -> None:
    """The rate is that of the shards on end: a night between two of them does not count."""
    (tmp_path / "job" / "done" / "00002.json").unlink()
    for number, hours in ((0, 12.0), (1, 0.0)):
        place = tmp_path / "job" / "done" / f"0000{number}.json"
        facts = json.loads(place.read_bytes())
        facts["ended"] -= hours * 3600
        facts["summary"]["seconds"] = 2.0
        place.write_text(json.dumps(facts))
    assert status_of(done).rate == pytest.approx(20 / 2.0)
    facts["ended"] -= 3600
    place.write_text(json.dumps(facts))
    assert status_of(done).rate is None
