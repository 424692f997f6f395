"""A contact sheet of tiles of any shape, each with three lines of text below it. Needs Pillow."""

import os
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from batch.accuracy.thumbnail import Tile, View

Lines = tuple[str, str, str]
"""What stands below a tile: what matters most, more of it, and a path."""

_GAP, _TITLE, _LINE = 12, 30, 17
_LETTER_PX = 6.36  # of the captions' font, on average
_POINTS, _TITLE_POINTS = 12, 16
_COLOURS = ("black", "#404040", "#606060")
_LEAST_WIDTH = 600  # so that the title has room


def letters(view: View) -> int:
    """How many letters a line below a tile holds."""
    return int(view.width / _LETTER_PX)


def sheet(title: str, tiles: Sequence[Tile], lines: Sequence[Lines], view: View, most_columns: int) -> Image.Image:
    """Draw tiles row by row.

    Args:
        title: one line on top.
        tiles: n of them, each uint8 [height, width, 3] of the view.
        lines: n texts; the last of each is shortened at its beginning where it is too long.
        view: how large the tiles are.
        most_columns: tiles in a row.
    """
    pitch = view.width + _GAP
    columns = min(most_columns, max(-(-_LEAST_WIDTH // pitch), len(tiles)))
    height = view.height + len(_COLOURS) * _LINE + _GAP
    size = (columns * pitch + _GAP, _TITLE + _GAP + max(1, -(-len(tiles) // columns)) * height)
    drawn = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(_POINTS)
    pen.text((_GAP, _GAP), title, fill="black", font=ImageFont.load_default(_TITLE_POINTS))
    for place, (tile, (first, second, path)) in enumerate(zip(tiles, lines, strict=True)):
        row, column = divmod(place, columns)
        left, top = _GAP + column * pitch, _TITLE + _GAP + row * height
        drawn.paste(Image.fromarray(tile), (left, top))
        texts = (first, second, _shortened(path, letters(view)))
        for line, (text, colour) in enumerate(zip(texts, _COLOURS, strict=True)):
            pen.text((left, top + view.height + 2 + line * _LINE), text, fill=colour, font=font)
    return drawn


def short_paths(paths: list[str]) -> list[str]:
    """The paths without what lies above the last folder that they share."""
    try:
        shared = os.path.dirname(os.path.commonpath([os.path.dirname(path) for path in paths]))  # noqa: PTH120 - texts
    except ValueError:
        return paths  # none, or absolute and relative ones
    return [os.path.relpath(path, shared) if shared else path for path in paths]


def _shortened(path: str, most: int) -> str:
    """A path of printable characters, of one line: its end tells more than its beginning."""
    path = "".join(character if character.isprintable() else "?" for character in path)
    return path if len(path) <= most else f"...{path[3 - most :]}"
