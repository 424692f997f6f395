"""Which files count as complete, with inotify and without, and which are forgotten."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batch.files.walk import Walk
from batch.watch import missing
from batch.watch.incoming import Incoming
from batch.watch.missing import Missing
from batch.watch.moves import Mover
from batch.watch.roots import Root
from batch.watch.state import Known, Part, State
from tests.batch.support import wait_for
from tests.batch.watch.support import drop


@pytest.fixture(params=["inotify", "looks alone"])
def look(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to learn of files."""
    if request.param == "inotify":
        pytest.importorskip("inotify_simple", reason="the watch extra is not installed")
    else:
        monkeypatch.setattr("batch.watch.events.importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("batch.watch.incoming._INTERVAL_S", 0.05)
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The watched folder."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """An empty state."""
    with State(tmp_path / "state") as state:
        yield state


def incoming(
    folder: Path,
    state: State,
    *left_out: Path,
    settle: float = 0.0,
    recursive: bool = True,
    follow_links: bool = True,
) -> Incoming:
    walk = Walk((str(folder),), ("*.png", "*.tif"), recursive, follow_links)
    return Incoming([Root(str(folder))], walk, settle, left_out, state, lambda _: None)


def paths(watched: Incoming, count: int) -> set[str]:
    """The names of the next files that are complete, at least so many."""
    found: list[str] = []

    def is_enough() -> bool:
        found.extend(source.path for source in watched.complete(100))
        watched.wait()
        return len(found) >= count

    wait_for(is_enough)
    assert len(found) == len(set(found))
    return {os.path.basename(path) for path in found}  # noqa: PTH119 - plain names


def test_files_that_come(folder: Path, state: State, look: str) -> None:
    """Files there before, new ones, and those of folders that come whole are found, each once."""
    drop(folder / "a.png", b"1")
    watched = incoming(folder, state)
    assert paths(watched, 1) == {"a.png"}
    state.commit(Part(), [_known(folder / "a.png", folder)])
    drop(folder / "b.png", b"2")
    (folder.parent / "tray/deep").mkdir(parents=True)
    drop(folder.parent / "tray/deep/c.png", b"3")
    (folder.parent / "tray").rename(folder / "tray")
    assert paths(watched, 2) == {"b.png", "c.png"}
    watched.close()


def test_folders_that_are_left_out(folder: Path, state: State, look: str) -> None:
    """Files in the folder for moved files are not seen, whatever path leads there; neither are subfolders if asked."""
    drop(folder / "done/a.png", b"1")
    drop(folder / "sub/b.png", b"1")
    (folder / "link").symlink_to(folder / "done")
    drop(folder / "c.png", b"1")
    watched = incoming(folder, state, folder / "done")
    assert paths(watched, 2) == {"b.png", "c.png"}
    drop(folder / "done/d.png", b"1")
    drop(folder / "e.png", b"1")
    state.commit(Part(), [_known(folder / name, folder) for name in ("sub/b.png", "c.png")])
    assert paths(watched, 1) == {"e.png"}
    watched.close()

    flat = incoming(folder, State(folder.parent / "other"), settle=0, recursive=False)
    assert paths(flat, 2) == {"c.png", "e.png"}
    flat.close()


def test_links_that_are_not_to_be_followed(folder: Path, state: State, look: str) -> None:
    """With --no-follow-links neither a link to a file nor one to a folder gets rows, however it came there."""
    drop(folder.parent / "elsewhere/a.png", b"1")
    (folder / "before.png").symlink_to(folder.parent / "elsewhere/a.png")
    (folder / "tray").symlink_to(folder.parent / "elsewhere")
    drop(folder / "b.png", b"1")
    watched = incoming(folder, state, follow_links=False)
    assert paths(watched, 1) == {"b.png"}
    (folder.parent / "link.png").symlink_to(folder.parent / "elsewhere/a.png")
    (folder.parent / "link.png").rename(folder / "moved.png")
    drop(folder / "c.png", b"1")
    state.commit(Part(), [_known(folder / "b.png", folder)])
    assert paths(watched, 1) == {"c.png"}
    watched.close()


def test_a_folder_that_many_links_lead_to(folder: Path, state: State, look: str) -> None:
    """Its files are found once."""
    drop(folder / "a/a.png", b"1")
    (folder / "a/back").symlink_to(folder)
    (folder / "b").symlink_to(folder / "a")
    drop(folder / "c.png", b"1")
    watched = incoming(folder, state)
    assert paths(watched, 2) == {"a.png", "c.png"}
    watched.close()


def test_a_path_longer_than_the_system_takes(folder: Path, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file 20 long folders deep is found."""
    monkeypatch.setattr("batch.watch.incoming._INTERVAL_S", 0.05)
    monkeypatch.chdir(folder)
    for _ in range(20):
        Path("x" * 250).mkdir()
        os.chdir("x" * 250)
    drop(Path("a.png"), b"1")
    watched = incoming(folder, state)
    assert paths(watched, 1) == {"a.png"}
    watched.close()


def test_files_that_vanish_or_lead_nowhere(folder: Path, state: State, look: str) -> None:
    """They are no files until something is there."""
    (folder / "nowhere.png").symlink_to("nothing")
    drop(folder / "brief.png", b"1")
    watched = incoming(folder, state, settle=0.3)
    watched.complete(100)
    (folder / "brief.png").unlink()
    drop(folder / "a.png", b"1")
    assert paths(watched, 1) == {"a.png"}
    watched.close()


def test_pages_are_counted_when_a_file_is_complete(folder: Path, state: State, look: str) -> None:
    """Not while it is written: until then nothing opens it."""
    from PIL import Image  # noqa: PLC0415 - slow

    sheets = [Image.new("L", (8, 8), shade) for shade in (0, 100, 200)]
    sheets[0].save(folder.parent / "whole.tif", save_all=True, append_images=sheets[1:])
    content = (folder.parent / "whole.tif").read_bytes()
    (folder / "scan.tif").write_bytes(content[:100])
    watched = incoming(folder, state, settle=0.5)
    watched.complete(100)
    (folder / "scan.tif").write_bytes(content)
    found = []

    def is_complete() -> bool:
        found.extend(watched.complete(100))
        return bool(found)

    wait_for(is_complete)
    assert [file.page for file in found[0].files] == [1, 2, 3]
    assert found[0].size == len(content)
    watched.close()


def test_a_queue_of_the_kernel_that_overflows(folder: Path, state: State) -> None:
    """More happens than inotify keeps: a look at everything finds the rest."""
    pytest.importorskip("inotify_simple", reason="the watch extra is not installed")
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    watched = incoming(folder, state)
    drop(folder / "first.png", b"1")
    assert paths(watched, 1) == {"first.png"}
    state.commit(Part(), [_known(folder / "first.png", folder)])
    for _ in range(most // 2 + 1):
        drop(folder / "again.txt", b"1")
        (folder / "other.txt").touch()
    drop(folder / "last.png", b"1")
    assert paths(watched, 1) == {"last.png"}
    watched.close()


def _known(path: Path, folder: Path, *, failed: bool = False) -> Known:
    status = path.stat()
    return Known(Root(str(folder)).key_of(str(path)), status.st_size, status.st_mtime_ns, failed)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have a day and a bit go by."""
    monkeypatch.setattr(missing, "_INTERVAL_S", 0.0)
    clock = [time.time()]
    monkeypatch.setattr("batch.watch.missing.time.time", lambda: clock[0])

    def go() -> None:
        clock[0] += 90_000

    return go


def test_files_that_are_gone_are_forgotten(folder: Path, state: State, later: Callable[[], None]) -> None:
    """After a day in which they were missing; those that are there stay known."""
    gone, there = _known(drop(folder / "gone.png", b"1"), folder), _known(drop(folder / "there.png", b"1"), folder)
    root = Root(str(folder))
    state.commit(Part(), [gone, there], {root.fact: root.inode()})
    (folder / "gone.png").unlink()
    looks = Missing([root], state)
    looks.look()
    looks.look()
    assert state.knows(*gone[:3])
    later()
    looks.look()
    assert not state.knows(*gone[:3])
    assert state.knows(*there[:3])


def test_a_share_that_is_not_mounted(folder: Path, state: State, later: Callable[[], None]) -> None:
    """Its folder is there and empty: no file is forgotten, nor taken for moved."""
    known = _known(drop(folder / "a.png", b"1"), folder)
    root = Root(str(folder))
    state.commit(Part(), [known], {root.fact: root.inode()})
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()
    looks = Missing([root], state)
    for _ in range(3):
        looks.look()
        later()
    Mover(folder.parent / "done", None, [root], state, lambda _: None).catch_up()
    assert state.knows(*known[:3])
    folder.rmdir()
    folder.with_name("elsewhere").rename(folder)
    Mover(folder.parent / "done", None, [root], state, lambda _: None).catch_up()
    assert not state.knows(*known[:3])
    assert (folder.parent / "done/a.png").exists()
