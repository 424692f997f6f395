"""A second, closer look at small digits in large pictures.

Large pictures are made small before anybody knows where the digit is. One that is a tenth as high as its photograph is
then ten pixels high. Where the first look has found such a digit, its surroundings alone are decoded again, with as
many pixels as the whole picture had, and brought into MNIST's form.
"""

import tensorflow as tf

from exporter.picture.decode import Pictures, decode, decode_windows
from exporter.picture.normalise import normalise

_LARGE = 128  # pixels of the longer side: a larger picture may have been larger still
_AROUND = 3.0  # times the longer side of the digit's box: so much of the paper around it tells what is ink


def read(image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Decode images, string [n], and bring them into MNIST's form.

    Returns:
        code: error number of each image, int32 [n]; BLANK is not among them yet.
        index: places in the batch of the m images that could be decoded, int64 [m].
        field: those in MNIST's form, float32 [m, 28, 28], 0 to 1.
        has_ink: whether there is anything, bool [m].
    """
    code, index, pictures = decode(image_bytes)
    field, has_ink, box = normalise(pictures)
    small, windows = windows_around(box, pictures)

    def closer() -> tf.Tensor:
        read_again, parts = decode_windows(tf.gather(image_bytes, tf.gather(index, small)), windows)
        again, has_more, _ = normalise(parts)
        # A digit that a closer look does not find is left as it was.
        better = tf.where(has_more)[:, 0]
        where = tf.gather(small, tf.gather(read_again, better))[:, None]
        return tf.tensor_scatter_nd_update(field, where, tf.gather(again, better))

    return code, index, tf.cond(tf.size(small) > 0, closer, lambda: field), has_ink


def windows_around(box: tf.Tensor, pictures: Pictures) -> tuple[tf.Tensor, tf.Tensor]:
    """Which of m pictures are worth a closer look, and where.

    Args:
        box: where their digits are if these are small, float32 [m, 4], as `normalise` gives it.
        pictures: what `decode` made of them.

    Returns:
        Their places, int64 [k], and squares around the digits: top, left, bottom and right, float32 [k, 4], 0 to 1.
    """
    small = tf.where((box[:, 2] > 0) & (tf.reduce_max(pictures.extent, axis=1) > _LARGE))[:, 0]
    pixels = tf.tile(tf.cast(tf.gather(pictures.extent, small), tf.float32), [1, 2])
    corners = tf.gather(box, small) * pixels
    centre = (corners[:, :2] + corners[:, 2:]) / 2
    reach = tf.reduce_max(corners[:, 2:] - corners[:, :2], axis=1, keepdims=True) * (_AROUND / 2)
    return small, tf.clip_by_value(tf.concat([centre - reach, centre + reach], axis=1) / pixels, 0.0, 1.0)
