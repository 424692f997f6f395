"""Printed boxes, frames and rules around a digit, taken away before paper and ink are told apart.

Cells cut from a form hold the form's lines along their sides, whole or in part. Each is found as a ridge (`ridges`),
looked at closely (`lines`) and painted over with what is on both sides of it, by linear interpolation across it: the
simplest inpainting (Bertalmio et al. 2000), which lets strokes that cross the line run on. A line may lie within
another, so this is done up to three times. A digit's own bar must stay: lines count if at least one of them is certain,
or if without them there is a digit that is free of the picture's sides.
"""

import tensorflow as tf

from exporter.picture.lines import Lines, measure, probe
from exporter.picture.overview import Overview, area_weights_between
from exporter.picture.ridges import candidates, may_have_lines

_PASSES = 3
_LEAST_LONGER, _LEAST_SHORTER = 20, 10  # pixels of the sides: smaller pictures are cropped to the digit
_GRID = 24  # cells on each side in which what lies between the lines is judged
_LEAST_SIDE = 8.0  # pixels between lines
_LEAST_REST, _LEAST_REST_SHARE = 4.0, 0.06  # of 255, and of the lines' contrast: as much a digit stands out
_STRONG = 0.35  # of what stands out furthest
_LEAST_SIZE = 0.2  # of the picture's height or width: as large a digit is
_FREE_EVEN = 0.7  # as even are lines where none is certain


def off_rules(
    level: tf.Tensor, extent: tf.Tensor, overview: Overview, cells: tf.Tensor, *, upright: bool = True
) -> tuple[tf.Tensor, tf.Tensor]:
    """Take printed boxes, frames and rules away from pictures.

    Args:
        level: float32 [n, h, w], 0 to 255, as `to_level` gives it.
        extent: height and width of each picture, int32 [n, 2].
        overview: the cells of the pictures.
        cells: what these hold, float32 [n, SIZE, SIZE].
        upright: whether lines along columns are taken away, too. In a field of several digits they may be strokes.

    Returns:
        The pictures without lines, and what their cells hold then, float32 [n, SIZE, SIZE].
    """
    is_large = (tf.reduce_max(extent, axis=1) >= _LEAST_LONGER) & (tf.reduce_min(extent, axis=1) >= _LEAST_SHORTER)
    may_have = tf.cond(tf.reduce_any(is_large), lambda: may_have_lines(cells) & is_large, lambda: is_large)
    chosen = tf.where(may_have)[:, 0]

    def without() -> tuple[tf.Tensor, tf.Tensor]:
        cleaned = _in_passes(tf.gather(level, chosen), tf.gather(extent, chosen), upright)
        where = chosen[:, None]
        return (
            tf.tensor_scatter_nd_update(level, where, cleaned),
            tf.tensor_scatter_nd_update(cells, where, overview.of_some(chosen).reduce(cleaned)),
        )

    found: tuple[tf.Tensor, tf.Tensor] = tf.cond(tf.size(chosen) > 0, without, lambda: (level, cells))
    return found


def _in_passes(level: tf.Tensor, extent: tf.Tensor, upright: bool) -> tf.Tensor:  # noqa: FBT001 - passed on
    """Take lines away as long as there are any."""

    def once(number: tf.Tensor, level: tf.Tensor, active: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        found = candidates(tf.gather(level, active), tf.gather(extent, active))
        worth = tf.where(found.suffice())[:, 0]
        left = tf.gather(active, worth)

        def closely() -> tuple[tf.Tensor, tf.Tensor]:
            some, size = tf.gather(level, left), tf.gather(extent, left)
            lines = measure(some, size, found.of_some(worth))
            lines = lines if upright else lines.along_rows()
            taken = _to_take(some, size, lines)
            changed = tf.reduce_any(taken, axis=[1, 2])
            where = tf.boolean_mask(left, changed)
            cleaned = inpaint(some, size, lines, taken)
            return tf.tensor_scatter_nd_update(level, where[:, None], tf.boolean_mask(cleaned, changed)), where

        cleaned, changed = tf.cond(tf.size(left) > 0, closely, lambda: (level, left))
        return number + 1, cleaned, changed

    _, level, _ = tf.while_loop(
        lambda number, _, active: (number < _PASSES) & (tf.size(active) > 0),
        once,
        [0, level, tf.range(tf.shape(level)[0])],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, None, None]), tf.TensorShape([None])],
    )
    return level


def _to_take(level: tf.Tensor, extent: tf.Tensor, lines: Lines) -> tf.Tensor:
    """Which lines are to be taken away, bool [n, 2, 2]."""
    holds_digit, is_free = _rest(level, extent, lines)
    are_many = tf.reduce_sum(tf.cast(lines.is_line, tf.int32), axis=[1, 2]) >= 2
    are_certain = are_many & tf.reduce_any(lines.is_certain, axis=[1, 2])
    free = tf.where(is_free[:, None, None], lines.is_line & (lines.evenness >= _FREE_EVEN), lines.is_certain)
    return tf.where(are_certain[:, None, None], lines.is_line, free) & holds_digit[:, None, None]


def _rest(level: tf.Tensor, extent: tf.Tensor, lines: Lines) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether there is a digit between the lines, and whether it touches no side without a line, bool [n] each."""
    is_inside = tf.range(tf.shape(lines.top)[3]) < extent[:, ::-1, None]
    size = tf.cast(extent, tf.float32)
    after = tf.reduce_max(tf.where(is_inside, lines.bottom[:, :, 0], 0.0), axis=-1)
    before = tf.reduce_min(tf.where(is_inside, lines.top[:, :, 1], size[..., None]), axis=-1)
    first = tf.where(lines.is_line[:, :, 0], tf.math.ceil(after), 0.0)
    last = tf.where(lines.is_line[:, :, 1], tf.math.floor(before), size)
    is_wide = tf.reduce_all(last - first >= _LEAST_SIDE, axis=1)
    last = tf.maximum(last, first + 1.0)  # cells of a picture that is not wide enough have a size, too

    rows, columns = (
        area_weights_between(first[:, axis], last[:, axis], tf.shape(level)[axis + 1], _GRID) for axis in (0, 1)
    )
    cells = tf.reshape(tf.matmul(tf.matmul(rows, level), columns, transpose_b=True), [-1, _GRID * _GRID])
    ordered = tf.sort(cells, axis=1)
    median = (ordered[:, _GRID * _GRID // 2 - 1] + ordered[:, _GRID * _GRID // 2]) / 2
    stands_out = tf.abs(cells - median[:, None])
    most = tf.reduce_max(stands_out, axis=1)
    contrast = tf.reduce_max(tf.where(lines.is_line, lines.contrast, 0.0), axis=[1, 2])
    strong = tf.reshape(stands_out > _STRONG * most[:, None], [-1, _GRID, _GRID])
    occupied = tf.stack([tf.reduce_any(strong, axis=2), tf.reduce_any(strong, axis=1)], axis=1)
    place = tf.range(_GRID, dtype=tf.float32)
    length = tf.reduce_max(tf.where(occupied, place + 1.0, 0.0), axis=2) - tf.reduce_min(
        tf.where(occupied, place, float(_GRID)), axis=2
    )
    is_large = tf.reduce_any(length / _GRID * (last - first) >= _LEAST_SIZE * size, axis=1)
    is_there = most >= tf.maximum(_LEAST_REST, _LEAST_REST_SHARE * contrast)
    touched = tf.stack([occupied[..., 0], occupied[..., -1]], axis=2) & ~lines.is_line
    return is_wide & is_there & is_large, is_wide & is_there & ~tf.reduce_any(touched, axis=[1, 2])


def inpaint(level: tf.Tensor, extent: tf.Tensor, lines: Lines, taken: tf.Tensor) -> tf.Tensor:
    """Pictures, float32 [n, h, w], with chosen lines, bool [n, 2, 2], painted over by what is on both sides of them."""
    for axis in (0, 1):
        # What runs along lines gets a dimension for the pixels across them: before it, or after it for columns.
        length = tf.shape(level)[2 - axis]
        top, bottom = (edge[:, axis, :, :length] for edge in (lines.top, lines.bottom))
        beside = tf.concat([top - 0.5, bottom + 0.5], axis=1)[:, None]
        before, after = tf.split(probe(level, extent, beside, (axis,))[:, 0], 2, axis=1)
        size = tf.cast(extent[:, axis], tf.float32)[:, None, None]
        at_start, at_end = top < 0.5, bottom > size - 0.5
        before, after = tf.where(at_start, after, before), tf.where(at_end, before, after)
        across = tf.range(tf.shape(level)[axis + 1], dtype=tf.float32) + 0.5
        across = across[:, None] if axis == 0 else across
        inside = tf.range(length) < extent[:, 1 - axis, None]
        for side in (0, 1):
            t, b, u, d, is_taken, open_above, open_below = (
                tf.expand_dims(values, 1 + axis)
                for values in (
                    top[:, side],
                    bottom[:, side],
                    before[:, side],
                    after[:, side],
                    taken[:, axis, side, None] & inside,
                    at_start[:, side],
                    at_end[:, side],
                )
            )
            is_within = ((across > t) | open_above) & ((across < b) | open_below) & is_taken
            is_within &= across < tf.expand_dims(size[:, 0], 1 + axis)
            part = tf.clip_by_value((across - t) / tf.maximum(b - t, 1e-3), 0.0, 1.0)
            level = tf.where(is_within, u + (d - u) * part, level)
    return level
