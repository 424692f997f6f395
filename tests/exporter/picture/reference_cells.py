"""The overview's cells, as `reference.py` sees them: a coarse picture of a picture, and the way back to its pixels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.picture.overview import SIZE

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def to_cells(pixels: Numbers, rows: int = SIZE, columns: int = SIZE) -> Numbers:
    """Mean of what lies in each of rows x columns equal parts of a picture, pixels cut in pieces where need be."""
    for axis, count in enumerate((rows, columns)):
        length = pixels.shape[axis]
        edges = np.linspace(0, length, count + 1)

        def means(line: Numbers, length: int = length, edges: Numbers = edges) -> Numbers:
            up_to = np.concatenate([[0.0], np.cumsum(line)])
            sums: Numbers = np.diff(np.interp(edges, np.arange(length + 1), up_to))
            return sums * (len(edges) - 1) / length

        pixels = np.apply_along_axis(means, axis, pixels)
    return pixels


def to_pixels(cells: Numbers, shape: tuple[int, ...]) -> Numbers:
    """Values at the pixels of a picture, on straight lines between the middles of cells."""
    middles = np.arange(SIZE) + 0.5
    for axis in (0, 1):
        where = (np.arange(shape[axis]) + 0.5) * SIZE / shape[axis]
        cells = np.apply_along_axis(lambda line, where=where: np.interp(where, middles, line), axis, cells)
    return cells


def cell_of_pixel(length: int) -> npt.NDArray[np.intp]:
    """The cell in which the middle of each pixel lies."""
    return (2 * np.arange(length) + 1) * SIZE // (2 * length)


def border(cells: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What lies along the four edges; corners twice."""
    return np.concatenate([cells[0], cells[-1], cells[:, 0], cells[:, -1]])


def upper_median(values: Numbers) -> Numbers:
    """The middle value along the first axis; of an even number of values, the larger of the middle two."""
    median: Numbers = np.sort(values, axis=0)[len(values) // 2]
    return median
