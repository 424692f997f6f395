"""A second, closer look at small digits in large pictures.

Large pictures are made small before anybody knows where the digit is. One that is a tenth as high as its photograph is
then ten pixels high. Where the first look has found such a digit, its surroundings alone are decoded again, with as
many pixels as the whole picture had, and brought into MNIST's form.
"""

import tensorflow as tf

from exporter.contract import SIDE
from exporter.picture.colour import to_level
from exporter.picture.decode import decode, decode_windows
from exporter.picture.normalise import examine, normalise

_LARGE = 128  # pixels of the longer side: a larger picture may have been larger still
_FIRST, _LAST = 1, 2  # look
# Of what one look hands on to the next.
_SHAPES: tuple[list[int | None], ...] = (
    [], [None] * 3, [None, 2], [None, 2], [None], [None, SIDE, SIDE], [None],
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

    def look(level: tf.Tensor, extent: tf.Tensor, others: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.gather(image_bytes, tf.gather(index, others))
        return _look_closely(images, level, extent, tf.gather(pictures.extent, others))

    return code, index, *normalise(pictures, look)


def _look_closely(
    images: tf.Tensor, level: tf.Tensor, extent: tf.Tensor, decoded: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Bring pictures into MNIST's form, small digits after another look.

    Args:
        images: encoded, string [m].
        level: float32 [m, h, w], as `to_level` gives it.
        extent: their heights and widths, int32 [m, 2].
        decoded: the same as they were decoded, int32 [m, 2].

    Returns:
        float32 [m, 28, 28], 0 to 1, and whether there is any ink, bool [m].
    """
    count = tf.shape(level)[0]
    state = (
        tf.constant(_FIRST),
        level,
        extent,
        decoded,
        tf.range(tf.cast(count, tf.int64)),
        tf.zeros([count, SIDE, SIDE]),
        tf.zeros([count], tf.bool),
    )

    def look(number: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        level, extent, decoded, where, field, has_ink = rest
        steps = examine(level, extent)
        # A digit that a closer look does not find is left as it was.
        kept = tf.where(steps["has_ink"] | (number == _FIRST))[:, 0]
        places = tf.gather(where, kept)[:, None]
        field = tf.tensor_scatter_nd_update(field, places, tf.gather(steps["field"], kept))
        has_ink = tf.tensor_scatter_nd_update(has_ink, places, tf.gather(steps["has_ink"], kept))
        box = steps["small"] * tf.cast(number < _LAST, tf.float32)
        closer = _come_closer(images, where, decoded, box)
        return number + 1, *closer, field, has_ink

    # A loop, though it ends after the second look: the graph holds the normaliser once.
    *_, field, has_ink = tf.while_loop(
        lambda number, _level, extent, *_: (number <= _LAST) & (tf.size(extent) > 0),
        look,
        state,
        shape_invariants=tuple(tf.TensorShape(shape) for shape in _SHAPES),
    )
    return field, has_ink


def _come_closer(
    images: tf.Tensor, where: tf.Tensor, decoded: tf.Tensor, box: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Decode the surroundings of small digits once more.

    Returns:
        Their levels, heights and widths, these as they were decoded, and which of the images they belong to.
    """
    small, windows = windows_around(box, decoded)

    def again() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        places = tf.gather(where, small)
        found, parts = decode_windows(tf.gather(images, places), windows)
        return *to_level(parts), parts.extent, tf.gather(places, found)

    def nothing() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        return tf.zeros([0, 1, 1]), tf.zeros([0, 2], tf.int32), tf.zeros([0, 2], tf.int32), tf.zeros([0], tf.int64)

    closer: tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor] = tf.cond(tf.size(small) > 0, again, nothing)
    return closer


def windows_around(box: tf.Tensor, extent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which of m pictures are worth a closer look, and where.

    Args:
        box: where their digits are if these are small, float32 [m, 4], as `examine` gives it.
        extent: heights and widths of the decoded pictures, int32 [m, 2].

    Returns:
        Their places, int64 [k], and squares around the digits: top, left, bottom and right, float32 [k, 4], 0 to 1.
    """
    small = tf.where((box[:, 2] > 0) & (tf.reduce_max(extent, axis=1) > _LARGE))[:, 0]
    pixels = tf.tile(tf.cast(tf.gather(extent, small), tf.float32), [1, 2])
    corners = tf.gather(box, small) * pixels
    centre = (corners[:, :2] + corners[:, 2:]) / 2
    reach = tf.reduce_max(corners[:, 2:] - corners[:, :2], axis=1, keepdims=True) * (_AROUND / 2)
    return small, tf.clip_by_value(tf.concat([centre - reach, centre + reach], axis=1) / pixels, 0.0, 1.0)
