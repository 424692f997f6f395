"""Files that others have taken away are forgotten, so that the state does not grow for ever."""

import os
import time
from collections.abc import Sequence

from batch.disk.long_paths import stat_path
from batch.watch.roots import Root, root_of
from batch.watch.state import State

_KEEP_S = 86400.0  # a folder that was renamed by mistake, or a disk of its subfolder, is back within a day
_INTERVAL_S = 1.0
_AT_ONCE = 200  # files looked at in an interval: of a million, each in an hour and a half


class Missing:
    """Looks, a few at a time, whether answered files are still there.

    Args:
        roots: the watched folders.
        state: forgets files that were missing for a day.
    """

    def __init__(self, roots: Sequence[Root], state: State) -> None:
        self._roots = roots
        self._state = state
        self._key = b""
        self._next = 0.0

    def look(self) -> None:
        """Look at the next files, if it is time to."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _INTERVAL_S
        # Of a share that is not mounted, every file is missing, and none is to be forgotten.
        there = {root for root in self._roots if root.is_same(self._state.fact(root.fact))}
        files = self._state.after(self._key, _AT_ONCE)
        self._key = files[-1][0].key if len(files) == _AT_ONCE else b""
        gone: list[bytes] = []
        for known, since in files:
            root = root_of(self._roots, known.key)
            if root not in there:
                continue
            is_missing = _is_missing(known.key)
            if is_missing and since is not None and time.time() - since > _KEEP_S:
                gone.append(known.key)
            elif is_missing != (since is not None):
                self._state.mark_missing(known.key, time.time() if is_missing else None)
        if gone:
            self._state.forget(gone)


def _is_missing(key: bytes) -> bool:
    try:
        stat_path(os.fsdecode(key), follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it cannot be said
    return False
