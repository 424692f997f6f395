"""Files of a job appear whole or not at all."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batch.cluster.folder import open_folder


def test_a_file_is_written_and_read(tmp_path: Path) -> None:
    """What is put is read again, listed, measured and removed, in folders that are made for it."""
    folder = open_folder(str(tmp_path / "job"))
    folder.put("parts/1.csv", b"one")
    folder.put("parts/1.csv", b"another")
    assert folder.read("parts/1.csv") == b"another"
    assert folder.size("parts/1.csv") == 7
    assert list(folder.names("parts")) == ["parts/1.csv"]
    folder.remove("parts/1.csv")
    folder.remove("parts/1.csv")
    assert folder.size("parts/1.csv") is None
    assert list(folder.names("nowhere")) == []
    with pytest.raises(FileNotFoundError):
        folder.read("parts/1.csv")


def test_a_draft_without_a_name_leaves_nothing(tmp_path: Path) -> None:
    """Who fails while writing leaves no file, not even the draft."""
    folder = open_folder(str(tmp_path))

    def fail() -> None:
        with folder.draft() as draft:
            draft.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_of_many_who_put_a_new_file_one_does_it(tmp_path: Path) -> None:
    """All who try at once are told the truth: one wrote it, and its content stays."""
    folder = open_folder(str(tmp_path))
    with ThreadPoolExecutor(16) as threads:
        written = list(threads.map(lambda number: folder.put_new("job.json", b"%d" % number), range(64)))
    assert written.count(True) == 1
    assert folder.read("job.json") == b"%d" % written.index(True)


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no hard links are to be had, a new file is put by renaming, and one that is there stays."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    folder = open_folder(str(tmp_path))
    assert folder.put_new("job.json", b"first")
    assert not folder.put_new("job.json", b"second")
    assert folder.read("job.json") == b"first"
