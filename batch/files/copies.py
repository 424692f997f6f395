"""Private copies of what is not on a disk, for the processes that convert pictures: these take paths."""

import os
import tempfile
from dataclasses import dataclass
from typing import IO


@dataclass
class _Copy:
    content: bytes
    file: IO[bytes]
    users: int = 0


class Copies:
    """Temporary files, each given up when everybody is done with it.

    Where the system shows a process's open files as paths, as Linux does, they have no names of their own: whatever
    ends this process takes them along.
    """

    def __init__(self) -> None:
        self._copies: dict[str, _Copy] = {}
        self._newest = ""

    def add(self, content: bytes) -> str:
        """Write a copy and return its path; the one of just now, if it is of the same object.

        Raises:
            OSError: the folder for temporary files is full, or cannot be written.
        """
        newest = self._copies.get(self._newest)
        if newest is None or newest.content is not content:
            try:
                path, file = _write(content)
            except OSError as error:
                raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from None
            newest = self._copies[path] = _Copy(content, file)
            self._newest = path
        newest.users += 1
        return self._newest

    def remove(self, path: str) -> None:
        """One user is done with a path. Paths that are no copies are left alone."""
        copy = self._copies.get(path)
        if copy is None:
            return
        copy.users -= 1
        if not copy.users:
            del self._copies[path]
            copy.file.close()

    def close(self) -> None:
        """Give up all."""
        for copy in self._copies.values():
            copy.file.close()
        self._copies.clear()


def _write(content: bytes) -> tuple[str, IO[bytes]]:
    file: IO[bytes] = tempfile.TemporaryFile(prefix="digits-")  # noqa: SIM115 - lives as long as the copy
    path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
    if not os.path.exists(path):  # noqa: PTH110 - a path as the converter takes it
        file.close()
        file = tempfile.NamedTemporaryFile(prefix="digits-")  # noqa: SIM115 - likewise
        path = file.name
    try:
        file.write(content)
        file.flush()
    except OSError:
        file.close()
        raise
    return path, file
