"""Which way up a picture is, by its Exif, and turning it upright.

A camera stores the pixels as its sensor lies, and says in the tag Orientation how to show them (Exif 2.32, 4.6.4.A).
Exif is a TIFF file without a picture: the byte order, then where the first directory lies, which is a list of tags of
12 bytes each (TIFF 6.0, section 2).
"""

import tensorflow as tf

UPRIGHT = 1
"""The orientation of most pictures, and of all that do not state one."""

_BYTES_OF_ORDER = {"little": b"II*\0", "big": b"MM\0*"}
_ORIENTATION, _SHORT = 0x0112, 3  # the tag, and its type: a number of 16 bits
_MOST_TAGS = 128  # looked at; they are sorted, and few come before this one


def read_orientation(exif: tf.Tensor) -> tf.Tensor:
    """The orientation, int32 [], 1 to 8, that Exif, string [], from its byte order on, states; UPRIGHT for nonsense."""
    header = _octets(exif, tf.constant(0, tf.int64), 8)
    order = tf.strings.substr(exif, 0, 4)
    is_little = order == _BYTES_OF_ORDER["little"]

    def number(octets: tf.Tensor) -> tf.Tensor:
        """Of the last dimension, int64 [..., k], in this byte order."""
        step = tf.range(tf.shape(octets)[-1], dtype=tf.int64) * 8
        return tf.reduce_sum(tf.bitwise.left_shift(octets, tf.where(is_little, step, step[::-1])), axis=-1)

    size = tf.strings.length(exif, unit="BYTE")
    directory = _octets(exif, tf.minimum(number(header[4:8]), tf.cast(size, tf.int64)), 2 + 12 * _MOST_TAGS)
    tags = tf.reshape(directory[2:], [_MOST_TAGS, 12])
    is_orientation = (
        (tf.range(_MOST_TAGS, dtype=tf.int64) < number(directory[:2]))
        & (number(tags[:, 0:2]) == _ORIENTATION)
        & (number(tags[:, 2:4]) == _SHORT)
        & (number(tags[:, 4:8]) == 1)
    )
    stated = tf.reduce_max(tf.where(is_orientation, number(tags[:, 8:10]), 0))
    is_exif = is_little | (order == _BYTES_OF_ORDER["big"])
    return tf.cast(tf.where(is_exif & (stated >= 1) & (stated <= 8), stated, UPRIGHT), tf.int32)


def _octets(text: tf.Tensor, place: tf.Tensor, count: int) -> tf.Tensor:
    """So many bytes from a place on, int64 [count]; zeros where the text ends before."""
    piece = tf.strings.substr(text, place, tf.constant(count, tf.int64))
    return tf.cast(tf.io.decode_raw(piece, tf.uint8, fixed_length=count), tf.int64)


def _reversed(orientation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether what is above in the upright picture lies below, or at the right, as stored; and the same for left."""
    from_below = (orientation == 3) | (orientation == 4) | (orientation > 6)
    from_the_right = (orientation == 2) | (orientation == 3) | (orientation == 6) | (orientation == 7)
    return from_below, from_the_right


def window_as_stored(window: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Where a part of the upright picture lies before it is turned: top, left, bottom, right, float32 [4], 0 to 1."""
    from_below, from_the_right = _reversed(orientation)
    top, left, bottom, right = tf.unstack(window)
    top, bottom = tf.where(from_below, 1 - bottom, top), tf.where(from_below, 1 - top, bottom)
    left, right = tf.where(from_the_right, 1 - right, left), tf.where(from_the_right, 1 - left, right)
    return tf.where(orientation > 4, tf.stack([left, top, right, bottom]), tf.stack([top, left, bottom, right]))


def turn(rgba: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn a picture, uint8 [h, w, 4], upright: [h, w, 4] or, from orientation 5, [w, h, 4]."""

    def turned() -> tf.Tensor:
        height, width = tf.unstack(tf.shape(rgba)[:2])
        is_on_its_side = orientation > 4
        down = tf.range(tf.where(is_on_its_side, width, height))
        across = tf.range(tf.where(is_on_its_side, height, width))
        from_below, from_the_right = _reversed(orientation)
        down = tf.where(from_below, down[::-1], down)[:, None]
        across = tf.where(from_the_right, across[::-1], across)[None, :]
        place = tf.where(is_on_its_side, across * width + down, down * width + across)
        return tf.gather(tf.reshape(rgba, [-1, 4]), place)

    return tf.cond(orientation == UPRIGHT, lambda: rgba, turned)
