"""What is answered, on disk, so that each file gets one row across restarts and memory stays flat.

`OUT.watch` is an SQLite database. One transaction says both which files are answered and how long the table is with
their rows. Rows are appended and synced before it: what the table has beyond that length was not committed, and is cut
off at the next start.
"""

import errno
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from exporter.command import UserError

_FORMAT = 1
_APPLICATION = 0x44_49_47_57  # "DIGW", so that another program's database is not taken for a state
_SCHEMA = f"""
    PRAGMA application_id = {_APPLICATION};
    CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS answered (
        key BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, failed INTEGER NOT NULL, missing REAL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS outcome ON answered (failed);
    CREATE TABLE IF NOT EXISTS rows (number INTEGER PRIMARY KEY, row TEXT NOT NULL);
"""


_NOTHING: Mapping[str, object] = MappingProxyType({})


class Known(NamedTuple):
    """A file whose row is written.

    Attributes:
        key: its name across restarts, see `Root.key_of`.
        size: in bytes.
        mtime_ns: its modification time, in nanoseconds.
        failed: whether its row, or that of one of its pages, carries an error.
    """

    key: bytes
    size: int
    mtime_ns: int
    failed: bool


@dataclass(frozen=True)
class Part:
    """The part of the table that is being written, or the last one.

    Attributes:
        name: of its file, beside the state; empty where none is open.
        kind: of the roll that named it.
        period: of its rows.
        number: how many parts were begun.
        length: in bytes, of committed rows.
        rows: how many.
        tail: the last bytes before `length`, in hexadecimal: a table that another program wrote ends otherwise.
        inode: of a Parquet file that is about to take its place; 0 before.
    """

    name: str = ""
    kind: str = ""
    period: str = ""
    number: int = 0
    length: int = 0
    rows: int = 0
    tail: str = ""
    inode: int = 0


def state_of(out: Path) -> Path:
    """Where the state of a watched table is."""
    return out.with_name(out.name + ".watch")


class State:
    """The state of one table, which the caller has locked.

    Args:
        path: of the database; made if it is not there.
        is_synced: whether the file system offers syncing.

    Raises:
        UserError: it cannot be opened, or is no state.

    Methods that write raise OSError if the disk is full or fails.
    """

    def __init__(self, path: Path, *, is_synced: bool = True) -> None:
        self.path = path
        self._db = self._open("FULL" if is_synced else "OFF")

    def _open(self, synchronous: str) -> sqlite3.Connection:
        # Without SQLite's own locks, which some network shares lack: the table's lock keeps others away. With exclusive
        # access the write-ahead log needs no shared memory either, and a commit takes one sync.
        uri = f"file:{quote(os.fsencode(self.path.absolute()))}?vfs=unix-none"
        db = None
        try:
            db = sqlite3.connect(uri, uri=True, isolation_level=None)
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {synchronous}")
            db.execute("PRAGMA cache_size = -16384")  # KiB
            application = db.execute("PRAGMA application_id").fetchone()[0]
            if application != _APPLICATION and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise sqlite3.DatabaseError("it is another program's database")
            db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            if db is not None:
                db.close()
            raise UserError(
                f"{self.path}, which says what is answered, cannot be used: {error}; make it writable, or choose "
                "another --out"
            ) from None
        return db

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def knows(self, key: bytes, size: int, mtime_ns: int) -> bool:
        """Whether a file is answered as it is now."""
        found = self._db.execute("SELECT size, mtime_ns FROM answered WHERE key = ?", (key,)).fetchone()
        return bool(found == (size, mtime_ns))

    def fact(self, name: str) -> Any:  # noqa: ANN401 - a JSON value
        """What was noted under a name; None for nothing."""
        found = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])

    def note(self, **facts: object) -> None:
        """Note JSON values by name."""
        with self._transaction():
            self._note(facts)

    @property
    def part(self) -> Part:
        """The part that was committed last."""
        return Part(**(self.fact("part") or {}))

    def commit(
        self, part: Part, files: Sequence[Known], facts: Mapping[str, object] = _NOTHING, rows: Iterable[object] = ()
    ) -> None:
        """Make it last that files are answered, and how far the table has their rows.

        Args:
            part: the part with these rows.
            files: those answered.
            facts: JSON values by name, to be noted with it.
            rows: JSON values that are kept here until the part is complete; none where the table has them.
        """
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO answered (key, size, mtime_ns, failed) VALUES (?, ?, ?, ?)", files
            )
            self._db.executemany("INSERT INTO rows (row) VALUES (?)", ((json.dumps(row),) for row in rows))
            self._note({"part": asdict(part), **facts})

    def rows(self) -> Iterator[Any]:
        """The rows that are kept here, oldest first."""
        for (row,) in self._db.execute("SELECT row FROM rows ORDER BY number"):
            yield json.loads(row)

    def end_part(self, part: Part) -> None:
        """Note that a part is complete, and drop the rows that were kept for it."""
        with self._transaction():
            self._db.execute("DELETE FROM rows")
            self._note({"part": asdict(part)})

    def after(self, key: bytes, count: int, *, failed: bool | None = None) -> list[tuple[Known, float | None]]:
        """The next files by key, each with the time since when it is missing.

        Args:
            key: the files come after it.
            count: how many at most.
            failed: only files with this outcome; None for any.
        """
        outcome = "" if failed is None else f"failed = {int(failed)} AND "
        found = self._db.execute(
            f"SELECT key, size, mtime_ns, failed, missing FROM answered WHERE {outcome}key > ? ORDER BY key LIMIT ?",  # noqa: S608 - a number of ours
            (key, count),
        )
        return [(Known(key, size, mtime_ns, bool(failed)), missing) for key, size, mtime_ns, failed, missing in found]

    def mark_missing(self, key: bytes, since: float | None) -> None:
        """Note since when a file is missing, seconds of `time.time()`; None when it is there again."""
        with self._transaction():
            self._db.execute("UPDATE answered SET missing = ? WHERE key = ?", (since, key))

    def forget(self, keys: Iterable[bytes]) -> None:
        """Forget files that are not there any more."""
        with self._transaction():
            self._db.executemany("DELETE FROM answered WHERE key = ?", ((key,) for key in keys))

    def _note(self, facts: Mapping[str, object]) -> None:
        values = ((name, json.dumps(value)) for name, value in facts.items())
        self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", values)

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db, self.path)


class _Transaction:
    """All that is written within it lasts when it is left, or nothing of it."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    def __enter__(self) -> None:
        self._run("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if kind is None:
            self._run("COMMIT")
            return
        if self._db.in_transaction:
            self._db.rollback()
        if isinstance(error, sqlite3.Error):
            raise self._fault(error) from None

    def _run(self, statement: str) -> None:
        try:
            self._db.execute(statement)
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.rollback()
            raise self._fault(error) from None

    def _fault(self, error: sqlite3.Error) -> OSError:
        is_full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        code = errno.ENOSPC if is_full else errno.EIO
        return OSError(code, os.strerror(code) if is_full else str(error), str(self._path))
