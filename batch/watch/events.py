"""What the kernel says of folders as it happens, where it does: Linux, local file systems, the `watch` extra.

A network share tells nothing of what other machines write. So this only makes quicker what repeated looks find anyway.
"""

import importlib.util
import select
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol


class Event(NamedTuple):
    """Something happened to a name in a folder.

    Attributes:
        folder: its path, as it was given to `add`.
        name: in it.
        is_folder: whether that name is a folder's.
        is_moved: whether it was renamed to this name: a file is complete then.
    """

    folder: str
    name: str
    is_folder: bool
    is_moved: bool


class Events(Protocol):
    """Waits, and tells what happened meanwhile.

    Attributes:
        is_told: whether it tells anything.
    """

    is_told: bool

    def add(self, folder: str) -> None:
        """Listen to a folder; nothing happens where that is done already, or cannot be."""

    def take(self) -> list[Event] | None:
        """What happened since the last call; None if some of it is lost, so that only a look at everything helps."""

    def wait(self, seconds: float) -> None:
        """Wait until something happens, for so many seconds at most."""

    def close(self) -> None:
        """Listen no more."""


def listen(notify: Callable[[str], None]) -> Events:
    """Listen by inotify, or to nothing if it cannot be had."""
    # inotify_simple gives the kernel's events as they are. watchfiles and watchdog merge a file's being moved in with
    # its being made, and only the first says that it is complete.
    if importlib.util.find_spec("inotify_simple") is not None:
        try:
            return _INotify(notify)
        except OSError as error:
            notify(f"inotify cannot be used: {error.strerror}; folders are looked at every second")
    return _Silence()


class _INotify:
    is_told = True

    def __init__(self, notify: Callable[[str], None]) -> None:
        from inotify_simple import INotify, flags  # noqa: PLC0415 - an extra

        self._notify = notify
        self._flags = flags
        self._mask = flags.CLOSE_WRITE | flags.MOVED_TO | flags.CREATE | flags.ONLYDIR
        self._inotify = INotify()
        # As many as there are folders. One that is listened to again has the same number.
        self._folders: dict[int, str] = {}

    def add(self, folder: str) -> None:
        try:
            self._folders[self._inotify.add_watch(folder, self._mask)] = folder
        except FileNotFoundError:
            pass
        except OSError as error:
            if self.is_told:
                self._notify(
                    f"{folder}: inotify cannot be used: {error.strerror}; raise the sysctl fs.inotify.max_user_watches "
                    "if there are many folders. Until then such folders are looked at every second"
                )
            self.is_told = False

    def take(self) -> list[Event] | None:
        events: list[Event] = []
        is_lost = False
        for number, mask, _, name in self._inotify.read(timeout=0):
            if mask & self._flags.Q_OVERFLOW:
                is_lost = True
            elif mask & self._flags.IGNORED:
                self._folders.pop(number, None)
            elif number in self._folders:
                is_folder, is_moved = bool(mask & self._flags.ISDIR), bool(mask & self._flags.MOVED_TO)
                # A file that was made is told again when it is closed.
                if is_folder or not mask & self._flags.CREATE:
                    events.append(Event(self._folders[number], name, is_folder, is_moved))
        return None if is_lost else events

    def wait(self, seconds: float) -> None:
        select.select([self._inotify], [], [], seconds)

    def close(self) -> None:
        self._inotify.close()


class _Silence:
    is_told = False

    def add(self, folder: str) -> None:
        pass

    def take(self) -> list[Event] | None:
        return []

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        pass
