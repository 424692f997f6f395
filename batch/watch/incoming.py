"""Which files of the watched folders are complete and not answered yet.

The folders are looked at again and again, which works on every file system. inotify, where it can be had, makes it
quicker. A file is complete if it has kept its size and modification time for a while, or if it was moved in, as a
rename gives a complete file its name.
"""

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batch.disk.long_paths import stat_path
from batch.files.file import File
from batch.files.skipped import Skipped
from batch.files.walk import Walk, name_filter, walk
from batch.watch.events import listen
from batch.watch.roots import Root
from batch.watch.state import State

_INTERVAL_S = 1.0  # between the beginnings of two looks at all folders
_REST = 4  # times as long as a look took, the next one waits: a million files must not keep a core busy
_SLICE_S = 0.1  # of a look, before what is complete goes first
_MOST_WAITING = 100_000  # files that are held at a time, tens of megabytes; the next look finds the others
_MOST_SCANS = 1000  # folders that just came and are looked at out of turn


@dataclass(frozen=True)
class Source:
    """A file that is to be answered.

    Attributes:
        root: the watched folder that it is in.
        key: its name across restarts, see `Root.key_of`.
        path: as the walk has it.
        size: in bytes.
        mtime_ns: its modification time, in nanoseconds.
        since: `time.monotonic()` of when it was first seen so.
        attempts: how often it could not be read.
        files: it, or its pages; only of a file that is complete.
    """

    root: Root
    key: bytes
    path: str
    size: int
    mtime_ns: int
    since: float
    attempts: int = 0
    files: tuple[File, ...] = ()

    def is_unchanged(self) -> bool:
        """Whether it is there as it was seen."""
        try:
            status = stat_path(self.path)
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


class Incoming:
    """Finds complete files.

    Args:
        roots: the watched folders.
        what: which names are taken, and whether subfolders are watched.
        settle: seconds for which a file must stay as it is.
        left_out: folders that are not watched, wherever they are.
        state: knows what is answered.
        notify: told in one line what the user should know.
    """

    def __init__(
        self,
        roots: Sequence[Root],
        what: Walk,
        settle: float,
        left_out: Sequence[Path],
        state: State,
        notify: Callable[[str], None],
    ) -> None:
        self._roots = roots
        self._what = what
        self._takes = name_filter(what.globs)
        self._settle = settle
        self._left_out = left_out
        self._state = state
        self._notify = notify
        self._events = listen(notify)
        # By key, those that were seen first at the front; how many there may be is bounded.
        self._waiting: dict[bytes, Source] = {}
        self._moved: dict[bytes, Source] = {}
        self._scans: deque[Iterator[None]] = deque()
        self._next_scan = 0.0
        self._told: list[str] = []

    @property
    def waiting(self) -> int:
        """How many files are seen and not complete yet, or not answered."""
        return len(self._waiting) + len(self._moved)

    @property
    def is_told(self) -> bool:
        """Whether files that are moved in are known of at once."""
        return self._events.is_told

    def complete(self, most: int) -> list[Source]:
        """Look at some of the folders; return files that are complete, moved ones first, at most so many."""
        self._hear()
        self._look()
        found: list[Source] = []
        while self._moved and len(found) < most:
            found += self._expand(self._moved.pop(next(iter(self._moved))))
        settled_since = time.monotonic() - self._settle
        while self._waiting and len(found) < most:
            source = next(iter(self._waiting.values()))
            if source.since > settled_since:
                break
            del self._waiting[source.key]
            found += self._expand(source)
        return found

    def put_back(self, sources: Iterable[Source], *, unreadable: bool = False) -> None:
        """Have files wait again that were not answered, behind the others."""
        now = time.monotonic()
        for source in sources:
            self._waiting.pop(source.key, None)
            self._waiting[source.key] = replace(source, since=now, attempts=source.attempts + unreadable, files=())

    def wait(self) -> None:
        """Wait until there may be something to do; not for long, so that signals are seen."""
        if self._scans or self._moved:
            return
        now = time.monotonic()
        until = min(self._next_scan, now + _INTERVAL_S)
        if self._waiting:
            until = min(until, next(iter(self._waiting.values())).since + self._settle)
        self._events.wait(max(0.0, until - now))

    def close(self) -> None:
        """Listen no more."""
        self._events.close()

    def _hear(self) -> None:
        """Take in what inotify tells."""
        events = self._events.take()
        if events is None:
            self._next_scan = 0.0
        for event in events or ():
            path = os.path.join(event.folder, event.name)  # noqa: PTH118 - a path that is no UTF-8 stays as it is
            root = self._root_of(event.folder)
            if event.name.startswith(".") or root is None:
                continue
            if event.is_folder:
                if self._what.recursive and len(self._scans) < _MOST_SCANS:
                    self._scans.append(self._scan([root], path))
            elif self._takes(event.name):
                self._see_event(root, path, is_moved=event.is_moved)

    def _see_event(self, root: Root, path: str, *, is_moved: bool) -> None:
        try:
            status = stat_path(path, follow_symlinks=self._what.follow_links)
        except OSError:
            return  # it has gone again
        if not stat.S_ISREG(status.st_mode):
            return
        source = _source(root, File(path, status.st_size, status.st_mtime_ns))
        if is_moved and len(self._moved) < _MOST_WAITING:
            self._waiting.pop(source.key, None)
            if not self._is_answered(source):
                self._moved[source.key] = source
        else:
            self._see(source, is_written=True)

    def _look(self) -> None:
        """Go on with the look at the folders, for a short time; begin the next one when it is due."""
        now = time.monotonic()
        if not self._scans and now >= self._next_scan:
            self._scans.append(self._scan(self._roots))
        until = now + _SLICE_S
        while self._scans:
            for _ in self._scans[0]:
                if time.monotonic() > until:
                    return
            self._scans.popleft()

    def _scan(self, roots: Sequence[Root], path: str | None = None) -> Iterator[None]:
        """Look at all folders, or at one of a root; yields after each file."""
        spent, resumed = 0.0, time.monotonic()
        skipped = Skipped()
        left_out = [status for folder in self._left_out if (status := _stat(folder)) is not None]

        def enters(folder: str) -> bool:
            status = _stat(folder)
            if status is None or any(os.path.samestat(status, one) for one in left_out):
                return False
            self._events.add(folder)
            return True

        for root in roots:
            what = replace(self._what, paths=(path or root.path,))
            for file in walk(what, skipped, enters=enters):
                if file.path != what.paths[0]:
                    # The time of a file that is not there: gone since the listing, or a link to nothing.
                    if file.mtime_ns or _stat(file.path) is not None:
                        self._see(_source(root, file))
                elif path is None:
                    skipped.folders[file.path] = "it is not there"
                spent += time.monotonic() - resumed
                yield
                resumed = time.monotonic()
        if path is None:
            spent += time.monotonic() - resumed
            self._next_scan = time.monotonic() + max(_INTERVAL_S, _REST * spent)
            self._tell(skipped)

    def _see(self, source: Source, *, is_written: bool = False) -> None:
        """Have a file wait until it is complete, from now on if it has changed."""
        seen = self._waiting.get(source.key)
        if source.key in self._moved:
            return  # and if it is not complete after all, its turn will show it
        if seen is not None:
            if not is_written and (seen.size, seen.mtime_ns) == (source.size, source.mtime_ns):
                return
            # To the end: those that were seen first are at the front.
            del self._waiting[source.key]
        elif self._is_answered(source) or len(self._waiting) >= _MOST_WAITING:
            return
        self._waiting[source.key] = source

    def _is_answered(self, source: Source) -> bool:
        return self._state.knows(source.key, source.size, source.mtime_ns)

    def _expand(self, source: Source) -> list[Source]:
        """A file that is complete, with its pages; nothing if it has changed after all, and waits on."""
        if not source.is_unchanged():
            return []  # the next look sees what it is now
        files = tuple(walk(Walk((source.path,)), Skipped(), expands=False))
        return [replace(source, files=files)] if files and source.is_unchanged() else []

    def _root_of(self, folder: str) -> Root | None:
        path = os.path.join(folder, "")  # noqa: PTH118 - as above
        return next((root for root in self._roots if path.startswith(os.path.join(root.path, ""))), None)  # noqa: PTH118 - as above

    def _tell(self, skipped: Skipped) -> None:
        """Tell of what has no chance of a row, once until that changes."""
        reasons = [f"{folder} cannot be listed: {why}" for folder, why in sorted(skipped.folders.items())]
        if skipped.other_images:
            endings = ", ".join(sorted(skipped.other_images))
            reasons.append(f"images of other kinds are not taken: {endings}; name them with --glob")
        if reasons and reasons != self._told:
            self._notify("; ".join(reasons))
        self._told = reasons


def _source(root: Root, file: File) -> Source:
    return Source(root, root.key_of(file.path), file.path, file.size, file.mtime_ns, time.monotonic())


def _stat(path: str | Path) -> os.stat_result | None:
    try:
        return stat_path(str(path))
    except OSError:
        return None
