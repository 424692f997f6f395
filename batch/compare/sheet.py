"""The contact sheet of the most confident changes. It needs NumPy and Pillow; the rest of the comparison does not."""

import contextlib
from pathlib import Path

from batch.accuracy.sheet import Lines, sheet, short_paths
from batch.accuracy.thumbnail import SQUARE, WIDE, member_thumbnails, thumbnail
from batch.compare.comparison import Change, Comparison
from batch.compare.display import described
from batch.files.walk import Walk

_COLUMNS, _WIDE_COLUMNS = 8, 3
_MOST = 48  # pictures


def draw_changes(path: Path, found: Comparison, what: Walk) -> int:
    """Draw the sheet over another one, and return how many changes it shows.

    Args:
        path: of the PNG.
        found: the comparison.
        what: says which columns of tables of images.

    Raises:
        OSError: it cannot be written.
        StoreError: pictures are in a store, which failed.
    """
    view, columns = (SQUARE, _COLUMNS) if found.is_digits else (WIDE, _WIDE_COLUMNS)
    shown = found.changes[:_MOST]
    paths = [change.path for change in shown]
    members = member_thumbnails(paths, what, lambda _: view)
    tiles = [thumbnail(path, view) if (tile := members.get(path)) is None else tile for path in paths]
    lines = [_lines(change, note) for change, note in zip(shown, short_paths(paths), strict=True)]
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        sheet(_title(found, len(shown)), tiles, lines, view, columns).save(temporary, "PNG")
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return len(shown)


def _title(found: Comparison, shown: int) -> str:
    count = len(found.changes)
    title = f"{count:,} of {found.rows:,} rows changed, the most confident first"
    return title if shown == count else f"{title}: 1 to {shown}"


def _lines(change: Change, note: str) -> Lines:
    truth = f"is {change.truth}: {change.outcome}" if change.truth else ""
    return f"{described(change.old)} -> {described(change.new)}", truth, note
