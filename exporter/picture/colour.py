"""From colours and transparency to one number for each pixel, along the way from the paper's colour to the ink's."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from exporter.picture.decode import Pictures
from exporter.picture.halve import OPAQUE, fit, halve_large
from exporter.picture.overview import SIZE, Overview, border_of, pixels_inside

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_SOLID = 0.65  # of their bounding box: visible pixels that fill so much of it are a patch of paper, not strokes
_PATTERNED = 12.0  # deviation of grey levels, of 255, from which a patch has something written on it; strokes are plain
_POWER_STEPS = 4

Reduce = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""From pictures, uint8 or float32 [n, h, w], and extents, int32 [n, 2], to the same, float32."""


def to_level(pictures: Pictures, reduce: Reduce = halve_large) -> tuple[tf.Tensor, tf.Tensor]:
    """One number for each pixel of n pictures; which end is the ink is not known yet. Large pictures are halved.

    Args:
        pictures: the decoded pictures.
        reduce: halves those that are large.

    Returns:
        Levels, float32 [n, h, w], 0 to 255, 0 outside, and heights and widths, int32 [n, 2].
    """
    greys = tf.shape(pictures.grey)[0]
    # While they are octets still: as floats they would take four times as long to read.
    grey, grey_extent = reduce(pictures.grey, pictures.extent[:greys])

    def with_colour() -> tuple[tf.Tensor, tf.Tensor]:
        extent = pictures.extent[greys:]
        coloured, extent = reduce(_project(pictures.colour, extent), extent)
        height, width = tf.unstack(tf.maximum(tf.shape(grey)[1:], tf.shape(coloured)[1:]))
        level = tf.concat([fit(grey, height, width), fit(coloured, height, width)], axis=0)
        return level, tf.concat([grey_extent, extent], axis=0)

    found: tuple[tf.Tensor, tf.Tensor] = tf.cond(
        tf.shape(pictures.colour)[0] > 0, with_colour, lambda: (grey, grey_extent)
    )
    return found


def _project(canvas: tf.Tensor, extent: tf.Tensor) -> tf.Tensor:
    inside = pixels_inside(canvas, extent)
    overview = Overview.of(canvas, extent)
    colours = tf.cast(canvas, tf.float32)
    rgb, alpha = colours[..., :3], colours[..., 3] * (inside / OPAQUE)
    fill = _fill(rgb, alpha)
    weights = _ink_direction(rgb, alpha, fill, overview)
    visible = alpha * tf.reduce_sum(rgb * weights[:, None, None, :], axis=-1)
    return visible + (inside - alpha) * tf.reduce_sum(fill * weights, axis=1)[:, None, None]


def _fill(rgb: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """The colour, float32 [n, 3], that transparency gets.

    Strokes on nothing: black or white, whichever contrasts with them. A patch of paper on nothing: the paper's colour.
    """
    visible = tf.maximum(tf.reduce_sum(alpha, axis=[1, 2]), 1e-6)
    mean = tf.reduce_sum(rgb * alpha[..., None], axis=[1, 2]) / visible[:, None]
    mean_luma = tf.reduce_sum(mean * _LUMA, axis=1)
    contrast = tf.where(mean_luma < 128.0, 255.0, 0.0)[:, None] * tf.ones([1, 3])

    deviation = tf.reduce_sum(rgb * _LUMA, axis=-1) - mean_luma[:, None, None]
    spread = tf.sqrt(tf.reduce_sum(alpha * tf.square(deviation), axis=[1, 2]) / visible)
    seen = alpha > 0.5
    height = tf.reduce_sum(tf.cast(tf.reduce_any(seen, axis=2), tf.float32), axis=1)
    width = tf.reduce_sum(tf.cast(tf.reduce_any(seen, axis=1), tf.float32), axis=1)
    is_patch = (visible > _SOLID * height * width) & (spread > _PATTERNED)

    brighter = alpha * tf.cast(deviation > 0, tf.float32)
    mostly_bright = tf.reduce_sum(brighter, axis=[1, 2]) > 0.5 * visible
    majority = tf.where(mostly_bright[:, None, None], brighter, alpha - brighter)
    count = tf.maximum(tf.reduce_sum(majority, axis=[1, 2]), 1e-6)
    paper = tf.reduce_sum(rgb * majority[..., None], axis=[1, 2]) / count[:, None]
    return tf.where(is_patch[:, None], paper, contrast)


def _ink_direction(rgb: tf.Tensor, alpha: tf.Tensor, fill: tf.Tensor, overview: Overview) -> tf.Tensor:
    """Weights of red, green and blue, float32 [n, 3], magnitudes summing to 1: equal for grey, blue alone for yellow.

    The first principal axis of the cells' differences from the border's median colour, strong ones counting more, found
    by power iteration from the axis of luminance.
    """
    share = overview.reduce(alpha)
    channels = [overview.reduce(rgb[..., channel] * alpha) for channel in range(3)]
    cells = tf.stack(channels, axis=-1) + (1.0 - share)[..., None] * fill[:, None, None, :]
    difference = cells - tf.sort(border_of(cells), axis=1)[:, None, None, 2 * SIZE]
    strong = difference * tf.norm(difference, axis=-1, keepdims=True)
    flat = tf.reshape(strong, [-1, SIZE * SIZE, 3])
    scatter = tf.matmul(flat, flat, transpose_a=True)
    axis = tf.ones_like(fill) * (_LUMA / np.linalg.norm(_LUMA))
    for _ in range(_POWER_STEPS):
        turned = tf.linalg.matvec(scatter, axis)
        length = tf.norm(turned, axis=1, keepdims=True)
        axis = tf.where(length > 1e-3, turned / tf.maximum(length, 1e-9), axis)
    return axis / tf.reduce_sum(tf.abs(axis), axis=1, keepdims=True)
