"""What is watched and where the rows go."""

import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

from batch.asked import Asked
from batch.disk.long_paths import stat_path
from batch.files.walk import STANDARD_INPUT
from batch.table.output import STANDARD_OUTPUT, check_output
from exporter.command import UserError

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
class Watch(Asked):
    """What a watcher is to do.

    Attributes:
        settle: seconds for which a file must stay as it is before it counts.
        roll: when a part ends.
        move_done: where files go whose row is written; None leaves them.
        move_failed: where they go if their row carries an error.
    """

    settle: float = 2.0
    roll: Roll = field(default_factory=Roll)
    move_done: Path | None = None
    move_failed: Path | None = None

    def check(self) -> None:
        """Raise UserError, naming the option, for what cannot be watched or written."""
        for path in self.walk.paths:
            if path == STANDARD_INPUT:
                raise UserError("--watch watches folders, not a list on standard input: name a folder")
        self.walk.check()
        for path in self.walk.paths:
            if not stat.S_ISDIR(stat_path(path).st_mode):
                raise UserError(f"--watch watches folders, and {path} is a file: name its folder")
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

    def _check_folder(self, flag: str, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{flag} {folder}: {error.strerror}; choose another folder") from None
        for path in self.walk.paths:
            # A folder in the watched one is left out of the watch; one around it would be left out with it.
            if Path(path).resolve().is_relative_to(folder.resolve()):
                raise UserError(f"{flag} {folder} holds the watched folder {path}: choose a folder beside or in it")
