"""Pictures of a screen or a plot: a dark square on a light page, or the reverse. What counts is inside the square."""

from dataclasses import dataclass

import tensorflow as tf

from exporter.picture.overview import SIZE, Overview, border_of

_COARSE = 8  # cells along each side, for the first look
_MIDDLE = slice(2, 6)  # of these: they lie in the square, wherever it stands
_MIDDLE_SHARE = 0.5  # of them, at least, stand out from the corners
_PAGE = 0.06  # of the picture's range: the page's cells differ by no more
_PAGE_SHARE = 0.9  # of the cells along the border are page
_STANDS_OUT = 0.5  # of the range: the square's cells differ from the page by more
_LEAST_RANGE = 24.0  # of 255
_SIDE = 0.6  # of the fullest row: rows of the square have as many such cells
_LEAST_CELLS = 10  # along a side of the square
_EDGE = 0.85  # of the cells along each side, one cell inside it, belong to the square
_OUTSIDE = 0.02  # of the cells around it, at most, are no page
_FILLED = 0.5  # of its cells stand out
_SOMETHING = 0.05  # of the range: something in the square differs from it by more, or it is a digit's thick stroke


def inside_of_screen(level: tf.Tensor, extent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Overview, tf.Tensor]:
    """Cut pictures that show a square on a page to the inside of the square.

    Args:
        level: float32 [n, h, w], 0 outside the pictures.
        extent: height and width of each, int32 [n, 2].

    Returns:
        The same; those pictures are in the corner of their canvas, and what was around them is 0. Then the overview of
        all pictures, and what their cells hold, float32 [n, SIZE, SIZE].
    """
    overview = Overview.of(level, extent)
    cells = overview.reduce(level)
    likely = tf.where(_may_be(cells))[:, 0]

    def look() -> tuple[tf.Tensor, ...]:
        square = _Square.of(tf.gather(cells, likely))
        chosen = tf.where(square.is_there)[:, 0]
        where = tf.gather(likely, chosen)
        size = tf.gather(extent, where)
        y0, y1 = _pixels(tf.gather(square.top, chosen), tf.gather(square.bottom, chosen), size[:, 0])
        x0, x1 = _pixels(tf.gather(square.left, chosen), tf.gather(square.right, chosen), size[:, 1])
        inner = _moved(_moved(tf.gather(level, where), y0, y1, 1), x0, x1, 2)
        cut = tf.tensor_scatter_nd_update(level, where[:, None], inner)
        left = tf.tensor_scatter_nd_update(extent, where[:, None], tf.stack([y1 - y0, x1 - x0], axis=1))
        new = Overview.of(cut, left)
        return cut, left, new.rows, new.columns, new.reduce(cut)

    level, extent, rows, columns, cells = tf.cond(
        tf.size(likely) > 0, look, lambda: (level, extent, overview.rows, overview.columns, cells)
    )
    return level, extent, Overview(rows, columns, tf.cast(extent, tf.float32)), cells


def _may_be(cells: tf.Tensor) -> tf.Tensor:
    """Whether most of the middle differs from the corners as nothing else does, bool [n]: few digits are so thick."""
    each = SIZE // _COARSE
    coarse = tf.reduce_mean(tf.reshape(cells, [-1, _COARSE, each, _COARSE, each]), axis=[2, 4])
    corners = (coarse[:, 0, 0] + coarse[:, 0, -1] + coarse[:, -1, 0] + coarse[:, -1, -1]) / 4
    away = tf.abs(coarse - corners[:, None, None])
    most = tf.reduce_max(away, axis=[1, 2])
    solid = away[:, _MIDDLE, _MIDDLE] > (_STANDS_OUT * most)[:, None, None]
    share = tf.reduce_mean(tf.cast(solid, tf.float32), axis=[1, 2])
    return (share >= _MIDDLE_SHARE) & (most > _LEAST_RANGE / 2)


@dataclass(frozen=True)
class _Square:
    """A square among the cells of each of k pictures.

    Attributes:
        is_there: whether there is any, bool [k].
        top: its first row of cells, int32 [k]; `bottom` its last, `left` and `right` its columns.
    """

    is_there: tf.Tensor
    top: tf.Tensor
    bottom: tf.Tensor
    left: tf.Tensor
    right: tf.Tensor

    @classmethod
    def of(cls, cells: tf.Tensor) -> "_Square":
        """Find it in float32 [k, SIZE, SIZE]."""
        border = border_of(cells)
        page = tf.sort(border, axis=1)[:, 2 * SIZE]
        away = tf.abs(cells - page[:, None, None])
        most = tf.reduce_max(away, axis=[1, 2])
        on_page = tf.reduce_mean(tf.cast(tf.abs(border - page[:, None]) <= (_PAGE * most)[:, None], tf.float32), axis=1)
        solid = tf.cast(away > (_STANDS_OUT * most)[:, None, None], tf.float32)
        top, bottom = _span(tf.reduce_mean(solid, axis=2))
        left, right = _span(tf.reduce_mean(solid, axis=1))
        rows, columns = _within(top, bottom), _within(left, right)
        edges = [
            _along(solid, top + 1, columns, 1),
            _along(solid, bottom - 1, columns, 1),
            _along(solid, left + 1, rows, 2),
            _along(solid, right - 1, rows, 2),
        ]
        square = rows[:, :, None] * columns[:, None, :]
        area = tf.reduce_sum(square, axis=[1, 2])
        held = tf.reduce_sum(solid * square, axis=[1, 2])
        outside = tf.reduce_sum(solid, axis=[1, 2]) - held
        mean = tf.math.divide_no_nan(tf.reduce_sum(cells * solid * square, axis=[1, 2]), held)
        deep = _within(top + 2, bottom - 2)[:, :, None] * _within(left + 2, right - 2)[:, None, :]
        something = tf.reduce_max(tf.abs(cells - mean[:, None, None]) * deep, axis=[1, 2])
        is_there = (
            (most > _LEAST_RANGE)
            & (on_page >= _PAGE_SHARE)
            & (tf.minimum(bottom - top, right - left) + 1 >= _LEAST_CELLS)
            & (held >= _FILLED * area)
            & (outside <= _OUTSIDE * (SIZE * SIZE - area))
            & (tf.reduce_min(tf.stack(edges), axis=0) >= _EDGE)
            & (something > _SOMETHING * most)
        )
        return cls(is_there, top, bottom, left, right)


def _span(share: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The first and the last place, int32 [k], of those that hold nearly as much as the fullest."""
    chosen = share >= _SIDE * tf.reduce_max(share, axis=1, keepdims=True)
    place = tf.range(SIZE)
    first = tf.reduce_min(tf.where(chosen, place, SIZE), axis=1)
    return first, tf.reduce_max(tf.where(chosen, place, -1), axis=1)


def _within(first: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    """1 from the first place to the last, 0 elsewhere, float32 [k, SIZE]."""
    place = tf.range(SIZE)
    return tf.cast((place >= first[:, None]) & (place <= last[:, None]), tf.float32)


def _along(solid: tf.Tensor, line: tf.Tensor, chosen: tf.Tensor, axis: int) -> tf.Tensor:
    """Share of solid cells, float32 [k], in one row (axis 1) or column (axis 2) of each, among the chosen places."""
    cells = tf.gather(solid, tf.clip_by_value(line, 0, SIZE - 1), axis=axis, batch_dims=1)
    return tf.reduce_sum(cells * chosen, axis=1) / tf.maximum(tf.reduce_sum(chosen, axis=1), 1.0)


def _pixels(first: tf.Tensor, last: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The pixels, from and up to, int32 [k], that lie one cell inside a span of cells."""
    scale = tf.cast(size, tf.float32) / SIZE
    start = tf.cast(tf.math.ceil(tf.cast(first + 1, tf.float32) * scale), tf.int32)
    end = tf.cast(tf.math.floor(tf.cast(last, tf.float32) * scale), tf.int32)
    return start, tf.maximum(end, start + 1)


def _moved(level: tf.Tensor, start: tf.Tensor, end: tf.Tensor, axis: int) -> tf.Tensor:
    """Rows (axis 1) or columns (axis 2) from `start` up to `end` moved to the beginning; zeros after them."""
    length = tf.shape(level)[axis]
    place = tf.range(length) + start[:, None]
    kept = tf.cast(place < end[:, None], tf.float32)
    moved = tf.gather(level, tf.minimum(place, length - 1), axis=axis, batch_dims=1)
    return moved * (kept[:, :, None] if axis == 1 else kept[:, None, :])
