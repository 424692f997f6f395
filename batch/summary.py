"""What a run found, for people and for programs; and how many errors are too many."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batch.client.answers import Row
from batch.files.skipped import Skipped
from exporter.command import UserError

_FEWEST = 100  # rows before a share of errors says anything


@dataclass
class Summary:
    """What a run found.

    Attributes:
        digits: rows per digit; of fields of several, rows per number of digits.
        confidence: sum of the confidences of these rows.
        errors: rows per error text.
        versions: rows per model version that answered.
        resumed: rows that an earlier run had answered.
        retries: requests that were sent again.
        splits: requests that were halved, because the server took them together for no answer.
        unread_pages: pages after the first of TIFFs that were taken for one picture each; those of this run's requests.
        seconds: wall time.
    """

    digits: Counter[int] = field(default_factory=Counter)
    confidence: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    errors: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    retries: int = 0
    splits: int = 0
    unread_pages: int = 0
    seconds: float = 0.0

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.digits.total() + self.errors.total()

    @property
    def rate(self) -> float:
        """Images/s, without those that an earlier run had answered."""
        return (self.rows - self.resumed) / max(self.seconds, 1e-9)

    def merge(self, other: "Summary") -> None:
        """Count what another run found, but for its time."""
        for digit, confidence in other.confidence.items():
            self.confidence[digit] += confidence
        self.digits.update(other.digits)
        self.errors.update(other.errors)
        self.versions.update(other.versions)
        self.resumed += other.resumed
        self.retries += other.retries
        self.splits += other.splits
        self.unread_pages += other.unread_pages

    def add(self, answers: Sequence[Row]) -> None:
        """Count the answers of a request."""
        digits, confidence, versions = self.digits, self.confidence, self.versions
        for answer in answers:
            if answer.error:
                self.errors[answer.error] += 1
            else:
                group = answer.group
                digits[group] += 1
                confidence[group] += float(answer.confidence)
            if answer.version:
                versions[answer.version] += 1


@dataclass(frozen=True)
class ErrorLimit:
    """How many error rows are too many: more than a number, or than a share of the rows once there are a hundred."""

    most: float
    is_share: bool = False

    @classmethod
    def parse(cls, text: str) -> "ErrorLimit":
        """Read `N` or `P%`. Raises UserError for anything else."""
        number = text.removesuffix("%")
        is_share = number != text
        try:
            most = float(number) if is_share else int(number)
        except ValueError:
            most = -1
        if not 0 <= most <= (100 if is_share else float("inf")):
            raise UserError(f"--max-errors {text}: give a number of rows, such as 50, or a share of them, such as 5%")
        return cls(most / 100 if is_share else most, is_share)

    def is_passed(self, summary: Summary) -> bool:
        """Whether a run has found too many."""
        errors = summary.errors.total()
        if not self.is_share:
            return errors > self.most
        return summary.rows >= _FEWEST and errors > self.most * summary.rows


def check_summary(summary: Path, out: Path) -> None:
    """Raise UserError for what would keep a summary from being written: before the run, not after it."""
    if os.path.realpath(summary) == os.path.realpath(out):
        raise UserError(f"--summary {summary} is the table itself: choose another file")
    if not summary.parent.is_dir():
        raise UserError(f"--summary {summary}: there is no folder {summary.parent}")
    if summary.is_dir():
        raise UserError(f"--summary {summary} is a folder: name a file in it")


def write_summary(path: Path, summary: Summary, skipped: Skipped, settings: dict[str, object]) -> None:
    """Write a summary as JSON; times in seconds, rates in images/s. Raises OSError."""
    figures = {
        "rows": summary.rows,
        "digits": {str(digit): summary.digits[digit] for digit in sorted(summary.digits)},
        "mean_confidence": {
            str(digit): round(summary.confidence[digit] / count, 4) for digit, count in sorted(summary.digits.items())
        },
        "errors": dict(summary.errors.most_common()),
        "model_versions": dict(summary.versions.most_common()),
        "resumed_rows": summary.resumed,
        "retries": summary.retries,
        "split_requests": summary.splits,
        "seconds": round(summary.seconds, 3),
        "images_per_second": round(summary.rate, 1),
        "passed_over": {
            "other_images": dict(skipped.other_images),
            "unlisted_folders": skipped.folders,
            "link_loops": skipped.loops,
            "folders_visited_before": skipped.repeats,
            "links_not_followed": skipped.links,
            "special_files": skipped.specials,
            "folders_not_walked": skipped.unwalked,
            "archives_not_opened": skipped.unopened,
            "archives_not_read_to_the_end": skipped.archives,
            "links_in_archives": skipped.archive_links,
            "members_without_bytes": dict(skipped.members),
            "pages_of_misnamed_tiffs": summary.unread_pages,
        },
        "settings": settings,
    }
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
