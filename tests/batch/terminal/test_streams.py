"""Standard streams that are closed, full, or read by nobody: the table is complete all the same."""

import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Three files and one that cannot be read."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(bytes([number]))
    return folder


def _run(scans: Path, redirection: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a shell; what it says goes to pipes unless the redirection has it elsewhere."""
    script = f'"$0" -P -m batch.cli "$@" {redirection}'
    return subprocess.run(
        ["bash", "-c", script, sys.executable, *arguments],  # noqa: S607 - whichever bash there is
        cwd=scans.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "redirection",
    [
        ">&-",
        "2>&-",
        ">&- 2>&-",
        "<&- >&- 2>&-",
        ">/dev/full",
        "2>/dev/full",
        ">/dev/full 2>/dev/full",
        "> >(exec true)",
        "2> >(exec true)",
    ],
)
def test_the_table_is_complete(scripted: ScriptedServer, scans: Path, redirection: str) -> None:
    """Exit code 0 and every row, whatever becomes of the summary; no word of a library gets into the table."""
    result = _run(scans, redirection, "scans", "--out", "out.csv", "--server", scripted.address)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert [row["digit"] for row in read_rows(scans.parent / "out.csv")] == ["0", "1", "2"]
    assert not (scans.parent / "out.csv.part").exists()


def test_a_notice_that_cannot_be_printed_is_no_fault(scripted: ScriptedServer, scans: Path) -> None:
    """A line in the middle of a run, told to a full disk or a closed stream, does not end it."""
    scripted.script = lambda _number, request, context: (
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too many")
        if len(request.inputs["image_bytes"].string_val) > 1
        else None
    )
    for redirection in ("2>/dev/full", "2>&-"):
        result = _run(scans, redirection, "scans", "--out", "out.csv", "--force", "--server", scripted.address)
        assert result.returncode == 0
        assert "halved" in result.stdout
        assert len(read_rows(scans.parent / "out.csv")) == 3


def test_a_full_disk_under_the_summary_is_told(scripted: ScriptedServer, scans: Path) -> None:
    """Who redirects the summary to a full disk reads why it is not there."""
    result = _run(scans, ">/dev/full", "scans", "--out", "out.csv", "--server", scripted.address)
    assert result.stderr == f"digits-batch: standard output: {os.strerror(28)}\n"


def test_rows_go_nowhere_unnoticed(scripted: ScriptedServer, scans: Path) -> None:
    """`--out -` into a closed standard output is refused before anything is asked."""
    result = _run(scans, ">&-", "scans", "--out", "-", "--server", scripted.address)
    assert result.returncode == 2
    assert "standard output is closed" in result.stderr
    assert scripted.calls == 0


def test_faults_keep_their_exit_codes(scripted: ScriptedServer, scans: Path) -> None:
    """An error row is 1, wrong usage 2, a list on a closed standard input nothing to do, also where nobody listens."""
    (scans / "9.png").symlink_to("nowhere")
    for redirection in (">&- 2>&-", ">/dev/full 2>/dev/full"):
        some = _run(scans, redirection, "scans", "--out", "out.csv", "--force", "--server", scripted.address)
        assert some.returncode == 1
        assert _run(scans, redirection, "nowhere", "--out", "x.csv", "--server", scripted.address).returncode == 2
    empty = _run(scans, "<&-", "-", "--out", "x.csv", "--server", scripted.address)
    assert empty.returncode == 2
    assert "nothing to do" in empty.stderr
