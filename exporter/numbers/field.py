"""From decoded pictures of one line of digits to ink at one height, straightened.

The paper is the grey closing of the picture: what is darker than it and slim is ink (Serra, Image Analysis and
Mathematical Morphology, 1982). How much darker, relative to the paper, is split in two by Otsu's threshold (Otsu, A
Threshold Selection Method from Gray-Level Histograms, 1979). This is done twice: at a coarse height, to find the rows
in which the line stands, then on these rows, brought to one height.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from exporter.contract import MAX_FIELD_WIDTH
from exporter.picture.colour import to_level
from exporter.picture.decode import Pictures
from exporter.picture.halve import halve_while
from exporter.picture.overview import Overview
from exporter.picture.paper import window_max
from exporter.picture.rules import off_rules

DIGIT_HEIGHT = 32
"""Rows of a canvas between which the line stands."""
HEIGHT = 56
"""Rows of a canvas: the line, and what reaches beyond it."""
MOST_COLUMNS = 2048
"""Of a canvas: MAX_DIGITS digits, each two heights wide."""
MARGIN = 4
"""Columns without ink on both sides of a canvas."""

_MOST_PIXELS = MAX_FIELD_WIDTH * 128  # as many are left of a picture while it is decoded
_COARSE_HEIGHT = 64
_COARSE_WINDOW, _WINDOW = 25, 17  # pixels: wider than a stroke
_BINS = 64  # of Otsu's histogram
_SOFTEST = 0.8  # of the threshold: fainter is no ink
_FULL = 0.8  # of the ink's mean level: as strong is full ink
_SPECK_WINDOW, _SPECK = 7, 9.0  # pixels: with less ink, in full pixels, in such a square around it, ink is a speck
_OUTLIERS = 0.02  # of the ink above and below the line
_LEAST_CONTRAST = 0.04  # of the paper's level, that the ink stands out
_SHEARS = np.arange(-6, 13, dtype=np.float32) / 10  # columns per row that are tried, upper ones to the right
_UPRIGHT = 0.02  # of the sharpness, per unit of slant: so much more a slanted line must be


@dataclass(frozen=True)
class Fields:
    """Lines of digits on canvases of one height.

    Attributes:
        ink: float32 [n, HEIGHT, w], 0 to 1, as it is.
        width: columns of each canvas that belong to its picture, int32 [n].
        slant: columns per row, float32 [n], by which upper rows lean to the right.
        has_ink: bool [n].
        origin: row and column of the picture at the canvas' upper left corner, float32 [n, 2].
        step: pixels of the picture for each of the canvas, float32 [n].
    """

    ink: tf.Tensor
    width: tf.Tensor
    slant: tf.Tensor
    has_ink: tf.Tensor
    origin: tf.Tensor
    step: tf.Tensor


def shrink(rgba: tf.Tensor) -> tf.Tensor:
    """Halve a picture, uint8 [h, w, 4], until a request of many fits into memory; digits keep their detail."""
    return halve_while(rgba, lambda size: (size[1] > MAX_FIELD_WIDTH) | (size[0] > _MOST_PIXELS // size[1]))


def to_fields(pictures: Pictures) -> Fields:
    """Bring pictures of one line of digits each to canvases."""
    level, extent = to_level(pictures, lambda canvas, extent: (tf.cast(canvas, tf.float32), extent))
    overview = Overview.of(level, extent)
    level, _ = off_rules(level, extent, overview, overview.reduce(level), upright=False)

    size = tf.cast(extent, tf.float32)
    step = tf.maximum(size[:, 0] / _COARSE_HEIGHT, size[:, 1] / MOST_COLUMNS)
    coarse = _resample(level, size, tf.zeros_like(size), step, _COARSE_HEIGHT)
    inside = _inside(coarse, size, tf.zeros_like(size), step)
    is_bright = _is_bright(coarse, inside)
    level = tf.where(is_bright[:, None, None], 255.0 - level, level)
    coarse = tf.where(is_bright[:, None, None], 255.0 - coarse, coarse)
    ink, _ = _to_ink(coarse, inside, _COARSE_WINDOW)

    top, bottom = _band(tf.reduce_sum(ink, axis=2))
    step = tf.maximum(step * (bottom - top) / DIGIT_HEIGHT, 1e-3)
    step = tf.maximum(step, size[:, 1] / (MOST_COLUMNS - 2 * MARGIN))
    middle = (top + bottom) / 2 * tf.maximum(size[:, 0] / _COARSE_HEIGHT, size[:, 1] / MOST_COLUMNS)
    origin = tf.stack([middle - step * (HEIGHT / 2), -MARGIN * step], axis=1)
    fine = _resample(level, size, origin, step, HEIGHT)
    inside = _inside(fine, size, origin, step)
    ink, has_ink = _to_ink(fine, inside, _WINDOW)
    width = tf.cast(tf.math.ceil(size[:, 1] / step), tf.int32) + 2 * MARGIN
    return Fields(ink, width, _slant(ink), has_ink, origin, step)


def sheared(ink: tf.Tensor, shear: tf.Tensor) -> tf.Tensor:
    """Move each row of float32 [n, HEIGHT, w] so that a line that leans by `shear`, float32 [n], stands upright."""
    width = tf.shape(ink)[2]
    place = tf.range(width, dtype=tf.float32) + lean(shear)[:, :, None]
    before = tf.floor(place)
    part = place - before
    index = tf.cast(before, tf.int32)

    def at(index: tf.Tensor) -> tf.Tensor:
        found = tf.gather(ink, tf.clip_by_value(index, 0, width - 1), axis=2, batch_dims=2)
        return found * tf.cast((index >= 0) & (index < width), tf.float32)

    return at(index) * (1.0 - part) + at(index + 1) * part


def lean(shear: tf.Tensor) -> tf.Tensor:
    """By how many columns each row is moved to the left by `sheared`, float32 [n, HEIGHT], of float32 [n]."""
    rows = (HEIGHT - 1) / 2 - tf.range(HEIGHT, dtype=tf.float32)
    return shear[:, None] * rows


def _resample(level: tf.Tensor, size: tf.Tensor, origin: tf.Tensor, step: tf.Tensor, height: int) -> tf.Tensor:
    """Levels, float32 [n, height, w], from `origin` on, one each `step` pixels; beyond its sides a picture goes on."""
    columns = (size[:, 1] - 2 * origin[:, 1]) / step
    width = tf.cast(tf.math.ceil(tf.reduce_max(columns)), tf.int32)
    rows = _weights(origin[:, 0], step, size[:, 0], tf.constant(height), tf.shape(level)[1])
    columns = _weights(origin[:, 1], step, size[:, 1], width, tf.shape(level)[2])
    return tf.matmul(tf.matmul(rows, level), columns, transpose_b=True)


def _weights(first: tf.Tensor, step: tf.Tensor, size: tf.Tensor, count: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Weights, float32 [n, count, length], of a triangle as wide as two steps, or two pixels; rows sum to 1."""
    where = first[:, None] + (tf.range(count, dtype=tf.float32) + 0.5) * step[:, None]
    where = tf.clip_by_value(where, 0.5, size[:, None] - 0.5)
    source = tf.range(length, dtype=tf.float32) + 0.5
    reach = tf.maximum(step, 1.0)[:, None, None]
    weights = tf.nn.relu(reach - tf.abs(source - where[:, :, None]))
    weights *= tf.cast(source < size[:, None, None], tf.float32)
    return weights / tf.reduce_sum(weights, axis=2, keepdims=True)


def _inside(canvas: tf.Tensor, size: tf.Tensor, origin: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Which pixels of a canvas belong to its picture, float32 [n, h, w], 0 or 1."""

    def along(axis: int) -> tf.Tensor:
        place = tf.range(tf.shape(canvas)[axis + 1], dtype=tf.float32) + 0.5
        place = origin[:, axis, None] + place * step[:, None]
        return tf.cast((place > 0) & (place < size[:, axis, None]), tf.float32)

    return along(0)[:, :, None] * along(1)[:, None, :]


def _is_bright(level: tf.Tensor, inside: tf.Tensor) -> tf.Tensor:
    """Whether the ink is brighter than its paper, bool [n]: the side to which slim things stand out further."""
    mean = tf.math.divide_no_nan(_sum_around(level * inside, _WINDOW), _sum_around(inside, _WINDOW))
    deviation = (level - mean) * inside
    bright, dark = (tf.reduce_sum(tf.nn.relu(side) * tf.square(side), axis=[1, 2]) for side in (deviation, -deviation))
    return bright > dark


def _sum_around(values: tf.Tensor, window: int) -> tf.Tensor:
    """Sums over a square around each place of float32 [n, h, w]; beyond its sides there is nothing."""
    for axis in (1, 2):
        around = [[0, 0]] * 3
        around[axis] = [window // 2 + 1, window // 2]
        total = tf.cumsum(tf.pad(values, around), axis=axis)
        length = tf.shape(values)[axis]
        before, after = tf.range(length), tf.range(length) + window
        values = tf.gather(total, after, axis=axis) - tf.gather(total, before, axis=axis)
    return values


def _to_ink(level: tf.Tensor, inside: tf.Tensor, window: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Ink, float32 [n, h, w], 0 to 1, of dark lines on bright paper; and whether there is any, bool [n]."""
    blurred = tf.nn.avg_pool2d(level[..., None], 3, 1, "SAME")[..., 0]
    paper = -window_max(-window_max(tf.where(inside > 0, blurred, 0.0), window), window)
    stands_out = tf.nn.relu(paper - level) / tf.maximum(paper, 16.0) * inside
    threshold = _otsu(stands_out, inside)
    is_ink = tf.cast(stands_out > threshold[:, None, None], tf.float32)
    mean = tf.math.divide_no_nan(tf.reduce_sum(stands_out * is_ink, axis=[1, 2]), tf.reduce_sum(is_ink, axis=[1, 2]))
    low = _SOFTEST * threshold
    high = tf.maximum(_FULL * mean, low + 1e-3)
    ink = tf.clip_by_value((stands_out - low[:, None, None]) / (high - low)[:, None, None], 0.0, 1.0)
    # Grain of the paper and dots of its print are small; left in, they would stretch the boxes of digits.
    ink *= tf.cast(_sum_around(ink, _SPECK_WINDOW) > _SPECK, tf.float32)
    has_ink = mean > _LEAST_CONTRAST
    return ink * tf.cast(has_ink, tf.float32)[:, None, None], has_ink


def _otsu(values: tf.Tensor, inside: tf.Tensor) -> tf.Tensor:
    """Thresholds, float32 [n], that split float32 [n, h, w], 0 to 1, best in two classes."""
    count = tf.shape(values)[0]
    most = tf.maximum(tf.reduce_max(values, axis=[1, 2]), 1e-6)
    place = tf.cast(values * ((_BINS - 1e-3) / most)[:, None, None], tf.int32)
    place += tf.range(count)[:, None, None] * _BINS
    histogram = tf.math.unsorted_segment_sum(tf.reshape(inside, [-1]), tf.reshape(place, [-1]), count * _BINS)
    histogram = tf.reshape(histogram, [count, _BINS])
    share = histogram / tf.maximum(tf.reduce_sum(histogram, axis=1, keepdims=True), 1.0)
    middles = (tf.range(_BINS, dtype=tf.float32) + 0.5) / _BINS
    below, mean_below = tf.cumsum(share, axis=1), tf.cumsum(share * middles, axis=1)
    mean = mean_below[:, -1:]
    between = tf.math.divide_no_nan(tf.square(mean * below - mean_below), below * (1.0 - below))
    best = tf.cast(tf.argmax(between, axis=1, output_type=tf.int32) + 1, tf.float32)
    return best / _BINS * most


def _band(profile: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The first and the last row of a line, float32 [n], of the ink in rows, float32 [n, h]; at least four apart."""
    total = tf.cumsum(profile, axis=1)
    share = total / tf.maximum(total[:, -1:], 1e-6)
    top = tf.reduce_sum(tf.cast(share < _OUTLIERS, tf.float32), axis=1)
    bottom = tf.reduce_sum(tf.cast(share < 1.0 - _OUTLIERS, tf.float32), axis=1) + 1.0
    lacking = tf.nn.relu(4.0 - (bottom - top)) / 2
    return top - lacking, bottom + lacking


def _slant(ink: tf.Tensor) -> tf.Tensor:
    """Columns per row, float32 [n], by which strokes lean: the shear that makes the sums of columns most uneven."""
    # At half the size; pictures last, so that what is gathered lies together.
    half = tf.transpose(tf.nn.avg_pool2d(ink[..., None], 2, 2, "VALID")[..., 0], [1, 2, 0])
    rows, width = HEIGHT // 2, tf.shape(half)[1]
    shift = tf.constant(np.rint(_SHEARS[:, None] * ((rows - 1) / 2 - np.arange(rows))).astype(np.int32))
    place = tf.range(width) + shift[:, :, None]
    place = tf.where((place >= 0) & (place < width), place + tf.range(rows)[:, None] * width, rows * width)
    flat = tf.pad(tf.reshape(half, [rows * width, -1]), [[0, 1], [0, 0]])
    sums = tf.reduce_sum(tf.gather(flat, place), axis=1)  # [k, w, n]
    sharpness = tf.reduce_sum(tf.square(sums), axis=1)
    sharpness *= 1.0 - _UPRIGHT * tf.abs(tf.constant(_SHEARS))[:, None]
    return tf.gather(tf.constant(_SHEARS), tf.argmax(sharpness, axis=0))
