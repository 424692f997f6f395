"""Which ridges along the sides of a picture are printed lines, and where exactly they run.

A line covers its side from end to end, or from the corner where it meets another line; it is slim and as strong all
along; what is beside it is paper, but for the few places where the digit touches it. A digit's bar is none of this.
"""

from dataclasses import dataclass, replace

import tensorflow as tf

from exporter.picture.ridges import BLOCKS, OFFSETS, ROWS, STEEPEST, Candidates

_MARGIN = 0.4  # rows on both sides of a line, at least a pixel: so far its edge may be smeared
_MOST_ROWS = 8  # on both sides of a line's middle
_FLANK = 0.299  # of a line's height: rows beside its middle that stand out so much belong to it
_PROBES = 5  # across a line
_INK_BESIDE = 0.5  # of a line's contrast: what is beside the line and as strong is attached to it
_INK_ON = 0.35  # of a line's contrast: places on the line that are as strong are covered
_LEAST_COVERED = 0.8  # of a line's length
_END_PARTS = 25  # of a line's length: each end is one of them
_LEAST_REACH = 0.5  # of each end that is covered
_MOST_ATTACHED = 0.45  # of a line's length
_LEAST_LENGTH = 8  # pixels
_LEAST_EVEN = 0.4  # of a line's usual height: the height of its second or third lowest block
_SLIM, _SLIM_AT_EDGE, _THICK = 4, 9, 9  # rows: a line, one that the picture's edge cuts, any line
_FAT_ATTACHED, _FAT_EVEN = 0.1, 0.6  # a line that is not slim must have less beside it, and be as even
_DEEP = 19  # rows from the side: lines further in
_DEEP_ATTACHED, _DEEP_TILT = 0.03, 1  # must have nothing beside them, or hardly tilt
_CERTAIN_ROWS = 6  # lines as slim
_CERTAIN_EVEN, _CERTAIN_ATTACHED, _CERTAIN_COVERED = 0.7, 0.05, 0.95  # and as even, free and long are certain


@dataclass(frozen=True)
class Lines:
    """At most one printed line along each side of pictures, by axis and side as in `Candidates`.

    Attributes:
        is_line: whether there is one, bool [n, 2, 2].
        is_certain: whether it can be nothing else, bool [n, 2, 2].
        evenness: the height of its lowest blocks, of its usual height, float32 [n, 2, 2].
        contrast: how far it stands out, of 255, float32 [n, 2, 2].
        top: where it begins at each place along it, in pixels from the side, float32 [n, 2, 2, max(h, w)].
        bottom: where it ends, the same.
    """

    is_line: tf.Tensor
    is_certain: tf.Tensor
    evenness: tf.Tensor
    contrast: tf.Tensor
    top: tf.Tensor
    bottom: tf.Tensor

    def along_rows(self) -> "Lines":
        """These without the lines along columns."""
        is_row = tf.constant([[True], [False]])
        return replace(self, is_line=self.is_line & is_row, is_certain=self.is_certain & is_row)


def measure(level: tf.Tensor, extent: tf.Tensor, candidates: Candidates) -> Lines:
    """Look closely at the candidates of pictures, float32 [n, h, w], with heights and widths int32 [n, 2]."""
    first, last = _band(candidates)
    evenness = _evenness(candidates)
    size = tf.cast(extent, tf.float32)[:, :, None, None]
    length = size[:, ::-1]
    along = tf.range(tf.reduce_max(tf.shape(level)[1:]), dtype=tf.float32) + 0.5
    is_inside = along < length
    cell = size / ROWS
    tilt = (
        tf.cast(candidates.tilt, tf.float32)[..., None] * (along / length - 0.5) * (cell * (2 * BLOCKS / (BLOCKS - 1)))
    )
    margin = tf.maximum(1.0, _MARGIN * cell)
    top = tf.cast(first, tf.float32)[..., None] * cell + tilt - margin
    bottom = tf.cast(last + 1, tf.float32)[..., None] * cell + tilt + margin

    sign = tf.where(candidates.is_bright, 1.0, -1.0)[..., None]
    beside, on = _levels_at(level, extent, top, bottom, sign)
    usual_beside, usual_on = tf.unstack(_median(tf.stack([beside, on]), is_inside, extent[:, ::-1]))
    contrast = usual_on - usual_beside
    is_between = _between_others(candidates.found, top, bottom, is_inside) & ((along > 0.0) & is_inside)
    count = tf.reduce_sum(tf.cast(is_between, tf.int32), axis=-1)

    def share(chosen: tf.Tensor, of: tf.Tensor) -> tf.Tensor:
        hits = tf.reduce_sum(tf.cast(chosen & of, tf.float32), axis=-1)
        return hits / tf.maximum(tf.reduce_sum(tf.cast(of, tf.float32), axis=-1), 1.0)

    is_covered = on - usual_beside[..., None] > _INK_ON * contrast[..., None]
    is_attached = beside - usual_beside[..., None] > _INK_BESIDE * contrast[..., None]
    attached, covered = share(is_attached, is_between), share(is_covered, is_between)
    end = tf.maximum(count // _END_PARTS, 1)[..., None]
    place = tf.cumsum(tf.cast(is_between, tf.int32), axis=-1)
    at_start, at_end = is_between & (place <= end), is_between & (place > count[..., None] - end)
    reach = tf.minimum(share(is_covered, at_start), share(is_covered, at_end))

    rows = last - first + 1
    is_cut = (first == 0) | (last == ROWS - 1)
    is_slim = rows <= tf.where(is_cut, _SLIM_AT_EDGE, _SLIM)
    is_deep = tf.minimum(candidates.row, ROWS - 1 - candidates.row) >= _DEEP
    is_line = (
        candidates.found
        & (is_slim | ((attached <= _FAT_ATTACHED) & (evenness >= _FAT_EVEN)))
        & (~is_deep | (attached <= _DEEP_ATTACHED) | (tf.abs(candidates.tilt) <= _DEEP_TILT))
        & (contrast > 0.0)
        & (attached <= _MOST_ATTACHED)
        & (covered >= _LEAST_COVERED)
        & (rows <= _THICK)
        & (count >= _LEAST_LENGTH)
        & (reach >= _LEAST_REACH)
        & (evenness >= _LEAST_EVEN)
    )
    is_certain = (
        is_line
        & candidates.is_long
        & (attached <= _CERTAIN_ATTACHED)
        & (covered >= _CERTAIN_COVERED)
        & (evenness >= _CERTAIN_EVEN)
        & (rows <= _CERTAIN_ROWS)
    )
    # A short line is one of a frame.
    are_many = tf.reduce_sum(tf.cast(is_line, tf.int32), axis=[1, 2], keepdims=True) >= 3
    return Lines(is_line & (are_many | candidates.is_long), is_certain, evenness, contrast, top, bottom)


def probe(level: tf.Tensor, extent: tf.Tensor, place: tf.Tensor, axes: tuple[int, ...] = (0, 1)) -> tf.Tensor:
    """Levels of float32 [n, h, w] by linear interpolation across a line, float32 [n, len(axes), k, length].

    Args:
        level: the pictures.
        extent: their heights and widths, int32 [n, 2].
        place: pixels from the upper or left side, at each pixel along the line, float32 [n, len(axes), k, length].
        axes: 0 for lines along rows, 1 for those along columns.
    """
    height, width = tf.unstack(tf.shape(level)[1:])
    size, length = (tf.gather(values, axes, axis=1)[:, :, None, None] for values in (extent, extent[:, ::-1]))
    across, along = (tf.gather(steps, axes)[:, None, None] for steps in (tf.stack([width, 1]), tf.stack([1, width])))
    place = tf.clip_by_value(place - 0.5, 0.0, tf.cast(size - 1, tf.float32))
    before = tf.cast(place, tf.int32)
    part = place - tf.cast(before, tf.float32)
    picture = tf.range(tf.shape(level)[0])[:, None, None, None] * (height * width)
    first = picture + before * across + tf.minimum(tf.range(tf.shape(place)[3]), length - 1) * along
    second = tf.where(before + 1 < size, first + across, first)
    pixels = tf.reshape(level, [-1])
    return tf.gather(pixels, first) * (1.0 - part) + tf.gather(pixels, second) * part


def _band(candidates: Candidates) -> tuple[tf.Tensor, tf.Tensor]:
    """The first and the last row of the lines, int32 [n, 2, 2], in their middles."""
    reach = _MOST_ROWS + 1
    row = candidates.row[..., None] + tf.range(-reach, reach + 1)
    ordered = tf.sort(_heights_at(candidates, row), axis=-1)
    # Without the lowest block, as a digit may hide a line, and the three highest, as it may make it higher.
    height = tf.reduce_mean(ordered[..., 1 : BLOCKS - 3], axis=-1)
    height = tf.where((row >= 0) & (row < ROWS), height, -1.0)
    middle = height[..., reach - 1 : reach + 2]
    peak = tf.reduce_max(middle, axis=-1, keepdims=True)
    middle = tf.argmax(middle, axis=-1, output_type=tf.int32) + reach - 1
    around = tf.gather(height, middle[..., None] + tf.range(-_MOST_ROWS, _MOST_ROWS + 1), batch_dims=3)
    belongs = tf.cast(around > _FLANK * peak, tf.int32)
    above, below = belongs[..., _MOST_ROWS - 1 :: -1], belongs[..., _MOST_ROWS + 1 :]
    row = candidates.row + middle - reach
    return (
        row - tf.reduce_sum(tf.math.cumprod(above, axis=-1), axis=-1),
        row + tf.reduce_sum(tf.math.cumprod(below, axis=-1), axis=-1),
    )


def _evenness(candidates: Candidates) -> tf.Tensor:
    """The height of the third lowest block, of the median of all, float32 [n, 2, 2]."""
    row = tf.clip_by_value(candidates.row[..., None] + _offsets(candidates), 0, ROWS - 1)
    around = row[..., None, :] + tf.constant([[-1], [0], [1]])
    ordered = tf.sort(tf.reduce_max(_heights(candidates, around), axis=-2), axis=-1)
    return tf.math.divide_no_nan(2.0 * ordered[..., 2], ordered[..., BLOCKS // 2 - 1] + ordered[..., BLOCKS // 2])


def _heights_at(candidates: Candidates, row: tf.Tensor) -> tf.Tensor:
    """How far each block stands out, float32 [n, 2, 2, k, BLOCKS], along lines in rows int32 [n, 2, 2, k]."""
    return _heights(candidates, row[..., None] + _offsets(candidates)[..., None, :])


def _heights(candidates: Candidates, row: tf.Tensor) -> tf.Tensor:
    """The ridges of the candidates' sign, float32 [n, 2, 2, k, BLOCKS], in rows of each block, int32 of that shape."""
    picture = tf.range(tf.shape(row)[0])[:, None, None, None, None]
    profile = tf.constant([[0], [2]]) + tf.cast(candidates.is_bright, tf.int32)
    place = (picture * ROWS + tf.clip_by_value(row, 0, ROWS - 1)) * (2 * 2) + profile[..., None, None]
    place = place * BLOCKS + tf.range(BLOCKS)
    return tf.gather(tf.reshape(candidates.ridges, [-1]), place)


def _offsets(candidates: Candidates) -> tf.Tensor:
    """By how many rows the tilts move each block, int32 [n, 2, 2, BLOCKS]."""
    return tf.gather(tf.constant(OFFSETS), candidates.tilt + STEEPEST)


def _levels_at(
    level: tf.Tensor, extent: tf.Tensor, top: tf.Tensor, bottom: tf.Tensor, sign: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Levels beside lines, on the side of the digit, and the strongest across them; times `sign`, so that ink is high.

    Float32 [n, 2, 2, length] each.
    """
    beside = tf.stack([bottom[:, :, 0] + 0.5, top[:, :, 1] - 0.5], axis=2)
    middle, half = (top + bottom) / 2, (bottom - top) / 2 - 0.5
    steps = tf.linspace(-1.0, 1.0, _PROBES)[:, None]
    across = middle[..., None, :] + half[..., None, :] * steps
    shape = tf.shape(top)
    place = tf.concat([beside[..., None, :], across], axis=3)
    found = probe(level, extent, tf.reshape(place, [shape[0], 2, 2 * (1 + _PROBES), shape[3]]))
    found = tf.reshape(found, [shape[0], 2, 2, 1 + _PROBES, shape[3]]) * sign[..., None]
    return found[..., 0, :], tf.reduce_max(found[..., 1:, :], axis=-2)


def _median(values: tf.Tensor, is_inside: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Median along lines of int32 [n, 2] pixels, float32 [2, n, 2, 2], of float32 [2, n, 2, 2, length]."""
    ordered = tf.sort(tf.where(is_inside, values, values.dtype.max), axis=-1)
    middles = tf.stack([(length - 1) // 2, length // 2], axis=-1)[None, :, :, None]
    middles = tf.broadcast_to(middles, tf.concat([tf.shape(values)[:-1], [2]], axis=0))
    return tf.reduce_mean(tf.gather(ordered, middles, batch_dims=4), axis=-1)


def _between_others(found: tf.Tensor, top: tf.Tensor, bottom: tf.Tensor, is_inside: tf.Tensor) -> tf.Tensor:
    """Which places along lines lie between the candidates of the other axis, bool [n, 2, 1, length]."""
    after = tf.reduce_max(tf.where(is_inside, bottom, -1.0), axis=-1)[:, ::-1, 0]
    before = tf.reduce_min(tf.where(is_inside, top, top.dtype.max), axis=-1)[:, ::-1, 1]
    after = tf.where(found[:, ::-1, 0], after, -1.0)[:, :, None, None]
    before = tf.where(found[:, ::-1, 1], before, top.dtype.max)[:, :, None, None]
    along = tf.range(tf.shape(top)[3], dtype=tf.float32) + 0.5
    return (along > after) & (along < before) & is_inside
