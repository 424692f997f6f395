"""Files of labels, which people write by hand, with a spreadsheet or with digits-review: CSV of path and label.

`digits-batch --truth` and `digits-train adapt --labels` read the same files; what both need of them is here.
"""

import csv
import os
from collections.abc import Iterable, Iterator
from typing import Final

from exporter.command import UserError

NONE: Final = "none"
"""The label of a picture without a digit."""
UNSURE: Final = "unsure"
"""The label of a picture that a person could not read."""

_SHOWN = 60  # characters of a stranger's text in a message


def rows(lines: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, with the line that each begins in.

    Raises:
        UserError: the file called `name` is no CSV.
    """
    reader = csv.reader(lines, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{name}, line {line}: no CSV: {error}") from None


def is_heading(path: str, label: str) -> bool:
    """Tell the names of two columns from a first line with a wrong label."""
    letters = label.replace("_", "").replace(" ", "")
    return letters.isalpha() and not os.path.splitext(path)[1]  # noqa: PTH122 - a text


def excerpt(text: str) -> str:
    """A stranger's text in a message of one line."""
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN // 3]}...{text[-_SHOWN * 2 // 3 :]}")
