"""Tables whose name is a symbolic link: the file behind it is written, and the link stays."""

import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from batch.client.endpoint import ServerError
from batch.files.walk import Walk
from batch.job import Job, run_job
from batch.table.place import place_of
from exporter.command import UserError
from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Twelve files, and a folder for what links lead to."""
    (tmp_path / "store").mkdir()
    (tmp_path / "scans").mkdir()
    for number in range(12):
        (tmp_path / "scans" / f"{number:02}.png").write_bytes(bytes([number]))
    return tmp_path / "scans"


def _job(scripted: ScriptedServer, scans: Path, *, force: bool = False) -> Job:
    walk = Walk((str(scans),))
    return Job(walk, scans.parent / "out.csv", (scripted.address,), batch_size=4, in_flight=1, force=force)


def _is_written(scans: Path, target: Path) -> bool:
    """Whether the target is a table, the link is one still, and nothing is left beside either."""
    left = [path for path in scans.parent.rglob("*") if path.name.endswith((".part", ".tmp"))]
    return (
        (scans.parent / "out.csv").is_symlink()
        and not target.is_symlink()
        and len(read_rows(target)) == 12
        and not left
    )


@pytest.mark.parametrize("target", ["store/real.csv", "store/number", "second.csv"])
def test_force_writes_through_links(scripted: ScriptedServer, scans: Path, target: str) -> None:
    """Relative or of another name, or by way of a second link: the target is written anew, in the form of the name."""
    folder = scans.parent
    (folder / "second.csv").symlink_to("store/last.csv")
    real = (folder / target).resolve()
    real.write_text("old")
    (folder / "out.csv").symlink_to(target)
    with pytest.raises(UserError, match="--force"):
        run_job(_job(scripted, scans))
    assert real.read_text() == "old"
    run_job(_job(scripted, scans, force=True))
    assert _is_written(scans, real)


def test_a_link_to_what_is_not_there_yet(scripted: ScriptedServer, scans: Path) -> None:
    """A link laid out beforehand is followed, as a shell's > does; into a folder that is missing, it is told."""
    (scans.parent / "out.csv").symlink_to("store/real.csv")
    run_job(_job(scripted, scans))
    assert _is_written(scans, scans.parent / "store" / "real.csv")
    (scans.parent / "out.csv").unlink()
    (scans.parent / "out.csv").symlink_to("nowhere/real.csv")
    with pytest.raises(UserError, match=r"cannot write .*nowhere/real\.csv\.part"):
        run_job(_job(scripted, scans))


def test_an_unfinished_run_goes_on_through_the_link(scripted: ScriptedServer, scans: Path) -> None:
    """The journal lies beside the real file: under either name a second run finds it."""
    (scans.parent / "out.csv").symlink_to("store/real.csv")
    scripted.script = lambda number, _request, context: (
        context.abort(grpc.StatusCode.INTERNAL, "broken") if number else None
    )
    with pytest.raises(ServerError):
        run_job(_job(scripted, scans))
    assert (scans.parent / "store" / "real.csv.part").exists()
    scripted.script = lambda *_: None
    summary, _ = run_job(_job(scripted, scans))
    assert summary.resumed == 4
    assert _is_written(scans, scans.parent / "store" / "real.csv")


def test_links_in_a_circle_and_folders_are_told(scripted: ScriptedServer, scans: Path) -> None:
    """Before anything is asked, --force or not."""
    out = scans.parent / "out.csv"
    out.symlink_to("other.csv")
    (scans.parent / "other.csv").symlink_to("out.csv")
    for force in (False, True):
        with pytest.raises(UserError, match="circle"):
            run_job(_job(scripted, scans, force=force))
    out.unlink()
    out.mkdir()
    with pytest.raises(UserError, match="is no file"):
        run_job(_job(scripted, scans, force=True))
    assert scripted.calls == 0


def test_what_is_no_link_stays_as_it_was_written(tmp_path: Path) -> None:
    """Folders that are links are no reason to name a table otherwise than the user did."""
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to("real")
    assert place_of(tmp_path / "folder" / "out.csv") == tmp_path / "folder" / "out.csv"


def test_two_runs_through_two_links(scripted: ScriptedServer, scans: Path) -> None:
    """Names that lead to one file are one table: the second run is refused."""
    for name in ("out.csv", "again.csv"):
        (scans.parent / name).symlink_to("store/real.csv")
    command = [sys.executable, "-P", "-m", "batch.cli", "scans", "--out", "again.csv", "--server", scripted.address]
    second: list[str] = []

    def start_another(number: int, _request: object, _context: object) -> None:
        if number == 0:
            result = subprocess.run(command, cwd=scans.parent, capture_output=True, text=True, check=False)
            second.append(result.stderr)

    scripted.script = start_another
    run_job(_job(scripted, scans))
    assert "another digits-batch" in second[0]
