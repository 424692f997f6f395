"""Neighbours' ink, taken away from one picture at a time: what `exporter.picture.neighbours` does, said slowly."""

from dataclasses import dataclass

import numpy as np

from exporter.picture import neighbours
from exporter.picture.overview import SIZE
from tests.exporter.picture.reference_cells import Mask, Numbers, border

Cell = tuple[int, int]


@dataclass
class _Component:
    cells: set[Cell]
    ink: float

    @property
    def top(self) -> int:
        return min(row for row, _ in self.cells)

    @property
    def bottom(self) -> int:
        return max(row for row, _ in self.cells)

    @property
    def left(self) -> int:
        return min(column for _, column in self.cells)

    @property
    def right(self) -> int:
        return max(column for _, column in self.cells)


def kept_cells(strong_cells: Numbers, shape: tuple[int, ...]) -> Mask:
    """Which cells stay, bool [SIZE, SIZE], by the share of strong ink in each and the picture's size in pixels."""
    everything = np.ones((SIZE, SIZE), bool)
    least, most = neighbours._INK
    limit = np.clip(neighbours._STROKE_PX / (np.float32(max(shape)) / SIZE), least, most)
    is_ink = strong_cells.astype(np.float32) > np.float32(limit)
    if max(shape) < neighbours._SMALLEST or not border(is_ink).any():
        return everything
    components = _components(is_ink, strong_cells)
    digit = max(components, key=_weight)
    gone = [part for part in components if part is not digit and _is_neighbour(part, digit)]
    owner = {cell: part for part in components for cell in part.cells}
    for _ in range(neighbours._REACH):
        owner = _grown(owner)
    for cell, part in owner.items():
        if any(part is other for other in gone):
            everything[cell] = False
    return everything


def _components(is_ink: Mask, strong_cells: Numbers) -> list[_Component]:
    """Cells of ink that hang together, corners touching; in the order of their last cells."""
    left = {(int(row), int(column)) for row, column in np.argwhere(is_ink)}
    found = []
    while left:
        reached, fresh = set(), {left.pop()}
        while fresh:
            reached |= fresh
            fresh = {other for cell in fresh for other in _around(cell)} & left
            left -= fresh
        found.append(_Component(reached, sum(strong_cells[cell] for cell in reached)))
    return sorted(found, key=lambda part: max(part.cells))


def _around(cell: Cell) -> list[Cell]:
    row, column = cell
    return [
        (row + down, column + across)
        for down in (-1, 0, 1)
        for across in (-1, 0, 1)
        if 0 <= row + down < SIZE and 0 <= column + across < SIZE
    ]


def _grown(owner: dict[Cell, _Component]) -> dict[Cell, _Component]:
    """One cell further; between two components the one whose last cell comes later wins."""
    grown = dict(owner)
    for row in range(SIZE):
        for column in range(SIZE):
            near = [owner[cell] for cell in _around((row, column)) if cell in owner]
            if (row, column) not in owner and near:
                grown[row, column] = max(near, key=lambda part: max(part.cells))
    return grown


def _weight(part: _Component) -> float:
    """A component's ink, counted more in the middle."""
    across = 1 - abs((part.left + part.right) / (SIZE - 1) - 1)
    down = 1 - abs((part.top + part.bottom) / (SIZE - 1) - 1)
    off_centre = neighbours._OFF_CENTRE
    return float(part.ink * (off_centre + (1 - off_centre) * across * (0.5 + 0.5 * down)))


def _is_neighbour(part: _Component, digit: _Component) -> bool:
    shared = min(part.right, digit.right) - max(part.left, digit.left) + 1
    is_beside = shared <= neighbours._BESIDE * (part.right - part.left + 1)
    rows_between = max(digit.top - part.bottom, part.top - digit.bottom) - 1
    columns_between = max(digit.left - part.right, part.left - digit.right) - 1
    touches_across = part.left == 0 or part.right == SIZE - 1
    touches_down = part.top == 0 or part.bottom == SIZE - 1
    if part.ink < neighbours._SMALL * digit.ink and (
        (touches_across and is_beside) or (touches_down and (is_beside or rows_between >= neighbours._NEAR))
    ):
        return True
    outer = int(neighbours._OUTER * SIZE)
    is_free = digit.left > 0 and digit.right < SIZE - 1 and digit.bottom - digit.top >= neighbours._TALL
    if is_free and (part.right < outer or part.left >= SIZE - outer) and (touches_across or touches_down):
        return True
    return part.ink < neighbours._SPECK * digit.ink and max(columns_between, rows_between) >= 2
