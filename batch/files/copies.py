"""Private copies of what is not on a disk, for the processes that convert pictures: these take paths."""

import itertools
import os
import tempfile
from collections import Counter


class Copies:
    """Files in a folder of their own, each removed when everybody is done with it."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._numbers = itertools.count()
        self._users: Counter[str] = Counter()
        self._newest = ("", "")

    def add(self, source: str, content: bytes) -> str:
        """Write a copy and return its path; the one of just now, if it is of the same source.

        Raises:
            OSError: the folder for temporary files is full, or cannot be written.
        """
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="digits-")
        if source != self._newest[0] or not self._users[self._newest[1]]:
            path = os.path.join(self._folder.name, str(next(self._numbers)))  # noqa: PTH118 - a path as the converter takes it
            with open(path, "xb") as file:  # noqa: PTH123 - likewise
                file.write(content)
            self._newest = source, path
        path = self._newest[1]
        self._users[path] += 1
        return path

    def remove(self, path: str) -> None:
        """One user is done with a path; the last one's removes the file. Other paths are left alone."""
        if path not in self._users:
            return
        self._users[path] -= 1
        if not self._users[path]:
            del self._users[path]
            os.unlink(path)  # noqa: PTH108 - likewise

    def close(self) -> None:
        """Remove all."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self._users.clear()
