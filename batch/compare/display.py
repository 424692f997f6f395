"""What a person sees of a comparison: counts, confidence, the most confident changes, and which side is right."""

from collections.abc import Iterator
from itertools import pairwise

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch.compare.comparison import BANDS, Comparison, Part, Side
from batch.terminal.screen import print_notice, printable

_SHOWN = 20  # changes
_NAMED = 5  # paths of one table only


def print_comparison(console: Console, found: Comparison, old: str, new: str) -> None:
    """Print a comparison.

    Args:
        console: where to.
        found: what is printed.
        old: name of the old table.
        new: name of the new one.
    """
    _print_counts(console, found, f"{old} -> {new}")
    for line in _facts(found, old, new):
        print_notice(console, line)
    if found.changed:
        _print_bands(console, found)
    if found.changes:
        _print_changes(console, found)
    if found.against is not None:
        _print_truth(console, found)


def _print_counts(console: Console, found: Comparison, title: str) -> None:
    table = _table(title, "rows in both tables", "rows", "share")
    for name, count in (
        ("same answer", found.same),
        ("another answer", found.changed),
        ("answer became an error", found.failed),
        ("error became an answer", found.recovered),
        ("error in both", found.errors),
    ):
        table.add_row(name, f"{count:,}", f"{count / found.rows:.2%}")
    table.add_section()
    table.add_row("all", f"{found.rows:,}", "")
    console.print(table)


def _facts(found: Comparison, old: str, new: str) -> Iterator[str]:
    yield f"mean confidence {_mean(found.old)} -> {_mean(found.new)}"
    yield f"model version {_versions(found.old)} -> {_versions(found.new)}"
    for name, part in ((old, found.old), (new, found.new)):
        if part.alone:
            more = len(part.alone) - _NAMED
            named = ", ".join(part.alone[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
            yield f"only in {name}, not compared: {len(part.alone):,}: {named}"
        if part.repeated:
            yield f"in {name} more than once, only the first row compared: {part.repeated:,} further rows"


def _mean(part: Part) -> str:
    return "unknown" if part.mean_confidence is None else f"{part.mean_confidence:.4f}"


def _versions(part: Part) -> str:
    if len(part.versions) < 2:
        return next(iter(part.versions), "unknown")
    return ", ".join(f"{version} ({count:,} rows)" for version, count in sorted(part.versions.items()))


def _print_bands(console: Console, found: Comparison) -> None:
    """How sure both tables were of what they changed."""
    names = _band_names()
    table = _table("rows with another answer, by confidence", "old \\ new", *names)
    for row, name in enumerate(names):
        table.add_row(name, *(f"{found.bands[row, column]:,}" for column in range(len(names))))
    console.print(table)


def _band_names() -> list[str]:
    """What the bands of confidence are called, from the lowest."""
    edges = (0, *BANDS, 1)
    return [f"{low:g}-{high:g}" for low, high in pairwise(edges)]


def _print_changes(console: Console, found: Comparison) -> None:
    shown = found.changes[:_SHOWN]
    count = len(found.changes)
    extent = "" if count == len(shown) else f", {len(shown)} of {count:,}"
    table = Table(title=f"changes, the most confident first{extent}", title_justify="left")
    for name in ("path", "old", "new"):
        table.add_column(name, overflow="fold")
    if found.against is not None:
        table.add_column("truth")
        table.add_column("outcome")
    for change in shown:
        cells = [Text(printable(change.path)), Text(described(change.old)), Text(described(change.new))]
        if found.against is not None:
            cells += [Text(change.truth), Text(change.outcome)]
        table.add_row(*cells)
    console.print(table)


def described(side: Side) -> str:
    """An answer with its confidence, or an error."""
    return side.error or f"{side.answer} ({side.confidence})"


def _print_truth(console: Console, found: Comparison) -> None:
    against = found.against
    if against is None:
        return
    unit = "images" if found.is_digits else "fields"
    for name, score in (("old", against.old), ("new", against.new)):
        print_notice(console, f"{name} accuracy {score.describe()}: of {score.images:,} {unit} {score.right:,} right")
    changes = against.better + against.worse + against.neither
    print_notice(
        console,
        f"of {changes:,} changes with a label, for the better {against.better:,}, for the worse {against.worse:,}, "
        f"neither {against.neither:,}",
    )
    p = "below 0.0001" if against.p < 0.0001 else f"{against.p:.4f}"
    verdict = (
        "the difference cannot be told from chance"
        if against.p >= 0.05
        else f"the {'new' if against.better > against.worse else 'old'} table is better"
    )
    print_notice(console, f"McNemar's exact test: p {p}, {verdict}")
    if against.unlabelled:
        print_notice(console, f"without a label, not counted: {against.unlabelled:,} files")


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=Text(printable(title), style="table.title"), title_justify="left")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
