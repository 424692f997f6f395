"""Halving large pictures cheaply: four colours of eight bits at once, as one word of 32 bits.

The mean of two words, byte by byte without carries: `(a & b) + ((a ^ b) >> 1)` rounds down, and
`(a | b) - ((a ^ b) >> 1)` up, with the lowest bit of each byte masked before the shift (Dietz, The Aggregate Magic
Algorithms). One after the other they balance. It is many times faster than a resize, and as good for halving.
"""

from collections.abc import Callable

import tensorflow as tf

OPAQUE = 255
"""Alpha of an opaque pixel."""

LARGE = 160
"""Pictures with a longer side, in pixels, have detail to spare: a digit needs 20."""

_HIGH_BITS = 0xFEFEFEFE
_EVERY_OTHER = 0x00FF00FF00FF00FF  # octet


def halve_until(rgba: tf.Tensor, side: int) -> tf.Tensor:
    """Halve a picture, uint8 [h, w, 4], until neither side is longer than `side` pixels; odd ends are cut off.

    Transparent pixels' colours count by their alpha.
    """
    return halve_while(rgba, lambda size: tf.reduce_max(size) > side)


def halve_while(rgba: tf.Tensor, is_large: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """The same as long as a condition on height and width, int32 [2], holds."""
    return tf.cond(is_large(tf.shape(rgba)[:2]), lambda: _reduce(rgba, is_large), lambda: rgba)


def halve_large(level: tf.Tensor, extent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Halve those of a batch of pictures, uint8 or float32 [n, h, w], that are longer than LARGE pixels.

    Returns:
        The pictures, float32, and their heights and widths, int32 [n, 2], of which `extent` gives those before.
    """
    # A line of pixels cannot be halved across.
    is_large = (tf.reduce_max(extent, axis=1) > LARGE) & (tf.reduce_min(extent, axis=1) > 1)
    left = tf.where(is_large[:, None], tf.maximum(extent // 2, 1), extent)

    def halved() -> tf.Tensor:
        height, width = tf.unstack(tf.reduce_max(left, axis=0))
        mean = _mean_of_octets if level.dtype == tf.uint8 else _mean_of_pairs
        means = fit(mean(level), height, width)
        return tf.cond(
            tf.reduce_all(is_large),
            lambda: means,
            lambda: tf.where(is_large[:, None, None], means, fit(tf.cast(level, tf.float32), height, width)),
        )

    return tf.cond(tf.reduce_any(is_large), halved, lambda: tf.cast(level, tf.float32)), left


def _mean_of_octets(level: tf.Tensor) -> tf.Tensor:
    """Means of 2x2 pixels, uint8 [n, h, w] to float32 [n, h / 2, w / 2].

    Eight pixels are a word of 64 bits, four sums of 16 bits: half the time of `_mean_of_pairs`.
    """
    height, width = tf.unstack(tf.shape(level)[1:] // 2)
    words = (width + 3) // 4  # of a row
    octets = tf.reshape(fit(level, height * 2, words * 8), [-1, height, words * 2, 8])
    eight = tf.bitcast(octets, tf.uint64)
    pairs = (eight & _EVERY_OTHER) + (tf.bitwise.right_shift(eight, tf.constant(8, tf.uint64)) & _EVERY_OTHER)
    sums = tf.bitcast(pairs[:, :, :words] + pairs[:, :, words:], tf.uint16)
    return tf.cast(tf.reshape(sums, [-1, height, words * 4])[:, :, :width], tf.float32) * 0.25


def _mean_of_pairs(level: tf.Tensor) -> tf.Tensor:
    """Means of 2x2 pixels, float32 [n, h, w] to [n, h / 2, w / 2]; strided slices would take ten times as long."""
    height, width = tf.unstack(tf.shape(level)[1:] // 2)
    level = level[:, : height * 2, : width * 2]
    # Two rows are one of twice the length, whose halves are added.
    pairs = tf.reshape(level, [-1, height, width * 4])
    rows = pairs[:, :, : width * 2] + pairs[:, :, width * 2 :]
    left, right = tf.unstack(tf.reshape(rows, [-1, height, width, 2]), axis=-1)
    return (left + right) * 0.25


def fit(level: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """The upper left corner, height x width, of pictures, [n, h, w]; zeros where their canvas ends before."""
    level = level[:, :height, :width]
    return tf.pad(level, [[0, 0], [0, height - tf.shape(level)[1]], [0, width - tf.shape(level)[2]]])


def _reduce(rgba: tf.Tensor, is_large: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    is_opaque = tf.reduce_all(rgba[..., 3] == OPAQUE)
    weighted = tf.cond(is_opaque, lambda: rgba, lambda: _weigh(rgba))
    small = tf.while_loop(
        lambda words: is_large(tf.shape(words)),
        lambda words: [_halve(words)],
        [tf.bitcast(weighted, tf.uint32)],
        shape_invariants=[tf.TensorShape([None, None])],
    )[0]
    halved = tf.bitcast(small, tf.uint8)
    return tf.cond(is_opaque, lambda: halved, lambda: _unweigh(halved))


def _halve(words: tf.Tensor) -> tf.Tensor:
    """Means of 2x2 pixels, uint32 [h, w] to [h / 2, w / 2]; a side of 1 stays."""
    return _halve_columns(_halve_rows(words))


def _halve_rows(words: tf.Tensor) -> tf.Tensor:
    height, width = tf.unstack(tf.shape(words))

    def means() -> tf.Tensor:
        pairs = tf.reshape(words[: height // 2 * 2], [height // 2, width * 2])
        return _mean_down(pairs[:, :width], pairs[:, width:])

    return tf.cond(height > 1, means, lambda: words)


def _halve_columns(words: tf.Tensor) -> tf.Tensor:
    height, width = tf.unstack(tf.shape(words))

    def means() -> tf.Tensor:
        pairs = tf.bitcast(tf.reshape(words[:, : width // 2 * 2], [height, width // 2, 2]), tf.uint64)
        return _mean_up(tf.cast(pairs & 0xFFFFFFFF, tf.uint32), tf.cast(tf.bitwise.right_shift(pairs, 32), tf.uint32))

    return tf.cond(width > 1, means, lambda: words)


def _mean_down(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return (one & other) + tf.bitwise.right_shift((one ^ other) & _HIGH_BITS, 1)


def _mean_up(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return (one | other) - tf.bitwise.right_shift((one ^ other) & _HIGH_BITS, 1)


def _weigh(rgba: tf.Tensor) -> tf.Tensor:
    """Colours multiplied by alpha."""
    colours = tf.cast(rgba, tf.float32)
    alpha = colours[..., 3:]
    return tf.cast(tf.round(tf.concat([colours[..., :3] * (alpha / OPAQUE), alpha], axis=-1)), tf.uint8)


def _unweigh(rgba: tf.Tensor) -> tf.Tensor:
    colours = tf.cast(rgba, tf.float32)
    alpha = colours[..., 3:]
    full = tf.minimum(tf.math.divide_no_nan(colours[..., :3] * OPAQUE, alpha), float(OPAQUE))
    return tf.cast(tf.round(tf.concat([full, alpha], axis=-1)), tf.uint8)
