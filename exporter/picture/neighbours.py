"""Ink of neighbours: parts of the digits beside this one, of lines above and below, and specks.

A crop of one digit out of a number holds parts of the digits beside it. Strokes that hang together are one component
(labelled by propagation: Rosenfeld and Pfaltz, Sequential operations in digital picture processing, 1966). The digit is
the component with most ink, counted more in the middle; small ones that touch a side are its neighbours'. Strokes of
the digit that hang together with nothing, such as the roof of a 5, lie above or below it, and close.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from exporter.picture.overview import SIZE, Overview, border_of

_SMALLEST = 20  # pixels of the longer side: a smaller picture is one digit, cut to its ink
_INK = (0.12, 0.5)  # of a cell's pixels are strong ink where it belongs to a stroke: in cells of many pixels, of few
_STROKE_PX = 0.5  # such a cell holds so much of the width of a stroke
_OFF_CENTRE = 0.2  # of its ink counts a component at the very side
_SMALL = 0.4  # of the digit's ink: a component that touches a side and has less
_BESIDE = 0.5  # of a component's width lies beside the digit, at least, where it is no stroke of it
_OUTER = 0.36  # of the picture, from the left or the right side: a neighbour ends there, whatever its ink
_TALL = 10  # cells: a digit that touches no side is at least so tall where a neighbour may be larger
_NEAR = 3  # cells between the digit and what lies above or below it and still belongs to it
_SPECK = 0.05  # of the digit's ink: a component with less, not next to it, is a speck
_REACH = 2  # cells around a component that go with it: its faint edges
_CHECKED = 4  # steps of propagation between two looks whether there is anything left to do
_MOST_ROUNDS = 40

_CELLS = SIZE * SIZE
_ONE = np.int64(1)
_LABELS = _CELLS + 1  # 0 is no component


def off_neighbours(stands_out: tf.Tensor, strong_cells: tf.Tensor, overview: Overview) -> tuple[tf.Tensor, tf.Tensor]:
    """Take away what belongs to neighbours in pictures where ink touches a side.

    Args:
        stands_out: how far each pixel stands out from the paper, float32 [n, h, w].
        strong_cells: how much of each cell is strong ink, float32 [n, SIZE, SIZE], 0 to 1.
        overview: the cells of the pictures.

    Returns:
        Both without the neighbours' ink.
    """
    cell = tf.reduce_max(overview.extent, axis=1) / SIZE
    least = tf.clip_by_value(_STROKE_PX / cell, *_INK)
    is_large = tf.reduce_max(overview.extent, axis=1) >= _SMALLEST
    doubtful = tf.where((tf.reduce_max(border_of(strong_cells), axis=1) > least) & is_large)[:, 0]

    def without() -> tuple[tf.Tensor, tf.Tensor]:
        cells = tf.gather(strong_cells, doubtful)
        is_ink = cells > tf.gather(least, doubtful)[:, None, None]
        chosen = tf.where(_has_several(is_ink))[:, 0]
        several, cells = tf.gather(doubtful, chosen), tf.gather(cells, chosen)
        kept = _kept(label(tf.gather(is_ink, chosen)), cells)
        where = several[:, None]
        return (
            tf.tensor_scatter_nd_update(
                stands_out, where, tf.gather(stands_out, several) * overview.of_some(several).repeat(kept)
            ),
            tf.tensor_scatter_nd_update(strong_cells, where, cells * kept),
        )

    found: tuple[tf.Tensor, tf.Tensor] = tf.cond(tf.size(doubtful) > 0, without, lambda: (stands_out, strong_cells))
    return found


def _has_several(is_ink: tf.Tensor) -> tf.Tensor:
    """Whether bool [n, SIZE, SIZE] has more than one component, bool [n]: a flood from one cell leaves some out.

    A row is one word, a bit for each cell, so that a step of the flood is a handful of short operations.
    """
    bits = tf.bitwise.left_shift(tf.ones([SIZE], tf.int64), tf.range(SIZE, dtype=tf.int64))
    ink = tf.reduce_sum(tf.cast(is_ink, tf.int64) * bits, axis=2)
    first = tf.argmax(tf.cast(ink > 0, tf.int32), axis=1, output_type=tf.int32)
    start = tf.where(tf.range(SIZE) == first[:, None], ink & -ink, 0)

    def spread(_: tf.Tensor, now: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        wide = now
        for _step in range(_CHECKED):
            wide |= tf.pad(wide[:, 1:], [[0, 0], [0, 1]]) | tf.pad(wide[:, :-1], [[0, 0], [1, 0]])
            wide = (wide | tf.bitwise.left_shift(wide, _ONE) | tf.bitwise.right_shift(wide, _ONE)) & ink
        return tf.reduce_any(wide != now), wide

    loop = (tf.ones([], tf.bool), start)
    flooded = tf.while_loop(lambda more, _: more, spread, loop, maximum_iterations=_MOST_ROUNDS)[1]
    return tf.reduce_any(flooded != ink, axis=1)


def label(is_ink: tf.Tensor) -> tf.Tensor:
    """Number the components of bool [n, SIZE, SIZE], corners touching: int32 [n, SIZE, SIZE], 0 where there is no ink.

    A component's number is 1 more than the place of its last cell.
    """
    # The batch comes last, so that a step is few long runs of memory; 16 bits hold a number.
    ink = tf.cast(tf.transpose(is_ink, [1, 2, 0]), tf.int16)
    start = ink * np.arange(1, _LABELS, dtype=np.int16).reshape(SIZE, SIZE, 1)

    def propagate(_: tf.Tensor, now: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        wide = now
        for _step in range(_CHECKED):
            wide = _around(wide, 0, 1) * ink
        return tf.reduce_any(wide != now), wide

    loop = (tf.ones([], tf.bool), start)
    labels = tf.while_loop(lambda more, _: more, propagate, loop, maximum_iterations=_MOST_ROUNDS)[1]
    return tf.cast(tf.transpose(labels, [2, 0, 1]), tf.int32)


def _around(labels: tf.Tensor, down: int, across: int) -> tf.Tensor:
    """The largest of each cell and the eight around it, along two axes of SIZE cells."""
    for axis in (down, across):
        edge = [[0, 0]] * 3
        edge[axis] = [1, 1]
        wide = tf.pad(labels, edge)
        parts = [_part(wide, axis, start) for start in range(3)]
        labels = tf.maximum(tf.maximum(parts[0], parts[1]), parts[2])
    return labels


def _part(cells: tf.Tensor, axis: int, start: int) -> tf.Tensor:
    begin, size = [0, 0, 0], [-1, -1, -1]
    begin[axis], size[axis] = start, SIZE
    return tf.slice(cells, begin, size)


@dataclass(frozen=True)
class _Components:
    """What is known of the components of k pictures, by their numbers, [k, _LABELS]; of numbers that are none, zeros.

    Attributes:
        ink: how much each has, float32.
        top: its first row of cells, int32; `bottom` its last, `left` and `right` its columns.
    """

    ink: tf.Tensor
    top: tf.Tensor
    bottom: tf.Tensor
    left: tf.Tensor
    right: tf.Tensor

    @classmethod
    def of(cls, labels: tf.Tensor, strong_cells: tf.Tensor) -> "_Components":
        count = tf.shape(labels)[0]
        segment = tf.reshape(tf.reshape(labels, [-1, _CELLS]) + _LABELS * tf.range(count)[:, None], [-1])

        def most(places: tf.Tensor) -> tf.Tensor:
            found = tf.math.unsorted_segment_max(tf.tile(places, [count]), segment, count * _LABELS)
            return tf.reshape(found, [-1, _LABELS])

        ink = tf.math.unsorted_segment_sum(tf.reshape(strong_cells, [-1]), segment, count * _LABELS)
        ink = tf.reshape(ink, [-1, _LABELS]) * tf.cast(tf.range(_LABELS) > 0, tf.float32)
        row, column = tf.range(_CELLS) // SIZE, tf.range(_CELLS) % SIZE
        last = SIZE - 1
        return cls(ink, last - most(last - row), most(row), last - most(last - column), most(column))


def _kept(labels: tf.Tensor, strong_cells: tf.Tensor) -> tf.Tensor:
    """Which cells stay, float32 [k, SIZE, SIZE], 0 or 1: all but those of neighbours and specks, and around them."""
    goes = _neighbours(_Components.of(labels, strong_cells))
    near = labels
    for _ in range(_REACH):
        near = tf.where(near > 0, near, _around(near, 1, 2))
    gone = tf.gather(goes, tf.reshape(near, [-1, _CELLS]), batch_dims=1)
    return 1.0 - tf.cast(tf.reshape(gone, [-1, SIZE, SIZE]), tf.float32)


def _neighbours(parts: _Components) -> tf.Tensor:
    """Which components are no part of the digit, bool [k, _LABELS]."""
    digit = _digit(parts)

    def of_digit(values: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, digit, batch_dims=1)[:, None]

    top, bottom, left, right = (of_digit(side) for side in (parts.top, parts.bottom, parts.left, parts.right))
    shared = tf.minimum(parts.right, right) - tf.maximum(parts.left, left) + 1
    is_beside = tf.cast(shared, tf.float32) <= _BESIDE * tf.cast(parts.right - parts.left + 1, tf.float32)
    between_rows = tf.maximum(top - parts.bottom, parts.top - bottom) - 1
    between_columns = tf.maximum(left - parts.right, parts.left - right) - 1
    touches_across = (parts.left == 0) | (parts.right == SIZE - 1)
    touches_down = (parts.top == 0) | (parts.bottom == SIZE - 1)

    is_small = parts.ink < _SMALL * of_digit(parts.ink)
    small = is_small & ((touches_across & is_beside) | (touches_down & (is_beside | (between_rows >= _NEAR))))
    # A digit that stands free in the middle has neighbours of any size.
    is_free = (left > 0) & (right < SIZE - 1) & (bottom - top >= _TALL)
    is_outer = (parts.right < int(_OUTER * SIZE)) | (parts.left >= SIZE - int(_OUTER * SIZE))
    large = is_free & is_outer & (touches_across | touches_down)
    speck = (parts.ink < _SPECK * of_digit(parts.ink)) & (tf.maximum(between_columns, between_rows) >= 2)
    return (small | large | speck) & (parts.ink > 0) & (tf.range(_LABELS) != digit[:, None])


def _digit(parts: _Components) -> tf.Tensor:
    """The number of the component that is the digit, or most of it, int32 [k]."""
    last = float(SIZE - 1)
    across = 1.0 - tf.abs(tf.cast(parts.left + parts.right, tf.float32) / last - 1.0)
    down = 1.0 - tf.abs(tf.cast(parts.top + parts.bottom, tf.float32) / last - 1.0)
    # Neighbours stand at the left and the right far more often than above and below.
    central = across * (0.5 + 0.5 * down)
    return tf.argmax(parts.ink * (_OFF_CENTRE + (1.0 - _OFF_CENTRE) * central), axis=1, output_type=tf.int32)
