"""Which pictures are in MNIST's own form already: they pass as they are, and cheaply."""

import numpy as np
import tensorflow as tf

from exporter.contract import SIDE
from exporter.picture.halve import OPAQUE, fit

BOX = 20
"""Longest side of the ink in MNIST's form, in pixels."""

CENTRE = 14.5
"""From the field's edge: MNIST's centres of mass lie within half a pixel of it, on its training set."""

_OFF_CENTRE = 0.75  # pixels
_FAINT = 0.2  # of white: fainter pixels do not stretch the box
_FULL = 0.8  # of white: some pixel is as white

_PLACES = np.arange(SIDE, dtype=np.float32)
_MASS_AND_MOMENT = np.stack([np.ones_like(_PLACES), _PLACES + 0.5], axis=1)
# From the first to the last occupied place is as far as from one end to the last, and from the other end to the first.
_REACH = np.stack([_PLACES + 1, SIDE - _PLACES])


def mnist_form(level: tf.Tensor, extent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What images in MNIST's own form hold, float32 [n, 28, 28], 0 to 1, in either polarity; and which are, bool [n].

    28x28 on pure black or white, with some full ink, a box of 20 but for what faint edges hide, centred to the pixel.

    Args:
        level: float32 [n, h, w], 0 to 255.
        extent: height and width of each picture, int32 [n, 2].
    """
    is_field = tf.reduce_all(extent == SIDE, axis=1)

    def judged() -> tuple[tf.Tensor, tf.Tensor]:
        light = fit(level, SIDE, SIDE) / OPAQUE
        corner = light[:, :1, :1]
        paper = tf.round(corner)
        field = tf.abs(light - paper)
        # Rows and columns side by side: one image's operations cost more than what they compute.
        most = tf.stack([tf.reduce_max(field, axis=2), tf.reduce_max(field, axis=1)], axis=1)
        sums = tf.stack([tf.reduce_sum(field, axis=2), tf.reduce_sum(field, axis=1)], axis=1)
        reach = tf.reduce_max(tf.cast(most > _FAINT, tf.float32)[:, :, None] * _REACH, axis=3)
        side = tf.reduce_max(tf.reduce_sum(reach, axis=2), axis=1) - SIDE
        mass, moment = tf.unstack(tf.matmul(sums, _MASS_AND_MOMENT[None]), axis=2)
        off_centre = tf.abs(moment / tf.maximum(mass, 1e-6) - CENTRE)
        as_it_is = (
            is_field
            & (tf.abs(corner - paper)[:, 0, 0] < 0.5 / OPAQUE)
            & (tf.reduce_max(most, axis=[1, 2]) >= _FULL)
            & (tf.abs(side - (BOX - 1)) <= 1.0)
            & (tf.reduce_max(off_centre, axis=1) <= _OFF_CENTRE)
        )
        return field, as_it_is

    nothing = tf.zeros([tf.size(is_field), SIDE, SIDE])
    found: tuple[tf.Tensor, tf.Tensor] = tf.cond(tf.reduce_any(is_field), judged, lambda: (nothing, is_field))
    return found
