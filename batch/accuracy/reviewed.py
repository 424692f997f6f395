"""The file that digits-review writes, as labels: of a path, the last line counts."""

import os
from collections.abc import Iterable, Iterator
from itertools import chain

from exporter.command import UserError
from exporter.label_file import NONE, UNSURE

ENDING = ".review.csv"
COLUMNS = ("path", "was", "confidence", "label", "by", "when")
"""Its header. `was` is the table's answer, empty with an error; `when` is in UTC. An empty label takes one back."""

Line = tuple[int, list[str]]
"""The number of a line, and its columns."""


def plain(rows: Iterable[Line], name: str) -> Iterator[Line]:
    """Rows of a labels file as path and label, whether it is one of two columns or one of digits-review.

    Pictures without a digit are left out, and those that a person was unsure of.

    Raises:
        UserError: a line of digits-review has not its columns.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    if tuple(first[1]) != COLUMNS:
        for line, row in chain((first,), rows):
            if len(row) != 2 or row[1].strip() != NONE:
                yield line, row
        return
    latest: dict[str, Line] = {}
    for line, row in rows:
        if len(row) != len(COLUMNS):
            raise UserError(f"{name}, line {line}: wanted the columns {','.join(COLUMNS)}; found {len(row)}")
        found = dict(zip(COLUMNS, row, strict=True))
        latest[os.path.normpath(found["path"])] = line, [found["path"], found["label"]]
    yield from (found for found in latest.values() if found[1][1] not in ("", NONE, UNSURE))
