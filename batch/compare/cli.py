"""digits-batch compare: what changed between two tables of the same files.

Imports nothing slow on top: `--help` should answer at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batch import flags
from batch.stores.urls import is_url
from batch.terminal.ending import EXIT_INTERRUPTED, EXIT_NOT_FINISHED, end
from batch.terminal.streams import may_be_lost
from exporter.command import UserError, VersionOption, require_extra

if TYPE_CHECKING:
    from batch.compare.comparison import Comparison

NAME = "compare"
PROGRAM = f"digits-batch {NAME}"
_TABLES = "Tables"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Old = Annotated[
    str,
    typer.Argument(metavar="OLD", help="A table of digits-batch: .csv, .jsonl or .parquet.", show_default=False),
]
New = Annotated[
    str,
    typer.Argument(
        metavar="NEW",
        help="Another one of the same files, in the same form or another; its rows may be in another order.",
        show_default=False,
    ),
]
Changes = Annotated[
    Path | None, flags.option(_TABLES, "--out", "Write all changed rows to this CSV.", metavar="FILE.csv")
]
Sheet = Annotated[
    Path | None,
    flags.option(
        _TABLES,
        "--sheet",
        "Draw the most confident changes into this PNG, each picture with both answers. Needs Pillow and NumPy.",
        metavar="FILE.png",
    ),
]
Force = Annotated[bool, flags.option(_TABLES, "--force", "Overwrite the files of --out and --sheet.")]


@app.command(name=NAME)
def compare(
    *,
    old: Old,
    new: New,
    truth: flags.Truth = None,
    out: Changes = None,
    sheet: Sheet = None,
    force: Force = False,
    bytes_column: flags.BytesColumn = None,
    id_column: flags.IdColumn = None,
    version: VersionOption = False,  # noqa: ARG001 - answered before the command runs
) -> None:
    """Tell which rows changed from table OLD to table NEW, by confidence, and with --truth whether for the better.

    Rows are matched by their paths. To predict a folder that is called compare, name it ./compare.

    Exit codes: 0 compared, with changes or without; 2 wrong usage, or nothing in common; 3 a file is not written;
    130 interrupted.
    """
    from batch.compare.changes import check_place
    from batch.compare.comparison import compare
    from batch.compare.display import print_comparison
    from batch.terminal.screen import Screen

    for table in (old, new):
        if is_url(table):
            raise UserError(f"{table} is in an object store: copy it to this machine, and compare the copy")
    inputs = [Path(name) for name in (old, new, truth) if name is not None]
    if out is not None:
        check_place("--out", out, ".csv", inputs, force=force)
    if sheet is not None:
        check_place("--sheet", sheet, ".png", inputs, force=force)
        require_extra("train", "PIL", "numpy")
    try:
        found = compare(Path(old), Path(new), truth)
        with may_be_lost(1):
            print_comparison(Screen(), found, old, new)
        if out is not None:
            _write(found, out)
        if sheet is not None:
            _draw(found, sheet, bytes_column, id_column)
    except KeyboardInterrupt:
        end(PROGRAM, "interrupted", EXIT_INTERRUPTED)


def _write(found: "Comparison", out: Path) -> None:
    from batch.compare.changes import write_changes

    try:
        write_changes(out, found.changes, with_truth=found.against is not None)
    except OSError as error:
        end(PROGRAM, f"cannot write {out}: {error.strerror}", EXIT_NOT_FINISHED)
    _say(f"{out}: all {len(found.changes):,} changed rows")


def _draw(found: "Comparison", sheet: Path, bytes_column: str | None, id_column: str | None) -> None:
    from batch.compare.sheet import draw_changes
    from batch.files.walk import Walk
    from batch.stores.faults import StoreError

    try:
        shown = draw_changes(sheet, found, Walk((), bytes_column=bytes_column, id_column=id_column))
    except StoreError as error:
        end(PROGRAM, f"{sheet} is not written: {error}", EXIT_NOT_FINISHED)
    except OSError as error:
        end(PROGRAM, f"cannot write {sheet}: {error.strerror}", EXIT_NOT_FINISHED)
    _say(f"{sheet}: {shown:,} of {len(found.changes):,} changes; a cross for a picture that is not there")


def _say(text: str) -> None:
    from batch.terminal.screen import Screen, print_notice

    with may_be_lost(1):
        print_notice(Screen(), text)
