"""A second, closer look at small digits in large pictures.

Large pictures are made small before anybody knows where the digit is. One that is a tenth as high as its photograph is
then ten pixels high. Where the first look has found such a digit, its surroundings alone are decoded again, with as
many pixels as the whole picture had, and brought into MNIST's form.
"""

import tensorflow as tf

from exporter.contract import SIDE
from exporter.picture.decode import Pictures, decode, decode_windows
from exporter.picture.normalise import normalise

_LARGE = 128  # pixels of the longer side: a larger picture may have been larger still
_FIRST, _LAST = 1, 2  # look
# Of what one look hands on to the next.
_SHAPES: tuple[list[int | None], ...] = (
    [], [None] * 3, [None, None, None, 4], [None, 2], [None], [None, SIDE, SIDE], [None],
)  # fmt: skip
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
    count = tf.size(index)
    state = (
        tf.constant(_FIRST),
        pictures.grey,
        pictures.colour,
        pictures.extent,
        tf.range(tf.cast(count, tf.int64)),
        tf.zeros([count, SIDE, SIDE]),
        tf.zeros([count], tf.bool),
    )

    def look(number: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        grey, colour, extent, where, field, has_ink = rest
        looked_at = Pictures(grey, colour, extent)
        found, holds, box = normalise(looked_at)
        # A digit that a closer look does not find is left as it was.
        kept = tf.where(holds | (number == _FIRST))[:, 0]
        places = tf.gather(where, kept)[:, None]
        field = tf.tensor_scatter_nd_update(field, places, tf.gather(found, kept))
        has_ink = tf.tensor_scatter_nd_update(has_ink, places, tf.gather(holds, kept))
        box *= tf.cast(number < _LAST, tf.float32)
        closer, where = _come_closer(image_bytes, index, where, looked_at, box)
        return number + 1, closer.grey, closer.colour, closer.extent, where, field, has_ink

    # A loop, though it ends after the second look: the graph holds the normaliser once.
    *_, field, has_ink = tf.while_loop(
        lambda number, _grey, _colour, extent, *_: (number <= _LAST) & ((number == _FIRST) | (tf.size(extent) > 0)),
        look,
        state,
        shape_invariants=tuple(tf.TensorShape(shape) for shape in _SHAPES),
    )
    return code, index, field, has_ink


def _come_closer(
    image_bytes: tf.Tensor, index: tf.Tensor, where: tf.Tensor, pictures: Pictures, box: tf.Tensor
) -> tuple[Pictures, tf.Tensor]:
    """Decode the surroundings of small digits once more; and which of the pictures of the batch they belong to."""
    small, windows = windows_around(box, pictures)
    nothing = (tf.zeros([0], tf.int64), tf.zeros([0, 1, 1, 4], tf.uint8), tf.zeros([0, 2], tf.int32))

    def again() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        places = tf.gather(where, small)
        decoded, parts = decode_windows(tf.gather(image_bytes, tf.gather(index, places)), windows)
        return tf.gather(places, decoded), parts.colour, parts.extent

    places, colour, extent = tf.cond(tf.size(small) > 0, again, lambda: nothing)
    return Pictures(tf.zeros([0, 1, 1], tf.uint8), colour, extent), places


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
