"""Watchers on shares and FUSE file systems without locks or syncing."""

import errno
from pathlib import Path

import pytest

from tests.batch.conftest import ScriptedServer
from tests.batch.disk.support import python_path_to_faults
from tests.batch.watch.support import Watching, drop, paths_in


def test_neither_locks_nor_syncing(tmp_path: Path, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line says each, rows come, and after a kill no file gets a second one."""
    monkeypatch.setenv("PYTHONPATH", python_path_to_faults(tmp_path / "faults"))
    monkeypatch.setenv("NO_FLOCK", str(errno.ENOLCK))
    monkeypatch.setenv("NO_FSYNC", str(errno.EINVAL))
    command = ["--out", "preds.csv", "--server", scripted.address, "--settle", "0.2", "--roll", "2"]
    command += ["--move-done", "done"]
    first, second = (tmp_path / f"preds-00000{number}.csv" for number in (1, 2))
    drop(tmp_path / "incoming/a.png", b"\1")
    drop(tmp_path / "incoming/b.png", b"\2")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_words(f"{first.name} is complete")
        assert watcher.log.count("offers no locks") == watcher.log.count("offers no syncing") == 1, watcher.log
        watcher.kill()
    drop(tmp_path / "incoming/c.png", b"\3")
    drop(tmp_path / "incoming/d.png", b"\4")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_words(f"{second.name} is complete")
        assert watcher.stop() == 0, watcher.log
    assert paths_in(first, second) == {f"incoming/{name}.png": 1 for name in "abcd"}


def test_a_second_watcher(tmp_path: Path, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another holds, as SMB tells it, ends the second one before anything is asked."""
    monkeypatch.setenv("PYTHONPATH", python_path_to_faults(tmp_path / "faults"))
    monkeypatch.setenv("NO_FLOCK", str(errno.EACCES))
    drop(tmp_path / "incoming/a.png", b"\1")
    with Watching(tmp_path, ["--out", "preds.csv", "--server", scripted.address]) as watcher:
        assert watcher.wait() == 2
        assert watcher.says("another digits-batch")
    assert scripted.calls == 0
