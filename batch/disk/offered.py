"""Locks and syncing, which shares and FUSE file systems may not offer: that is told apart from a failure."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

_ENOTSUPP = 524  # the kernel's own number, which some network file systems let through
_NOT_OFFERED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, _ENOTSUPP})
# NFS without a lock daemon, and others whose server keeps no locks.
_NO_LOCKS = _NOT_OFFERED | {errno.ENOLCK}
# As POSIX says of fsync; a share may also give it for folders.
_NO_SYNC = _NOT_OFFERED | {errno.EROFS}
# POSIX lets a lock that another holds be either. SMB says EACCES.
_HELD = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES})


class HeldError(Exception):
    """Another process holds the lock."""


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process alone, without waiting; the lock goes when the file is closed.

    Args:
        descriptor: of a file that is open for writing, as NFS wants it.

    Returns:
        Whether it is locked; if not, the file system offers no locks.

    Raises:
        HeldError: another process has locked it.
        OSError: the file system offers locks, and failed.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise HeldError from None
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def try_sync(descriptor: int) -> bool:
    """Bring an open file or folder to the disk.

    Returns:
        Whether it is there; if not, the file system offers no syncing.

    Raises:
        OSError: it could not be written, as on a full disk.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Make renames and removals last; file systems that cannot do that for folders are left to themselves."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
