"""From encoded images to canvases, in the graph: one bad image never harms its neighbours.

Headers are judged for the whole batch at once, without decoding. What passes is decoded in `tf.data` pipelines whose
`ignore_errors` drops the images that libpng or libjpeg refuses; nothing but decoding and halving happens inside.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from exporter.contract import CORRUPT, ERRORS, MAX_PIXELS, NOT_AN_IMAGE, TOO_LARGE
from exporter.picture.halve import OPAQUE, halve_until

MAX_SIDE = 256
"""Longer pictures are halved while decoding until they are no longer, in pixels."""

_HEADER_BYTES = 26  # signature, length and type of IHDR, width, height, bit depth, colour type
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG_MAGIC = b"\xff\xd8\xff"
_GREY_TYPE = 0

# How an image is decoded. Two kinds need nothing but libpng: grey PNGs without transparency, the commonest, and other
# PNGs of at least 8 bits a channel, both no longer than MAX_SIDE.
_GREY_PNG, _COLOUR_PNG, _LARGE_PNG, _SHALLOW_PNG, _JPEG = range(5)
_CHUNKS_BYTES = 256  # of a PNG; the chunks that come before the pixels are found there, or the PNG counts as colour

Decoded = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Places in the request, int64 [m]; pictures, uint8 [m, h, w] or [m, h, w, 4]; heights and widths, int32 [m, 2]."""


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures, each in the upper left corner of its canvas; no side exceeds MAX_SIDE.

    Attributes:
        grey: uint8 [k, h, w], zeros around the picture.
        colour: red, green, blue, alpha, uint8 [m - k, h', w', 4], transparent around the picture.
        extent: height and width of each picture, grey ones first, int32 [m, 2].
    """

    grey: tf.Tensor
    colour: tf.Tensor
    extent: tf.Tensor


def error_code(text: str) -> int:
    """Number of an error text inside the graph: its place in the contract's list, from 1. 0 is no error."""
    return ERRORS.index(text) + 1


def error_text(code: tf.Tensor) -> tf.Tensor:
    """Texts, string [n], of error numbers, int32 [n]."""
    return tf.gather(tf.constant(["", *ERRORS]), code)


def judge_headers(image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Look at the first bytes of each image, string [n].

    Returns:
        Error number, int32 [n] (`not an image`, `too large` or 0), and how it is to be decoded, int32 [n]. The
        dimensions of a JPEG stand deep in the file; `decode` looks at them.
    """
    padding = b"\0" * _HEADER_BYTES  # so that shorter strings can be cut too
    start = tf.strings.substr(image_bytes, 0, _HEADER_BYTES)
    header = tf.strings.substr(tf.strings.join([start, padding]), 0, _HEADER_BYTES)
    octets = tf.reshape(tf.io.decode_raw(header, tf.uint8), [-1, _HEADER_BYTES])
    size = tf.io.decode_raw(tf.strings.substr(header, 16, 8), tf.int32, little_endian=False)
    width, height = tf.unstack(tf.reshape(size, [-1, 2]), axis=1)

    is_png = _starts_with(octets, _PNG_MAGIC)
    is_jpeg = _starts_with(octets, _JPEG_MAGIC)
    # Divided, not multiplied: the product may exceed int32. Negative sizes are left to libpng, which refuses them.
    too_large = is_png & (width > MAX_PIXELS // tf.maximum(height, 1))

    code = tf.where(too_large, error_code(TOO_LARGE), 0)
    code = tf.where(is_png | is_jpeg, code, error_code(NOT_AN_IMAGE))
    is_grey = (octets[:, 25] == _GREY_TYPE) & _is_opaque(image_bytes)
    kind = tf.where(is_grey, _GREY_PNG, _COLOUR_PNG)
    kind = tf.where((width > MAX_SIDE) | (height > MAX_SIDE), _LARGE_PNG, kind)
    kind = tf.where(octets[:, 24] < 8, _SHALLOW_PNG, kind)
    kind = tf.where(is_jpeg, _JPEG, kind)
    return code, kind


def _starts_with(octets: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.reduce_all(octets[:, : len(magic)] == tf.constant(list(magic), tf.uint8), axis=1)


def _is_opaque(image_bytes: tf.Tensor) -> tf.Tensor:
    """Whether a PNG's chunks before its pixels can be seen, and none is about transparency, bool [n]."""
    start = tf.strings.substr(image_bytes, 0, _CHUNKS_BYTES)
    # \C is any byte, where the dot would be any character of UTF-8.
    has_pixels = tf.strings.regex_full_match(start, r"\C*IDAT\C*")
    return has_pixels & ~tf.strings.regex_full_match(start, r"\C*tRNS\C*")


def decode(image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Pictures]:
    """Decode a batch of PNGs and JPEGs, string [n].

    Returns:
        code: error number of each image, int32 [n].
        index: places in the batch of the m images that could be decoded, int64 [m].
        pictures: those images, in the order of `index`.
    """
    code, kind = judge_headers(image_bytes)
    wanted = code == 0
    flat, deep = [None, None], [None, None, 4]

    def greys(images: tf.data.Dataset) -> tf.data.Dataset:
        return _map_inline(images, _decode_grey, flat)

    def colours(images: tf.data.Dataset) -> tf.data.Dataset:
        return _map_inline(images, _decode_colour, deep)

    def others(images: tf.data.Dataset) -> tf.data.Dataset:
        return images.map(lambda index, image: _decode_other(index, image, kind[index]))

    grey = _decode_all(image_bytes, wanted & (kind == _GREY_PNG), greys, flat)
    colour = _join(
        _decode_all(image_bytes, wanted & (kind == _COLOUR_PNG), colours, deep),
        _decode_all(image_bytes, wanted & (kind > _COLOUR_PNG), others, deep),
    )
    # A JPEG beyond the limit comes back without pixels. Whatever did not come back at all is corrupt.
    refused = tf.reduce_any(colour[2] == 0, axis=1)
    kept = tf.where(~refused)[:, 0]
    index, canvas, extent = (tf.gather(part, kept) for part in colour)
    code = tf.where(wanted, error_code(CORRUPT), code)
    code = tf.tensor_scatter_nd_update(code, colour[0][:, None], tf.where(refused, error_code(TOO_LARGE), 0))
    code = tf.tensor_scatter_nd_update(code, grey[0][:, None], tf.zeros_like(grey[0], tf.int32))
    index = tf.concat([grey[0], index], axis=0)
    return code, index, Pictures(grey[1], canvas, tf.concat([grey[2], extent], axis=0))


def _decode_all(
    image_bytes: tf.Tensor,
    chosen: tf.Tensor,
    decode_each: Callable[[tf.data.Dataset], tf.data.Dataset],
    shape: Sequence[int | None],
) -> Decoded:
    """Decode the chosen images, bool [n]; those that fail are missing from the batch that comes back."""
    index = tf.where(chosen)[:, 0]
    nothing = (
        tf.zeros([0], tf.int64),
        tf.zeros([0, *(side or 1 for side in shape)], tf.uint8),
        tf.zeros([0, 2], tf.int32),
    )

    def pipeline() -> Decoded:
        images = tf.data.Dataset.from_tensor_slices((index, tf.gather(image_bytes, index)))
        decoded = decode_each(images).ignore_errors()
        batches = decoded.padded_batch(tf.size(index, out_type=tf.int64), ([], shape, [2]))
        # What a request of nothing but broken images yields.
        batch: Decoded = batches.concatenate(tf.data.Dataset.from_tensors(nothing)).take(1).get_single_element()
        return batch

    # A pipeline takes a tenth of a millisecond to start: none for nothing.
    found: Decoded = tf.cond(tf.size(index) > 0, pipeline, lambda: nothing)
    return found


def _map_inline(
    images: tf.data.Dataset, function: Callable[..., Decoded], shape: Sequence[int | None]
) -> tf.data.Dataset:
    """`images.map(function)` in the thread that asks for an image, instead of one of the pool, one after the other.

    Handing each image over to another thread and back takes longer than decoding a small one. `Dataset.map` has no
    option for it, its operation has. Such a function cannot branch or loop.
    """
    traced = tf.function(function).get_concrete_function(*images.element_spec)
    spec = (
        tf.TensorSpec([], tf.int64),
        tf.TensorSpec(shape, tf.uint8),
        tf.TensorSpec([2], tf.int32),
    )
    variant = tf.raw_ops.MapDataset(
        input_dataset=tf.data.experimental.to_variant(images),
        other_arguments=[],
        f=traced,
        output_types=[part.dtype for part in spec],
        output_shapes=[part.shape for part in spec],
        use_inter_op_parallelism=False,
    )
    return tf.data.experimental.from_variant(variant, spec)


def _join(one: Decoded, other: Decoded) -> Decoded:
    """Two batches of colour as one, on canvases of one size."""

    def joined() -> Decoded:
        size = tf.maximum(tf.shape(one[1])[1:3], tf.shape(other[1])[1:3])

        def fit(canvas: tf.Tensor) -> tf.Tensor:
            missing = size - tf.shape(canvas)[1:3]
            return tf.pad(canvas, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]])

        return (
            tf.concat([one[0], other[0]], axis=0),
            tf.concat([fit(one[1]), fit(other[1])], axis=0),
            tf.concat([one[2], other[2]], axis=0),
        )

    # Without a copy where there is nothing to join.
    batch: Decoded = tf.cond(tf.size(other[0]) > 0, joined, lambda: one)
    return batch


def _decode_grey(index: tf.Tensor, image: tf.Tensor) -> Decoded:
    grey = tf.squeeze(tf.io.decode_png(image, channels=1), axis=2)
    return index, grey, tf.shape(grey)


def _decode_colour(index: tf.Tensor, image: tf.Tensor) -> Decoded:
    rgba = tf.io.decode_png(image, channels=4)
    return index, rgba, tf.shape(rgba)[:2]


def _decode_other(index: tf.Tensor, image: tf.Tensor, kind: tf.Tensor) -> Decoded:
    rgba = tf.switch_case(
        kind - _LARGE_PNG,
        [
            lambda: tf.io.decode_png(image, channels=4),
            lambda: _decode_shallow_png(image),
            lambda: _decode_jpeg(image),
        ],
    )
    rgba = halve_until(rgba, MAX_SIDE)
    return index, rgba, tf.shape(rgba)[:2]


def _decode_shallow_png(image: tf.Tensor) -> tf.Tensor:
    """A grey or palette of less than 8 bits: TensorFlow fills in an alpha as shallow where the file has none."""
    rgba = tf.io.decode_png(image, channels=4)
    alpha = rgba[..., 3]
    filler = tf.reduce_max(alpha)
    filled_in = (filler > 0) & (filler < 16) & tf.reduce_all(alpha == filler)
    return tf.cond(filled_in, lambda: _with_alpha(rgba[..., :3]), lambda: rgba)


def _decode_jpeg(image: tf.Tensor) -> tf.Tensor:
    height, width = tf.unstack(tf.cast(tf.image.extract_jpeg_shape(image), tf.int64)[:2])
    return tf.cond(
        height * width > MAX_PIXELS,
        lambda: tf.zeros([0, 0, 4], tf.uint8),
        lambda: _with_alpha(tf.io.decode_jpeg(image, channels=3)),
    )


def _with_alpha(rgb: tf.Tensor) -> tf.Tensor:
    return tf.pad(rgb, [[0, 0], [0, 0], [0, 1]], constant_values=OPAQUE)
