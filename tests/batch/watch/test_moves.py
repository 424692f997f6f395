"""Files that leave the watched folder: killed in between, to other file systems, and where it cannot be done."""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.watch import moves
from batch.watch.moves import Mover
from batch.watch.roots import Root
from batch.watch.state import Known, Part, State
from tests.batch.watch.support import drop


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """An empty state."""
    with State(tmp_path / "state") as state:
        yield state


class Case:
    """One answered file, in/sub/a.png, and a folder to move it to."""

    def __init__(self, folder: Path, state: State, done: Path, way: str) -> None:
        self.way = way
        self.done = done
        self.path = drop(folder / "in/sub/a.png", b"image")
        self.root = Root(str(folder / "in"))
        status = self.path.stat()
        self.known = Known(self.root.key_of(str(self.path)), status.st_size, status.st_mtime_ns, failed=False)
        self.state = state
        self.told: list[str] = []
        state.commit(Part(), [self.known], {self.root.fact: self.root.inode()})

    def start(self) -> Mover:
        """The mover of a watcher that was just started."""
        return Mover(self.done, None, [self.root], self.state, self.told.append)

    def moved(self) -> list[str]:
        """What is in the folder for moved files."""
        return sorted(str(path.relative_to(self.done)) for path in self.done.rglob("*") if path.is_file())


@pytest.fixture(params=["the same", "no links", "another"])
def case(
    request: pytest.FixtureRequest, tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Case]:
    """A folder on the same file system, on one without hard links, and on another file system."""
    if request.param == "another":
        with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
            assert Path(elsewhere).stat().st_dev != tmp_path.stat().st_dev
            yield Case(tmp_path, state, Path(elsewhere), request.param)
        return

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "no links":
        monkeypatch.setattr("batch.watch.moves.os.link", refuse)
    yield Case(tmp_path, state, tmp_path / "done", request.param)


def test_what_a_killed_watcher_left_is_moved(case: Case) -> None:
    """Its bytes and time are kept, and it is forgotten: if it comes again, it is a new one."""
    case.start().catch_up()
    assert case.moved() == ["sub/a.png"]
    moved = case.done / "sub/a.png"
    assert moved.read_bytes() == b"image"
    assert moved.stat().st_mtime_ns == case.known.mtime_ns
    assert not case.path.exists()
    assert not case.state.knows(*case.known[:3])


def test_killed_in_the_middle_of_a_move(case: Case) -> None:
    """Both names were there, or the new one was kept free: the image is there once."""
    target = case.done / "sub/a.png"
    target.parent.mkdir(parents=True)
    if case.way == "another":
        shutil.copy2(case.path, target)
    elif case.way == "no links":
        target.touch()
    else:
        target.hardlink_to(case.path)
    case.start().catch_up()
    assert [content for name in case.moved() if (content := (case.done / name).read_bytes())] == [b"image"]
    assert not case.path.exists()


def test_killed_after_the_move(case: Case) -> None:
    """The file is where it should be, and is forgotten."""
    case.path.unlink()
    case.start().catch_up()
    assert not case.state.knows(*case.known[:3])
    assert case.told == []


def test_names_that_are_taken(case: Case) -> None:
    """They get a number; what is there stays."""
    drop(case.done / "sub/a.png", b"before")
    drop(case.done / "sub/a-2.png", b"and before")
    case.start().catch_up()
    assert case.moved() == ["sub/a-2.png", "sub/a-3.png", "sub/a.png"]
    assert (case.done / "sub/a-3.png").read_bytes() == b"image"
    assert (case.done / "sub/a.png").read_bytes() == b"before"


def test_a_file_that_changed_since_stays(case: Case) -> None:
    """It is a new one, and gets its own row first."""
    case.path.write_bytes(b"a new image")
    case.start().catch_up()
    assert case.path.read_bytes() == b"a new image"
    assert case.moved() == []


def test_a_folder_that_cannot_take_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once, the file stays answered, and is moved when that is possible again."""
    monkeypatch.setattr(moves, "_AGAIN_S", 0.0)
    case.done.mkdir(exist_ok=True)
    (case.done / "sub").write_text("a file where a folder should be")
    mover = case.start()
    for _ in range(4):
        mover.catch_up()
    assert len(case.told) == 1
    assert "cannot be moved" in case.told[0]
    assert case.state.knows(*case.known[:3])
    (case.done / "sub").unlink()
    for _ in range(2):
        mover.catch_up()
    assert case.moved() == ["sub/a.png"]


def test_a_link_is_moved_as_what_it_leads_to(case: Case) -> None:
    """A relative link would lead nowhere; the file that it led to stays."""
    target = case.path.rename(case.path.with_name("target"))
    case.path.symlink_to("target")
    case.start().catch_up()
    assert (case.done / "sub/a.png").read_bytes() == b"image"
    assert not (case.done / "sub/a.png").is_symlink()
    assert target.exists()
    assert not case.path.is_symlink()
