"""What is watched and where the rows go."""

import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

from batch.archives.kinds import is_archive, is_for_archives
from batch.client.security import Security
from batch.client.tensors import Target
from batch.disk.long_paths import stat_path
from batch.files.walk import DEFAULT_BATCH_SIZE, STANDARD_INPUT, Walk
from batch.table.output import STANDARD_OUTPUT, Form, check_output
from exporter.command import UserError
from exporter.contract import MODEL_NAME, SIGNATURE

_PERIODS = {"hourly": "%Y-%m-%dT%H", "daily": "%Y-%m-%d"}


@dataclass(frozen=True)
class Roll:
    """When a part of the table ends and the next begins.

    Attributes:
        period: `hourly` or `daily`, by the clock of this machine; empty for neither.
        rows: most rows of a part; 0 for any number.
    """

    period: str = ""
    rows: int = 0

    @classmethod
    def parse(cls, text: str) -> "Roll":
        """Read `hourly`, `daily` or `N`. Raises UserError for anything else."""
        if text in _PERIODS:
            return cls(period=text)
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            raise UserError(f"--roll {text}: give hourly, daily, or the number of rows of a part, such as 100000")
        return cls(rows=int(text))

    @property
    def kind(self) -> str:
        """What names the parts: the period, `rows`, or nothing where there is one table that grows."""
        return self.period or ("rows" if self.rows else "")

    def now(self) -> str:
        """The period that it is now, as part of a name; later ones sort after it."""
        return time.strftime(_PERIODS[self.period]) if self.period else ""


@dataclass(frozen=True)
class Watch:
    """What a watcher is to do; the options of digits-batch by their names.

    Attributes:
        walk: the folders, the names taken in them, and whether their subfolders are watched, too.
        out: the table, or what its parts are named after.
        servers: gRPC addresses of replicas; none looks on localhost:8500, then starts the built-in server.
        security: TLS and call metadata.
        target: model, signature, version or label.
        batch_size: most images in a request.
        in_flight: requests under way; None for as many as the server takes well.
        timeout: seconds on end that the server may fail before the connection is made anew.
        form: columns of the table.
        settle: seconds for which a file must stay as it is before it counts.
        roll: when a part ends.
        move_done: where files go whose row is written; None leaves them.
        move_failed: where they go if their row carries an error.
    """

    walk: Walk
    out: Path
    servers: tuple[str, ...] = ()
    security: Security = field(default_factory=Security)
    target: Target = field(default_factory=lambda: Target(MODEL_NAME, SIGNATURE))
    batch_size: int = DEFAULT_BATCH_SIZE
    in_flight: int | None = None
    timeout: float = 60.0
    form: Form = field(default_factory=Form)
    settle: float = 2.0
    roll: Roll = field(default_factory=Roll)
    move_done: Path | None = None
    move_failed: Path | None = None

    def check(self) -> None:
        """Raise UserError, naming the option, for what cannot be watched or written."""
        self._check_walk()
        if self.out == STANDARD_OUTPUT:
            raise UserError("--watch goes on where it stopped, which --out - cannot: name a file")
        check_output(self.out)
        if self.out.suffix.lower() == ".parquet" and not self.roll.kind:
            raise UserError(
                f"--out {self.out}: a Parquet file cannot grow; add --roll, so that each part is written when it is "
                "complete, or choose .csv or .jsonl"
            )
        if not self.out.parent.is_dir():
            raise UserError(f"--out {self.out}: there is no folder {self.out.parent}")
        for flag, folder in (("--move-done", self.move_done), ("--move-failed", self.move_failed)):
            if folder is not None:
                self._check_folder(flag, folder)

    def _check_walk(self) -> None:
        if STANDARD_INPUT in self.walk.paths:
            raise UserError("--watch watches folders, not a list on standard input: name a folder")
        for glob in filter(is_for_archives, self.walk.globs):
            raise UserError(
                f"--glob {glob!r}: --watch takes no archives; run digits-batch without --watch on each one that is "
                "complete"
            )
        self.walk.check()
        for path in self.walk.paths:
            if is_archive(path) and not stat.S_ISDIR(stat_path(path).st_mode):
                raise UserError(f"--watch watches folders and takes no archives: leave out --watch for {path}")
            if not stat.S_ISDIR(stat_path(path).st_mode):
                raise UserError(f"--watch watches folders, and {path} is a file: name its folder")

    def _check_folder(self, flag: str, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{flag} {folder}: {error.strerror}; choose another folder") from None
        for path in self.walk.paths:
            # A folder in the watched one is left out of the watch; one around it would be left out with it.
            if Path(path).resolve().is_relative_to(folder.resolve()):
                raise UserError(f"{flag} {folder} holds the watched folder {path}: choose a folder beside or in it")
