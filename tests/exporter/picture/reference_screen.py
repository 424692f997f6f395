"""The inside of a square on a page, cut out of one picture: what `exporter.picture.screen` does, said slowly."""

import numpy as np

from exporter.picture import screen
from exporter.picture.overview import SIZE
from tests.exporter.picture.reference_cells import Mask, Numbers, border, to_cells, upper_median


def inside_of_screen(level: Numbers) -> Numbers:
    """A picture, [h, w], or the inside of the square that it shows."""
    if not _may_be(level):
        return level
    cells = to_cells(level)
    page = upper_median(border(cells))
    away = abs(cells - page)
    most = away.max()
    solid = away > screen._STANDS_OUT * most
    rows, columns = _span(solid.mean(axis=1)), _span(solid.mean(axis=0))
    square = np.zeros((SIZE, SIZE), bool)
    square[rows, columns] = True
    if not (
        most > screen._LEAST_RANGE
        and (abs(border(cells) - page) <= screen._PAGE * most).mean() >= screen._PAGE_SHARE
        and min(square.any(axis=1).sum(), square.any(axis=0).sum()) >= screen._LEAST_CELLS
        and solid[square].sum() >= screen._FILLED * square.sum()
        and solid[~square].sum() <= screen._OUTSIDE * (~square).sum()
        and min(_edges(solid, rows, columns)) >= screen._EDGE
    ):
        return level
    deep = cells[rows.start + 2 : rows.stop - 2, columns.start + 2 : columns.stop - 2]
    if abs(deep - cells[square & solid].mean()).max() <= screen._SOMETHING * most:
        return level
    (top, bottom), (left, right) = (_pixels(*pair) for pair in ((rows, level.shape[0]), (columns, level.shape[1])))
    return level[top:bottom, left:right]


def _may_be(level: Numbers) -> bool:
    cells = to_cells(level, screen._COARSE, screen._COARSE)
    away = abs(cells - cells[[0, 0, -1, -1], [0, -1, 0, -1]].mean())
    middle = away[screen._MIDDLE, screen._MIDDLE] > screen._STANDS_OUT * away.max()
    return bool(middle.mean() >= screen._MIDDLE_SHARE and away.max() > screen._LEAST_RANGE / 2)


def _span(share: Numbers) -> slice:
    """From the first to the last place that holds nearly as much as the fullest."""
    chosen = np.flatnonzero(share >= screen._SIDE * share.max())
    return slice(int(chosen[0]), int(chosen[-1]) + 1)


def _edges(solid: Mask, rows: slice, columns: slice) -> list[float]:
    """Share of solid cells along each side, one cell inside it."""
    return [
        float(line.mean())
        for line in (
            solid[rows.start + 1, columns],
            solid[rows.stop - 2, columns],
            solid[rows, columns.start + 1],
            solid[rows, columns.stop - 2],
        )
    ]


def _pixels(span: slice, size: int) -> tuple[int, int]:
    scale = size / SIZE
    start = int(np.ceil((span.start + 1) * scale))
    return start, max(int(np.floor((span.stop - 1) * scale)), start + 1)
