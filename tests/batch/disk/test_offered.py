"""Shares and FUSE file systems without locks or syncing: the calls fail in the command's process as they do there."""

import errno
import os
from pathlib import Path

import pytest

from tests.batch.conftest import ScriptedServer
from tests.batch.disk.support import python_path_to_faults
from tests.batch.support import read_rows
from tests.conftest import RunBatch


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Three scans, and what makes NO_FLOCK and NO_FSYNC name the error of these calls."""
    (tmp_path / "scans").mkdir()
    for number in range(3):
        (tmp_path / "scans" / f"{number}.png").write_bytes(bytes([number]))
    return {"PYTHONPATH": python_path_to_faults(tmp_path / "faults")}


def _is_complete(folder: Path) -> bool:
    left = sorted(path.name for path in folder.iterdir() if path.name.endswith((".part", ".tmp")))
    return [row["digit"] for row in read_rows(folder / "out.csv")] == ["0", "1", "2"] and not left


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, 524])
def test_no_locks(
    tmp_path: Path, scripted: ScriptedServer, digits_batch: RunBatch, environment: dict[str, str], number: int
) -> None:
    """Where no locks are to be had the run says so once, and finishes."""
    command = ("scans", "--out", "out.csv", "--server", scripted.address)
    result = digits_batch(*command, **environment, NO_FLOCK=str(number))
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("offers no locks") == 1
    assert "another digits-batch" not in result.stderr
    assert _is_complete(tmp_path)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EWOULDBLOCK, "another digits-batch"),
        (errno.EACCES, "another digits-batch"),
        (errno.EIO, "cannot lock out.csv.part: Input/output error"),
    ],
)
def test_locks_that_cannot_be_had(
    scripted: ScriptedServer, digits_batch: RunBatch, environment: dict[str, str], number: int, words: str
) -> None:
    """A lock that another run holds, or a disk that fails, ends the run before anything is asked."""
    command = ("scans", "--out", "out.csv", "--server", scripted.address)
    result = digits_batch(*command, **environment, NO_FLOCK=str(number))
    assert result.returncode == 2
    assert words in result.stderr
    assert scripted.calls == 0


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EROFS, 524])
def test_no_syncing(
    tmp_path: Path, scripted: ScriptedServer, digits_batch: RunBatch, environment: dict[str, str], number: int
) -> None:
    """Where nothing can be synced the table gets its name all the same, and a line says what that means."""
    command = ("scans", "--out", "out.csv", "--server", scripted.address)
    result = digits_batch(*command, **environment, NO_FSYNC=str(number))
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("offers no syncing") == 1
    assert _is_complete(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_over_syncing(
    tmp_path: Path, scripted: ScriptedServer, digits_batch: RunBatch, environment: dict[str, str], number: int
) -> None:
    """A full disk stays an error: no table, exit code 3; the same command then finishes and asks for nothing again."""
    command = ("scans", "--out", "out.csv", "--server", scripted.address)
    stopped = digits_batch(*command, **environment, NO_FSYNC=str(number))
    assert stopped.returncode == 3
    assert os.strerror(number) in stopped.stderr
    assert ("make room" in stopped.stderr) == (number != errno.EIO)
    assert not (tmp_path / "out.csv").exists()
    calls = scripted.calls
    assert digits_batch(*command).returncode == 0
    assert scripted.calls == calls
    assert _is_complete(tmp_path)
