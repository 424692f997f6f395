"""Files leave the watched folder once their row is synced, and nothing is ever overwritten."""

import errno
import filecmp
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from batch.disk.long_paths import stat_path
from batch.disk.offered import sync_folder, try_sync
from batch.watch.roots import Root, root_of
from batch.watch.state import Known, State

_AGAIN_S = 30.0  # between two attempts to move what could not be moved
_AT_ONCE = 200  # files of the state looked at in one step


class Mover:
    """Moves answered files to the folders that were named for them, if any were.

    A file that is moved is forgotten: if one of its name comes again, it is a new one. What a killed watcher has
    answered and not moved, the next one moves.

    Args:
        done: where files go whose rows carry no error; None leaves them.
        failed: where the others go; None leaves them.
        roots: the watched folders.
        state: knows what is answered.
        notify: told in one line what cannot be moved.
    """

    def __init__(
        self,
        done: Path | None,
        failed: Path | None,
        roots: Sequence[Root],
        state: State,
        notify: Callable[[str], None],
    ) -> None:
        self._folders = {False: done, True: failed}
        self._roots = roots
        self._state = state
        self._notify = notify
        self._told = ""
        self._behind = self._look_behind()
        self._next = 0.0

    def move(self, files: Iterable[Known]) -> None:
        """Move files that were just answered; what cannot be moved now is tried again later."""
        if not any(self._folders.values()):
            return
        gone = [known.key for known in files if self._folders[known.failed] is not None and self._is_away(known)]
        if gone:
            self._state.forget(gone)

    def catch_up(self) -> None:
        """Move some of what an earlier watcher, or an earlier attempt, has left behind."""
        if time.monotonic() < self._next or not any(self._folders.values()):
            return
        if next(self._behind, None) is None:
            self._behind = self._look_behind()
            self._next = time.monotonic() + _AGAIN_S

    def _look_behind(self) -> Iterator[bool]:
        for is_failed, folder in self._folders.items():
            key = b""
            while folder is not None and (files := self._state.after(key, _AT_ONCE, failed=is_failed)):
                self.move(known for known, _ in files)
                key = files[-1][0].key
                yield True

    def _is_away(self, known: Known) -> bool:
        """Move a file unless it has changed since its answer; returns whether it is moved, or was."""
        root = root_of(self._roots, known.key)
        folder = self._folders[known.failed]
        if root is None or folder is None:
            return False
        path = root.path_of(known.key)
        try:
            status = stat_path(path)
        except FileNotFoundError:
            # Whoever else has taken it, or this watcher before it was killed. Of a share that is not there, too, no
            # file is: then the folder is another one.
            return root.is_same(self._state.fact(root.fact))
        except OSError as error:
            self._tell(path, error)
            return False
        if (status.st_size, status.st_mtime_ns) != (known.size, known.mtime_ns):
            return False
        target = folder / os.fsdecode(known.key.removeprefix(root.key))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _move(path, target)
        except OSError as error:
            self._tell(path, error)
            return False
        self._told = ""
        return True

    def _tell(self, path: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        if reason != self._told:
            self._notify(f"{path} is answered but cannot be moved: {reason}; trying again every {_AGAIN_S:g} s")
            self._told = reason


def _move(path: str, target: Path) -> None:
    """Move a file to a path, or to one with a number if there is something. Raises OSError; then it is where it was."""
    if os.path.islink(path):  # noqa: PTH114 - a path that is no UTF-8 stays as it is
        # Elsewhere a relative link leads nowhere: what it leads to is copied.
        _copy(path, target)
        return
    try:
        _link(path, target)
    except OSError:
        # Another file system, or one without hard links, or a file that only its owner may link.
        try:
            _replace(path, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(path, target)


def _link(path: str, target: Path) -> None:
    """Give a file its new name, then take the old one. A rename would overwrite what comes to that name meanwhile."""
    for name in _names(target):
        try:
            os.link(path, name)
        except FileExistsError:
            # A watcher that was killed between the two steps has left both names.
            if not name.samefile(path):
                continue
        break
    os.unlink(path)  # noqa: PTH108 - as above


def _replace(path: str, target: Path) -> None:
    """Rename a file to a name that an empty file has kept free."""
    for name in _names(target):
        try:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
        except FileExistsError:
            continue
        try:
            os.replace(path, name)  # noqa: PTH105 - as above
        except OSError:
            name.unlink()
            raise
        return


def _copy(path: str, target: Path) -> None:
    """Copy a file, make the copy last, and remove it here."""
    # By its inode: the same after a kill, and another one for another watcher's file.
    temporary = target.with_name(f".{os.stat(path).st_ino}.tmp")  # noqa: PTH116 - as above
    try:
        shutil.copy2(path, temporary)
        # Open for writing, and where nothing can be synced it is moved all the same: as the table is.
        with temporary.open("r+b") as file:
            try_sync(file.fileno())
        # A watcher that was killed before the removal has left a copy: the same time and bytes.
        if not any(_is_copy(temporary, name) for name in itertools.takewhile(os.path.lexists, _names(target))):
            _replace(str(temporary), target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)
    os.unlink(path)  # noqa: PTH108 - as above


def _is_copy(one: Path, other: Path) -> bool:
    with suppress(OSError):
        is_dated_alike = one.stat().st_mtime_ns == other.stat().st_mtime_ns
        return is_dated_alike and filecmp.cmp(one, other, shallow=False)
    return False


def _names(target: Path) -> Iterator[Path]:
    """A path, and the same with numbers."""
    yield target
    number = 2
    while True:
        yield target.with_name(f"{target.stem}-{number}{target.suffix}")
        number += 1
