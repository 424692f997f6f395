"""What a person sees of a run: progress while it goes, a table at its end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch.accuracy.tally import Tally
from batch.client.answers import Row
from batch.engine import Listener
from batch.files.file import File
from batch.files.skipped import Skipped
from batch.formats.kinds import EXTRA, HEIC, can_read
from batch.summary import Summary
from batch.terminal.bar import Figure, count_of, errors_of, rate_of, show_bar, time_left
from batch.terminal.rate import Rate
from batch.terminal.screen import print_notice, printable
from exporter.command import how_to_install
from exporter.contract import CLASSES, UNSUPPORTED

_MOST_LINES = 5  # of one kind
_RATE_OVER_S = 5.0


@contextmanager
def progress(count: Callable[[], int | None] | None) -> Iterator[Listener[Any]]:
    """Show images done, images/s, errors and time left, on standard error, a terminal.

    Args:
        count: how many images there will be. It runs beside the work, which need not wait for it. None where nobody
            can know, as when it returns None.
    """
    counter = _Counter()
    if count is not None:
        threading.Thread(target=lambda: counter.expect(count()), daemon=True).start()
    with show_bar(counter):
        yield counter


class _Counter:
    """Counts rows for a bar."""

    def __init__(self) -> None:
        self.done = 0
        self.total: int | None = None
        self._errors = 0
        self._rate = Rate(_RATE_OVER_S)

    def expect(self, total: int | None) -> None:
        self.total = total

    def add(self, _files: list[File], answers: list[Row]) -> None:
        self.done += len(answers)
        self._errors += sum(1 for answer in answers if answer.error)
        self._rate.add(self.done)

    def start_over(self) -> None:
        self.done = self._errors = 0
        self._rate.start_over()

    def figures(self) -> list[Figure]:
        left = None if self.total is None else self._rate.seconds_left(self.total - self.done)
        return [
            count_of(self.done, self.total, "images"),
            *rate_of(self._rate.a_second(), "images"),
            errors_of(self._errors),
            *time_left(left),
        ]


def print_summary(
    console: Console, summary: Summary, skipped: Skipped, out: str, heads: tuple[str, str] = ("answer", "images")
) -> None:
    """Print how many of each digit with their mean confidence, the errors by reason, and what was passed over.

    Args:
        console: where to.
        summary: of the run.
        skipped: what its walk passed over.
        out: its table.
        heads: what the summary counts by, and what it counts.
    """
    # Texts from elsewhere hold anything: as in print_notice, no markup.
    table = Table(title=Text(printable(out), style="table.title"), title_justify="left")
    table.add_column(heads[0])
    table.add_column(heads[1], justify="right")
    table.add_column("mean confidence", justify="right")
    for digit, count in sorted(summary.digits.items()):
        table.add_row(str(digit), f"{count:,}", f"{summary.confidence[digit] / count:.3f}")
    for error, count in summary.errors.most_common():
        table.add_row(Text(f"error: {error}"), f"{count:,}", "", style="red")
    table.add_section()
    answered = summary.digits.total()
    mean = f"{sum(summary.confidence.values()) / answered:.3f}" if answered else ""
    table.add_row("all", f"{summary.rows:,}", mean)
    console.print(table)

    asked = summary.rows - summary.resumed
    versions = ", ".join(summary.versions) or "none"
    facts = [f"{asked:,} {heads[1]} in {summary.seconds:.1f} s: {summary.rate:,.0f} {heads[1]}/s"]
    facts.append(f"model version {versions}")
    if summary.resumed:
        facts.append(f"{summary.resumed:,} rows from the run before")
    if summary.retries:
        facts.append(f"{summary.retries:,} requests sent again")
    if summary.splits:
        facts.append(f"{summary.splits:,} halved")
    print_notice(console, "; ".join(facts))
    print_passed_over(console, skipped)
    if summary.unread_pages:
        print_notice(
            console,
            f"not read, further pages of TIFFs that are named .png or .jpg: {summary.unread_pages:,}; name these files "
            ".tif to get a row for each page",
        )
    if summary.errors[UNSUPPORTED]:
        print_notice(console, f"{UNSUPPORTED}: {summary.errors[UNSUPPORTED]:,}; {_how_to_support()}")


def print_passed_over(console: Console, skipped: Skipped) -> None:
    """Print what a walk passed over, and the user should know."""
    for line in passed_over(skipped):
        print_notice(console, line)


def _how_to_support() -> str:
    """What to do about formats that are not supported."""
    if can_read(HEIC):
        return "Pillow cannot read what these files hold: write them anew as PNG"
    lacking = "for HEIC, pillow-heif" if can_read("TIFF") else "Pillow"
    return f"{lacking} is not installed: {how_to_install(EXTRA)}, then run with --force"


def print_accuracy(console: Console, tally: Tally) -> None:
    """Print how many answers are right, in all and for each digit, with what it is taken for most often."""
    score = tally.score
    table = Table(title="against the truth", title_justify="left")
    for name in ("digit", "images", "right", "accuracy", "95% interval"):
        table.add_column(name, justify="right")
    table.add_column("most often taken for")
    for digit in range(CLASSES):
        of_digit = tally.score_of(digit)
        if of_digit.accuracy is None:
            table.add_row(str(digit), "0", style="dim")
            continue
        low, high = of_digit.interval
        other = tally.most_confused(digit)
        table.add_row(
            str(digit),
            f"{of_digit.images:,}",
            f"{of_digit.right:,}",
            f"{of_digit.accuracy:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{other[0]} ({other[1]:,} of {of_digit.images:,})" if other else "",
        )
    console.print(table)
    wrong = score.images - score.right - tally.errors
    counts = f"of {score.images:,} images {score.right:,} right, {wrong:,} wrong, {tally.errors:,} with an error"
    print_notice(console, f"accuracy {score.describe()}: {counts}")
    if tally.unlabelled:
        print_notice(console, f"without a label, not counted: {tally.unlabelled:,} files")


def passed_over(skipped: Skipped) -> Iterator[str]:
    """A line for each kind of thing that a walk passed over."""
    if skipped.other_images:
        kinds = ", ".join(f"{count:,} {ending}" for ending, count in skipped.other_images.most_common())
        yield f"passed over, images that are no PNGs: {kinds}"
    if skipped.specials:
        yield f"passed over, neither files nor folders: {skipped.specials:,}"
    if skipped.unwalked:
        yield f"passed over, folders in folders: {skipped.unwalked:,}"
    if skipped.links:
        yield f"passed over, symbolic links: {skipped.links:,}"
    yield from _some("passed over, a link back to a folder above it", skipped.loops)
    yield from _some("passed over, a folder that was visited already", skipped.repeats)
    if skipped.unopened:
        yield f"passed over, archives: {skipped.unopened:,}; name them, or give a --glob such as '*.tar'"
    if skipped.archive_links:
        yield f"passed over, links in archives: {skipped.archive_links:,}"
    for reason, count in skipped.members.most_common():
        yield f"in archives, {reason}: {count:,}"
    for archive, reason in skipped.archives.items():
        yield f"{archive} {reason}; what came before is in the table"
    for folder, reason in skipped.folders.items():
        yield f"could not be listed, its files are missing: {folder} ({reason})"


def _some(what: str, paths: list[str]) -> Iterator[str]:
    """A line for each of the first paths, and how many more there are."""
    for path in paths[:_MOST_LINES]:
        yield f"{what}: {path}"
    if len(paths) > _MOST_LINES:
        yield f"{what}: {len(paths) - _MOST_LINES:,} more, which --summary lists"
