"""What is done, on disk, so that nothing is asked twice and nothing is lost.

`OUT.part` is JSON Lines: who holds it, in a line of fixed length; a header that says what was asked of whom; then a
line per answered request, flushed as it comes: the request's number in the walk, and for each of its files path, size,
modification time or ETag, and answer; last, just before the output takes its place, that file's inode. A torn last line
is cut off. A request that is asked again has a later line, which counts.
"""

import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Generic

from batch.client.answers import AnyRow
from batch.disk.offered import HeldError, try_lock
from batch.files.file import File
from exporter.command import UserError

_FORMAT = 2
_HOLDER_BYTES = 160
_HOLDER_START = b'{"process": '
_INODE_START = b'{"inode": '


def journal_of(out: Path) -> Path:
    """Where the journal of an output is."""
    return out.with_name(out.name + ".part")


class Journal(Generic[AnyRow]):
    """The journal of one output, locked while it is open.

    Args:
        out: the output; the journal lies beside it.
        settings: what was asked of whom, JSON values. A journal of other settings is not continued.
        restore: makes an answer of its fields, as JSON has them.
        fresh: throw away what another run left.
        notify: told in one line if the file system offers no locks.

    Raises:
        UserError: the folder cannot be written, another run holds the output, or the journal has other settings.
    """

    def __init__(
        self,
        out: Path,
        settings: dict[str, Any],
        *,
        restore: Callable[[list[Any]], AnyRow],
        fresh: bool,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.out = out
        self.path = journal_of(out)
        self._restore = restore
        # Where the latest line of each request of an earlier run begins: a few bytes for hundreds of files.
        self._offsets: dict[int, int] = {}
        self._inode: int | None = None
        self._file = _open_locked(self.path, out, notify)
        self._header = json.dumps({"format": _FORMAT, **settings}, sort_keys=True).encode() + b"\n"
        try:
            self._read(fresh=fresh)
        except BaseException:
            self.close()
            raise

    def _read(self, *, fresh: bool) -> None:
        """Index what an earlier run left; begin anew where it left nothing whole, or that is not wanted."""
        self._file.seek(0)
        holder, found = self._file.readline(), self._file.readline()
        if not _is_holder(holder):
            raise UserError(f"{self.path} is no journal of digits-batch: move it away, or choose another --out")
        if fresh or not found.endswith(b"\n"):
            self.start_over()
            return
        if len(holder) != _HOLDER_BYTES or found != self._header:
            if not self._file.readline():
                # Of a run that had no answer, as where its server lacks what was asked.
                self.start_over()
                return
            raise UserError(
                f"{self.path} belongs to a run with other files or settings ({_difference(found, self._header)}); "
                "repeat that run's command to finish it, or add --fresh to throw its rows away"
            )
        offset = len(holder) + len(found)
        for line in self._file:
            number, inode = _number(line), _inode(line)
            if number is not None:
                self._offsets[number] = offset
            elif inode is not None:
                self._inode = inode
            else:
                # Torn, or by a crash of the whole machine worse than that: what follows is asked again.
                break
            offset += len(line)
        self._file.truncate(offset)
        self._file.seek(0)
        self._file.write(_holder_line())
        self._file.flush()

    def start_over(self) -> None:
        """Forget all answers."""
        self._offsets.clear()
        self._file.seek(0)
        self._file.truncate(0)
        self._file.write(_holder_line() + self._header)
        self._file.flush()

    def done(self, number: int, files: list[File]) -> list[AnyRow] | None:
        """The answers of a request, if its files are unchanged since it was asked."""
        if number not in self._offsets:
            return None
        try:
            rows = self._rows(number)
        except ValueError:
            # Blocks within the line that a crash of the whole machine has left as zeros.
            return None
        if [row[:3] for row in rows] != [[file.path, file.size, file.stamp] for file in files]:
            return None
        return [self._restore(row[3:]) for row in rows]

    def append(self, number: int, files: list[File], answers: list[AnyRow]) -> None:
        """Write down an answered request. Raises OSError if the disk is full; nothing before it is lost then."""
        rows = [(file.path, file.size, file.stamp, *answer) for file, answer in zip(files, answers, strict=True)]
        self._append(json.dumps([number, rows], separators=(",", ":")).encode())

    def append_inode(self, inode: int) -> None:
        """Write down that the file of this inode is about to become the output. Raises OSError if the disk is full."""
        self._append(_INODE_START + str(inode).encode() + b"}")

    @property
    def has_come_to_end(self) -> bool:
        """Whether an earlier run had answered everything, and was about to have the output take its place."""
        return self._inode is not None

    def has_written_output(self) -> bool:
        """Whether the output in its place is what this journal's run was killed at the end of writing."""
        try:
            return self._inode == self.out.stat().st_ino
        except OSError:
            return False

    def _append(self, line: bytes) -> None:
        self._file.seek(0, os.SEEK_END)
        self._file.write(line + b"\n")
        self._file.flush()

    def _rows(self, number: int) -> list[list[Any]]:
        """Path, size, modification time or ETag, and the fields of the answer, of each file of a request."""
        self._file.seek(self._offsets[number])
        rows: list[list[Any]] = json.loads(self._file.readline())[1]
        return rows

    def remove(self) -> None:
        """Delete it, once the output is there."""
        self.path.unlink()

    def close(self) -> None:
        """Let go of the lock."""
        # After a full disk there may be a line in the buffer that cannot be written; what counts was flushed.
        with suppress(OSError):
            self._file.close()


def hold(out: Path, notify: Callable[[str], None] = lambda _: None) -> Any:  # noqa: ANN401 - as below
    """Lock an output that is written without a journal, as long as the file that is returned is open.

    Args:
        out: the output.
        notify: told in one line if the file system offers no locks.

    Raises:
        UserError: the folder cannot be written, another run holds the output, or left a journal of it unfinished.
    """
    path = journal_of(out)
    file = _open_locked(path, out, notify)
    line = file.readline()
    if file.readline() or not _is_holder(line):
        file.close()
        raise UserError(f"{path} is of an unfinished run: repeat its command to finish it, or choose another --out")
    file.seek(0)
    file.truncate(0)
    file.write(_holder_line())
    file.flush()
    return file


def _open_locked(path: Path, out: Path, notify: Callable[[str], None]) -> Any:  # noqa: ANN401 - io.BufferedRandom has no public name in typing
    """Open and lock the journal of an output."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; choose another --out") from None
        file = os.fdopen(descriptor, "r+b")
        try:
            is_locked = try_lock(descriptor)
        except HeldError:
            holder = _holder(file)
            file.close()
            raise UserError(
                f"another digits-batch{holder} is writing {out}; wait for it or choose another --out"
            ) from None
        except OSError as error:
            file.close()
            raise UserError(f"cannot lock {path}: {error.strerror}; choose another --out") from None
        if not is_locked:
            notify(
                f"the file system of {path} offers no locks: see to it that no other digits-batch writes {out} at the "
                "same time"
            )
            return file
        # Whoever held it until now may have finished, and removed it between the two calls.
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return file
        file.close()


def _is_holder(line: bytes) -> bool:
    """Whether a first line is a holder's, or what a power cut leaves of one: a part of it, or zeros."""
    return line.startswith(_HOLDER_START) or _HOLDER_START.startswith(line.strip(b"\0"))


def _number(line: bytes) -> int | None:
    """The request's number of a whole line, None of another."""
    if not (line.startswith(b"[") and line.endswith(b"]]]\n")):
        return None
    digits = line[1 : line.find(b",")]
    return int(digits) if digits.isdigit() else None


def _inode(line: bytes) -> int | None:
    """The inode of a line that tells one, None of another."""
    if not (line.startswith(_INODE_START) and line.endswith(b"}\n")):
        return None
    digits = line[len(_INODE_START) : -2]
    return int(digits) if digits.isdigit() else None


def _holder_line() -> bytes:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    holder = {"process": os.getpid(), "host": socket.gethostname()[:60], "since": since}
    return json.dumps(holder).encode()[: _HOLDER_BYTES - 1].ljust(_HOLDER_BYTES - 1) + b"\n"


def _holder(file: IO[bytes]) -> str:
    """Who a journal's first line names, for people; nothing where it says nothing."""
    try:
        # What is locked over SMB cannot even be read.
        holder = json.loads(file.readline())
        return f" (process {holder['process']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _difference(found: bytes, header: bytes) -> str:
    """Which settings of two headers differ, for people."""
    try:
        left, right = json.loads(found), json.loads(header)
        names = [name for name in right if left.get(name) != right[name]]
    except (ValueError, AttributeError):
        return "it is no journal"
    return ", ".join(f"{name} was {left.get(name)}" for name in names)
