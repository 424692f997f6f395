"""The watched folders, and by which name a file in them is known across restarts."""

import os
from collections.abc import Sequence

from batch.disk.long_paths import stat_path


class Root:
    """One watched folder.

    Attributes:
        path: as the user wrote it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._prefix = os.path.join(path, "")  # noqa: PTH118 - a path that is no UTF-8 stays as it is
        self.key = os.path.join(os.fsencode(os.path.realpath(path)), b"")  # noqa: PTH118 - as above
        """The real path, with a slash at its end: the same whatever the user writes and from where."""

    @property
    def fact(self) -> str:
        """The name under which the state notes the folder's inode when a file of it is answered."""
        return f"inode of {self.key.hex()}"

    def is_same(self, inode: object) -> bool:
        """Whether the folder is there and has the noted inode.

        If not, it is an empty mount point, or another disk: files that it lacks may come back.
        """
        now = self.inode()
        return now is not None and now == inode

    def key_of(self, path: str) -> bytes:
        """The name by which a file is known: its real folder, and the rest as the walk has it."""
        return self.key + os.fsencode(path.removeprefix(self._prefix))

    def path_of(self, key: bytes) -> str:
        """The path of a file as the user would write it."""
        return self._prefix + os.fsdecode(key.removeprefix(self.key))

    def inode(self) -> int | None:
        """The inode of the folder; None if it is not there."""
        try:
            return stat_path(self.path).st_ino
        except OSError:
            return None


def root_of(roots: Sequence[Root], key: bytes) -> Root | None:
    """The innermost watched folder that a file is in; None for a file of a folder that is not watched any more."""
    inside = [root for root in roots if key.startswith(root.key)]
    return max(inside, key=lambda root: len(root.key), default=None)
