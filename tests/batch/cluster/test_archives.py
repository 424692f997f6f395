"""Archives in jobs: a plan has each as one file, and the worker opens it."""

from pathlib import Path

import pytest

from batch.cluster.finish import finish_job
from batch.cluster.manifest import ShardError
from batch.cluster.shard import run_shard
from batch.cluster.status import status_of
from batch.files.walk import Walk
from batch.job import Job, run_job
from exporter.contract import CHANGED
from tests.batch.archives.support import digits, tar_of, zip_of
from tests.batch.cluster.support import answer_all, asking, plan, write_files
from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with files, a tar and a zip between them, by their names."""
    folder = write_files(tmp_path / "scans", 9)
    (folder / "0003-more.tar").write_bytes(tar_of(digits(50)))
    (folder / "0005-more.zip").write_bytes(zip_of(digits(30)))
    return folder


WHAT = ("*.png", "*.tar", "*.zip")


def test_a_job_has_the_rows_of_a_run(
    tmp_path: Path, scans: Path, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is that of `digits-batch` for the same folder, in CSV and JSON Lines, with relative paths too."""
    monkeypatch.chdir(tmp_path)
    for number, path in enumerate((str(scans), "scans")):
        job = tmp_path / f"job{number}"
        planned = plan(job, walk=Walk((path,), WHAT), folder=str(tmp_path), shard_files=40)
        assert (planned.files, planned.archives) == (11, 2)
        assert planned.shards > 1
        answer_all(job, planned, scripted.address)
        for ending in ("csv", "jsonl"):
            found, _ = finish_job(str(job), str(tmp_path / f"job{number}.{ending}"))
            assert found.rows == 9 + 50 + 30
    for ending in ("csv", "jsonl"):
        run_job(Job(Walk((str(scans),), WHAT), tmp_path / f"run.{ending}", (scripted.address,), batch_size=4))
        whole = (tmp_path / f"run.{ending}").read_bytes()
        assert (tmp_path / f"job0.{ending}").read_bytes() == whole
        assert (tmp_path / f"job1.{ending}").read_bytes() == whole.replace(f"{tmp_path}/".encode(), b"")


def test_an_archive_that_changed_since_the_plan(tmp_path: Path, scans: Path, scripted: ScriptedServer) -> None:
    """It gives one row that says so, and no answers to what nobody planned."""
    planned = plan(tmp_path / "job", walk=Walk((str(scans),), WHAT))
    (scans / "0003-more.tar").write_bytes(tar_of(digits(51)))
    (scans / "0005-more.zip").unlink()
    answer_all(tmp_path / "job", planned, scripted.address)
    finish_job(str(tmp_path / "job"), str(tmp_path / "out.csv"))
    rows = {Path(row["path"]).name: row["error"] for row in read_rows(tmp_path / "out.csv")}
    assert len(rows) == 11
    assert {name for name, error in rows.items() if error == CHANGED} == {"0003-more.tar", "0005-more.zip"}


def test_a_truncated_archive(tmp_path: Path, scans: Path, scripted: ScriptedServer) -> None:
    """It keeps what came before, has a row of its own, and is named at the end with the reason."""
    whole = tar_of(digits(50))
    (scans / "0003-more.tar").write_bytes(whole[: len(whole) // 2])
    planned = plan(tmp_path / "job", walk=Walk((str(scans),), WHAT))
    answer_all(tmp_path / "job", planned, scripted.address)
    found, finished = finish_job(str(tmp_path / "job"), str(tmp_path / "out.csv"))
    assert list(finished.skipped.archives) == [str(scans / "0003-more.tar")]
    assert found.errors == {"unreadable": 1}
    rows = read_rows(tmp_path / "out.csv")
    members = [row for row in rows if "/0003-more.tar/" in row["path"]]
    assert 0 < len(members) < 50
    assert [row["error"] for row in rows if row["path"].endswith("0003-more.tar")] == ["unreadable"]


def test_archives_that_are_not_mounted(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A worker that sees none of a shard's archives fails the shard; no row says that they are gone."""
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.tar").write_bytes(tar_of(digits(20)))
    plan(tmp_path / "job", walk=Walk((str(tmp_path / "scans" / "a.tar"),)))
    (tmp_path / "scans").rename(tmp_path / "elsewhere")
    with pytest.raises(ShardError, match="have it mount what holds"):
        run_shard(str(tmp_path / "job"), 0, asking(scripted.address))
    (tmp_path / "elsewhere").rename(tmp_path / "scans")
    assert run_shard(str(tmp_path / "job"), 0, asking(scripted.address)).summary.rows == 20
    assert status_of(str(tmp_path / "job")).rows == 20
