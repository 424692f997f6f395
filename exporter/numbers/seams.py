"""Where a line of digits may be cut: seams of least ink from its top to its bottom.

A seam goes from row to row with steps of a column at most, as in seam carving (Avidan and Shamir 2007). For each column
of the middle row the best seam through it is found, upwards and downwards by dynamic programming; those that are
cheaper than all their neighbours are candidates.
"""

from dataclasses import dataclass

import tensorflow as tf

from exporter.numbers.field import HEIGHT

_HALF = HEIGHT // 2
_STEP_COST = 0.05  # of a full pixel's ink: a seam is straight where nothing is in its way
_DENSITY_COST = 0.01  # of the ink around its column: seams run in the middle of gaps
_NEAR = 5  # columns: of seams as near the cheapest counts
_MOST_COST = 14.0  # full pixels that a seam may cut through
_LEAST_MASS = 6.0  # full pixels between two seams
_NO_INK = 1.0  # full pixels: less is none
_WIDE = 8  # columns between the first and the last seam of a gap: what lies between them is left out
_FAR = 1e9


@dataclass(frozen=True)
class Cuts:
    """Seams between pieces of lines, from left to right; the first and the last are beyond all ink.

    Attributes:
        column: of each row, int32 [n, c, HEIGHT]: the seam runs along its left side; repeated beyond `count`.
        opening: the same of a seam after which the next piece begins: another one where a wide gap lies between them.
        cost: ink that the seam cuts, float32 [n, c].
        mass: ink from the left side of the canvas to the seam, float32 [n, c].
        count: how many there are, int32 [n]; there is a piece less.
    """

    column: tf.Tensor
    opening: tf.Tensor
    cost: tf.Tensor
    mass: tf.Tensor
    count: tf.Tensor


def find_cuts(ink: tf.Tensor, width: tf.Tensor) -> Cuts:
    """Cut lines, float32 [n, HEIGHT, w], of which int32 [n] columns belong to the picture."""
    halves = tf.stack([ink[:, :_HALF], ink[:, : _HALF - 1 : -1]])  # from the outer row to the middle one
    cost, steps = _from_outside(tf.transpose(halves, [2, 0, 1, 3]))
    middle = tf.reduce_sum(cost, axis=0)

    density = tf.reduce_mean(ink, axis=1)
    density = tf.nn.avg_pool1d(density[..., None], 2 * _NEAR + 1, 1, "SAME")[..., 0]
    total = middle + _DENSITY_COST * HEIGHT * density
    lowest = -tf.nn.max_pool1d(-total[..., None], _NEAR, 1, "SAME")[..., 0]
    column = tf.range(tf.shape(ink)[2])
    is_first, is_last = column == 1, column == width[:, None] - 1
    is_cut = (total <= lowest) & (middle <= _MOST_COST) & (column > 1) & (column < width[:, None] - 1)
    is_cut |= is_first | is_last
    columns, count = _places(is_cut)

    paths = _follow(steps, tf.concat([columns, columns], axis=0))
    upper, lower = tf.split(paths, 2, axis=1)
    seams = tf.concat([upper[::-1], lower], axis=0)  # [HEIGHT, n, c]
    seams = tf.transpose(seams, [1, 0, 2])
    before = tf.cumsum(ink, axis=2, exclusive=True)
    mass = tf.reduce_sum(tf.gather(before, seams, axis=2, batch_dims=2), axis=1)

    # Of the seams in a gap the first one counts, but before all ink the last one: a margin is no part of a digit.
    has_ink = tf.pad(mass[:, 1:] - mass[:, :-1] > _LEAST_MASS, [[0, 0], [1, 0]])
    number = tf.range(tf.shape(columns)[1])
    begin = tf.maximum(tf.reduce_sum(tf.cast(mass < _NO_INK, tf.int32), axis=1) - 1, 0)[:, None]
    is_there = number < count[:, None]
    kept = ((number == begin) | (has_ink & (number > begin))) & is_there
    order, count = _places(kept)
    seams = tf.transpose(seams, [0, 2, 1])
    closing, at = tf.gather(columns, order, batch_dims=1), tf.gather(mass, order, batch_dims=1)
    last = tf.maximum(tf.searchsorted(mass, at + _NO_INK) - 1, order)
    is_wide = tf.gather(columns, last, batch_dims=1) - closing > _WIDE
    return Cuts(
        tf.gather(seams, order, batch_dims=1),
        tf.gather(seams, tf.where(is_wide, last, order), batch_dims=1),
        tf.gather(tf.gather(middle, columns, batch_dims=1), order, batch_dims=1),
        at,
        count,
    )


def _from_outside(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The ink of the best seams from the outer row, for each column of the middle one, float32 [2, n, w].

    Args:
        rows: ink of both halves, float32 [HEIGHT / 2, 2, n, w], the outer rows first.

    Returns:
        That, and the steps from each row back to the one before, int32 [HEIGHT / 2, 2, n, w], -1 to 1.
    """

    def next_row(before: tuple[tf.Tensor, tf.Tensor], row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        cost, _ = before
        wide = tf.pad(cost, [[0, 0], [0, 0], [1, 1]], constant_values=_FAR)
        left, right = wide[..., :-2] + _STEP_COST, wide[..., 2:] + _STEP_COST
        best = tf.minimum(tf.minimum(left, right), cost)
        step = tf.where(best == cost, 0, tf.where(best == left, -1, 1))
        return best + row, step

    shape = tf.shape(rows)[1:]
    costs, steps = tf.scan(next_row, rows, (tf.zeros(shape), tf.zeros(shape, tf.int32)))
    return costs[-1], steps


def _follow(steps: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """The columns of seams in each row from the middle one outwards, int32 [HEIGHT / 2, 2 n, c].

    Args:
        steps: as `_from_outside` gives them.
        columns: of the middle row, int32 [2 n, c], once for each half.
    """
    width = tf.shape(steps)[3]
    flat = tf.reshape(steps, [_HALF, -1, width])[::-1]

    def next_row(column: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        return column + tf.gather(step, column, batch_dims=1)

    further = tf.scan(next_row, flat[:-1], columns)
    return tf.concat([columns[None], further], axis=0)


def _places(chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The chosen places of bool [n, k] in order, int32 [n, m], the last one repeated; and how many, int32 [n]."""
    count = tf.reduce_sum(tf.cast(chosen, tf.int32), axis=1)
    length = tf.shape(chosen)[1]
    places = tf.sort(tf.where(chosen, tf.range(length), length), axis=1)[:, : tf.reduce_max(count)]
    last = tf.reduce_max(tf.where(places < length, places, 0), axis=1, keepdims=True)
    return tf.minimum(places, last), count
