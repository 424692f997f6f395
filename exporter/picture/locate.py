"""Where the digit is: the rows and columns of cells that hold its ink, without specks and neighbours' strokes."""

import tensorflow as tf

from exporter.picture.overview import SIZE

_MOST_RUNS = SIZE // 2
_TRACE = 0.02  # of the fullest row's ink: rows with less are empty
_SPECK = 0.04  # of the largest run's ink: less is no part of the digit
_EDGE_CELLS = 2  # a run at the border as narrow as this is a strip
_EDGE = 0.4  # of the ink inside: as much as a strip counts at most
_NEIGHBOUR = 0.5  # the same for ink that touches the border: a neighbour's stroke, cut off
_LINE_CELLS = 3  # a run from border to border as narrow as this is a line
_WITHIN = 0.5  # of its ink: as much as a digit beside it has at least


def locate(ink_cells: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Choose rows and columns, float32 [n, SIZE], 0 or 1, by the strong ink in the cells, float32 [n, SIZE, SIZE]."""
    down = tf.stack([ink_cells[:, 0], ink_cells[:, -1]], axis=1)
    across = tf.stack([ink_cells[:, :, 0], ink_cells[:, :, -1]], axis=1)
    columns = _choose(tf.reduce_sum(ink_cells, axis=1), down)
    rows = _choose(tf.reduce_sum(ink_cells * columns[:, None, :], axis=2), across)
    # Once more, without what the rows have cut off.
    columns = _choose(tf.reduce_sum(ink_cells * rows[:, :, None], axis=1), down)
    return rows, columns


def _choose(profile: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """Places, float32 [n, SIZE], from the first to the last run of ink that belongs to the digit, and one around.

    Args:
        profile: ink in each row, or each column, float32 [n, SIZE].
        ends: ink in its first and in its last cell, float32 [n, 2, SIZE].
    """
    occupied = profile > _TRACE * tf.reduce_max(profile, axis=1, keepdims=True)
    before = tf.pad(occupied[:, :-1], [[0, 0], [1, 0]])
    number = tf.cumsum(tf.cast(occupied & ~before, tf.int32), axis=1) - 1
    # Unoccupied places belong to no run: one-hot of -1 is all zeros.
    runs = tf.one_hot(tf.where(occupied, number, -1), _MOST_RUNS)
    mass = tf.reduce_sum(runs * profile[..., None], axis=1)
    touches = tf.maximum(runs[:, 0], runs[:, -1]) > 0
    length = tf.reduce_sum(runs, axis=1)
    # A line of lined paper goes from border to border, beside a digit that reaches neither.
    reached = tf.matmul(tf.cast(ends > 0.0, tf.float32), runs) > 0
    is_through = tf.reduce_all(reached, axis=1) & (length <= _LINE_CELLS)
    within = tf.reduce_max(tf.where(tf.reduce_any(reached, axis=1), 0.0, mass), axis=1, keepdims=True)
    mass = tf.where(is_through & (within >= _WITHIN * mass), 0.0, mass)
    is_edge = touches & (length <= _EDGE_CELLS)
    inner = tf.reduce_max(tf.where(touches, 0.0, mass), axis=1, keepdims=True)
    # Where there is ink inside, a strip along the border is the edge of the sheet, however dark.
    mass = tf.where(is_edge & (inner > 0.0), tf.minimum(mass, _EDGE * inner), mass)
    largest = tf.reduce_max(mass, axis=1, keepdims=True)
    least = tf.where(touches, _NEIGHBOUR, _SPECK) * largest
    belongs = tf.cast((mass > 0) & (mass >= least), tf.float32)
    kept = tf.reduce_sum(runs * belongs[:, None, :], axis=-1) > 0
    place = tf.range(SIZE)
    first = tf.reduce_min(tf.where(kept, place, SIZE), axis=1, keepdims=True)
    last = tf.reduce_max(tf.where(kept, place, -1), axis=1, keepdims=True)
    return tf.cast((place >= first - 1) & (place <= last + 1) & (kept | ~occupied), tf.float32)
