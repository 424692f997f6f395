"""What lies along a whole side of a picture: the table beside the sheet, a scanner's black border, a form's box."""

import tensorflow as tf

from exporter.picture.overview import SIZE, Overview

_LARGE = 64  # pixels of the longer side: a smaller picture may be cropped to the digit, whose bar fills a side, too
_MOST_CELLS = 6  # a wider frame is none
_COVERED = 0.8  # of a row's cells, at least, stand out by half their mean
_LEAST = 9.0  # of 255: by so much
_LEAST_SHARE = 0.1  # of what stands out furthest: by so much, too
_TOUCH = 0.4  # of what stands out furthest off the frame: so much touches a side
_REST = 0.05  # of what stands out furthest: if there is no more off the frame, it is no frame


def off_frame(stands_out: tf.Tensor, overview: Overview) -> tuple[tf.Tensor, tf.Tensor]:
    """Take away what lies along whole sides, if the rest touches neither of the sides beside it, as digits would.

    Args:
        stands_out: how far each pixel stands out from the paper, float32 [n, h, w].
        overview: the cells of the pictures.

    Returns:
        The same without frames, and what is left in the cells, float32 [n, SIZE, SIZE].
    """
    cells = overview.reduce(stands_out)
    rows, columns = _frame(cells), _frame(tf.transpose(cells, [0, 2, 1]))
    rest = tf.where(rows[:, :, None] | columns[:, None, :], 0.0, cells)
    most = tf.reduce_max(rest, axis=[1, 2])
    touched = _TOUCH * most[:, None]
    rows &= tf.reduce_all((rest[:, :, 0] <= touched) & (rest[:, :, -1] <= touched), axis=1)[:, None]
    columns &= tf.reduce_all((rest[:, 0] <= touched) & (rest[:, -1] <= touched), axis=1)[:, None]
    is_large = tf.reduce_max(overview.extent, axis=1) >= _LARGE
    is_framed = tf.reduce_any(rows | columns, axis=1) & is_large & (most > _REST * tf.reduce_max(cells, axis=[1, 2]))
    framed = tf.where(is_framed)[:, 0]

    def without() -> tuple[tf.Tensor, tf.Tensor]:
        off_rows, off_columns = (tf.cast(~tf.gather(frame, framed), tf.float32) for frame in (rows, columns))
        left = tf.gather(stands_out, framed) * overview.of_some(framed).spread(off_rows, off_columns)
        left_cells = tf.gather(cells, framed) * off_rows[:, :, None] * off_columns[:, None, :]
        where = framed[:, None]
        return (
            tf.tensor_scatter_nd_update(stands_out, where, left),
            tf.tensor_scatter_nd_update(cells, where, left_cells),
        )

    found: tuple[tf.Tensor, tf.Tensor] = tf.cond(tf.size(framed) > 0, without, lambda: (stands_out, cells))
    return found


def _frame(cells: tf.Tensor) -> tf.Tensor:
    """Which rows of cells are a frame, bool [n, SIZE]: those from the upper or lower side on that stand out all along.

    One more on its inner side is, too, as the frame may end within it.
    """
    mean = tf.reduce_mean(cells, axis=2)
    share = tf.reduce_mean(tf.cast(cells > mean[:, :, None] / 2, tf.float32), axis=2)
    least = tf.maximum(_LEAST, _LEAST_SHARE * tf.reduce_max(cells, axis=[1, 2]))
    is_covered = tf.cast((share >= _COVERED) & (mean > least[:, None]), tf.int32)
    from_above, from_below = tf.math.cumprod(is_covered, axis=1), tf.math.cumprod(is_covered, axis=1, reverse=True)
    place = tf.range(SIZE)
    above, below = (_allowed(tf.reduce_sum(covered, axis=1, keepdims=True)) for covered in (from_above, from_below))
    return (place < above) | (place >= SIZE - below)


def _allowed(cells: tf.Tensor) -> tf.Tensor:
    """With one more cell, or none at all."""
    return tf.where((cells > 0) & (cells <= _MOST_CELLS), cells + 1, 0)
