"""From encoded images to canvases, in the graph: one bad image never harms its neighbours.

Headers are judged for the whole batch at once, without decoding. What passes is decoded in `tf.data` pipelines whose
`ignore_errors` drops the images that libpng or libjpeg refuses. Nothing but decoding happens inside, and what makes a
decoded picture small and upright: all that leaves the pipelines has MAX_SIDE and fits one canvas.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import tensorflow as tf

from exporter.contract import CORRUPT, ERRORS, MAX_PIXELS, NOT_AN_IMAGE, SIDE, TOO_LARGE
from exporter.picture import png
from exporter.picture.halve import halve_until
from exporter.picture.jpeg import decode_jpeg
from exporter.picture.orientation import UPRIGHT, turn, window_as_stored

MAX_SIDE = 256
"""Longer pictures are halved while decoding until they are no longer, in pixels."""

_HEADER_BYTES = 41  # signature, IHDR, length and type of the chunk after it
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG_MAGIC = b"\xff\xd8\xff"
_GREY_TYPE = 0

# The first bytes of a grey PNG of 28x28 with 8 bits, not interlaced, and nothing but pixels, whose length may be any.
_FIELD = b"IHDR" + bytes([0, 0, 0, SIDE, 0, 0, 0, SIDE, 8, _GREY_TYPE, 0, 0, 0])
_FIELD_HEADER = np.frombuffer(
    _PNG_MAGIC + b"\0\0\0\r" + _FIELD + zlib.crc32(_FIELD).to_bytes(4) + b"\0\0\0\0IDAT", np.uint8
)
_ANY = np.isin(np.arange(_HEADER_BYTES), range(33, 37))

# How an image is decoded. Two kinds need nothing but libpng: grey PNGs without transparency, the commonest, and other
# PNGs of 8 bits a channel, both no longer than MAX_SIDE and with nothing odd about their chunks.
_GREY_PNG, _COLOUR_PNG, _LARGE_PNG, _SHALLOW_PNG, _DEEP_PNG, _JPEG = range(6)
_AROUND_PIXELS_BYTES = 57  # of a PNG with one chunk of pixels and none but the needed ones
_WHOLE = (0.0, 0.0, 1.0, 1.0)  # the window that is all of a picture
_CHUNKS_BYTES = 256  # of a PNG; the chunks that come before the pixels are found there, or the PNG counts as colour

Shrink = Callable[[tf.Tensor], tf.Tensor]
"""What makes a decoded picture, uint8 [h, w, 4], small."""

Decoded = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Places in the request, int64 [m]; pictures, uint8 [m, h, w] or [m, h, w, 4]; heights and widths, int32 [m, 2]."""

Batch = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
"""Error number of each image, int32 [n]; places in the request, int64 [m]; and what `Pictures` holds of those."""


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


def judge_headers(image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Look at the first bytes of each image, string [n], and at the chunks of PNGs.

    Returns:
        Error number, int32 [n] (`not an image`, `too large` or 0), how it is to be decoded, int32 [n], and whether it
        is a PNG whose chunks need a look one by one, bool [n]. The dimensions of a JPEG stand deep in the file;
        `decode` looks at them.
    """
    # Shorter strings get zeros.
    octets = tf.io.decode_raw(image_bytes, tf.uint8, fixed_length=_HEADER_BYTES)
    words = tf.io.decode_raw(image_bytes, tf.int32, little_endian=False, fixed_length=24)
    width, height = words[:, 4], words[:, 5]

    is_png = _starts_with(octets, _PNG_MAGIC)
    is_jpeg = _starts_with(octets, _JPEG_MAGIC)
    # Divided, not multiplied: the product may exceed int32. Negative sizes are left to libpng, which refuses them.
    too_large = is_png & (width > MAX_PIXELS // tf.maximum(height, 1))

    code = tf.where(too_large, error_code(TOO_LARGE), 0)
    code = tf.where(is_png | is_jpeg, code, error_code(NOT_AN_IMAGE))
    is_opaque, is_odd = _judge_chunks(image_bytes, octets, is_png)
    kind = tf.where((octets[:, 25] == _GREY_TYPE) & is_opaque, _GREY_PNG, _COLOUR_PNG)
    kind = tf.where((width > MAX_SIDE) | (height > MAX_SIDE) | is_odd, _LARGE_PNG, kind)
    kind = tf.where(octets[:, 24] < 8, _SHALLOW_PNG, kind)
    kind = tf.where(octets[:, 24] > 8, _DEEP_PNG, kind)
    kind = tf.where(is_jpeg, _JPEG, kind)
    return code, kind, is_odd


def _starts_with(octets: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.reduce_all(octets[:, : len(magic)] == tf.constant(list(magic), tf.uint8), axis=1)


def _judge_chunks(image_bytes: tf.Tensor, octets: tf.Tensor, is_png: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether PNGs surely have no transparency, and whether their Exif or their end needs a look, bool [n] each.

    Args:
        image_bytes: encoded images, string [n].
        octets: their first bytes, uint8 [n, 41].
        is_png: bool [n].
    """
    fits = tf.strings.length(image_bytes) == _pixels_bytes(octets) + _AROUND_PIXELS_BYTES
    is_plain = fits & _starts_with(octets[:, 37:], b"IDAT")
    rest = tf.where(is_png & ~is_plain)

    def judged() -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.gather(image_bytes, rest[:, 0])
        # \C is any byte, where the dot would be any character of UTF-8.
        is_odd = tf.strings.regex_full_match(images, r"\C*eXIf\C*") | ~png.ends_well(images)
        nothing = tf.zeros_like(is_plain)
        return (
            tf.tensor_scatter_nd_update(is_plain, rest, _is_opaque(images)),
            tf.tensor_scatter_nd_update(nothing, rest, is_odd),
        )

    # The commonest are seen to have nothing but pixels by two lengths, many times faster than by searching them.
    found: tuple[tf.Tensor, tf.Tensor] = tf.cond(tf.size(rest) > 0, judged, lambda: (is_plain, tf.zeros_like(is_plain)))
    return found


def _is_opaque(image_bytes: tf.Tensor) -> tf.Tensor:
    """Whether a PNG's chunks before its pixels can be seen, and none is about transparency, bool [n]."""
    start = tf.strings.substr(image_bytes, 0, _CHUNKS_BYTES)
    has_pixels = tf.strings.regex_full_match(start, r"\C*IDAT\C*")
    return has_pixels & ~tf.strings.regex_full_match(start, r"\C*tRNS\C*")


def _to_max_side(rgba: tf.Tensor) -> tf.Tensor:
    return halve_until(rgba, MAX_SIDE)


def decode(
    image_bytes: tf.Tensor, shrink: Shrink = _to_max_side, side: int = MAX_SIDE
) -> tuple[tf.Tensor, tf.Tensor, Pictures]:
    """Decode a batch of PNGs and JPEGs, string [n].

    Args:
        image_bytes: the images.
        shrink: makes pictures small that are longer than MAX_SIDE.
        side: length of the longer side, in pixels, below which libjpeg is not to reduce a JPEG.

    Returns:
        code: error number of each image, int32 [n].
        index: places in the batch of the m images that could be decoded, int64 [m].
        pictures: those images, in the order of `index`.
    """
    found: Batch = tf.cond(
        _are_fields(image_bytes),
        lambda: _decode_fields(image_bytes),
        lambda: _decode_any(image_bytes, shrink, side),
    )
    code, index, grey, colour, extent = found
    return code, index, Pictures(grey, colour, extent)


def _are_fields(image_bytes: tf.Tensor) -> tf.Tensor:
    """Whether all images, string [n], are PNGs of MNIST's kind, and there are any, bool []: 28x28, grey, plain."""
    octets = tf.io.decode_raw(image_bytes, tf.uint8, fixed_length=_HEADER_BYTES)
    begin_so = tf.reduce_all((octets == _FIELD_HEADER) | _ANY)
    fit = tf.reduce_all(tf.strings.length(image_bytes) == _pixels_bytes(octets) + _AROUND_PIXELS_BYTES)
    return begin_so & fit & (tf.size(image_bytes) > 0)


def _pixels_bytes(octets: tf.Tensor) -> tf.Tensor:
    """Length of the chunk after the header, int32 [n], by the first bytes of PNGs, uint8 [n, 41]."""
    weights = tf.constant([1 << 24, 1 << 16, 1 << 8, 1])
    return tf.reduce_sum(tf.cast(octets[:, 33:37], tf.int32) * weights, axis=1)


def _decode_fields(image_bytes: tf.Tensor) -> Batch:
    """Decode PNGs of MNIST's kind: for one of them, looking for other kinds takes longer than decoding."""
    count = tf.size(image_bytes, out_type=tf.int64)

    def greys(images: tf.data.Dataset) -> tf.data.Dataset:
        return _map_inline(images, _decode_grey, [None, None])

    index, grey, extent = _decode_all(image_bytes, tf.range(count), greys, [None, None])
    code = tf.tensor_scatter_nd_update(
        tf.fill(count[None], error_code(CORRUPT)), index[:, None], tf.zeros_like(index, tf.int32)
    )
    return code, index, grey, tf.zeros([0, 1, 1, 4], tf.uint8), extent


def _decode_any(image_bytes: tf.Tensor, shrink: Shrink, side: int) -> Batch:
    """Decode images of any kinds, each kind in a pipeline of its own."""
    code, kind, is_odd = judge_headers(image_bytes)
    wanted = code == 0
    flat, deep = [None, None], [None, None, 4]

    def greys(images: tf.data.Dataset) -> tf.data.Dataset:
        return _map_inline(images, _decode_grey, flat)

    def colours(images: tf.data.Dataset) -> tf.data.Dataset:
        return _map_inline(images, _decode_colour, deep)

    def others(images: tf.data.Dataset) -> tf.data.Dataset:
        decode_one = _decoder(shrink, side)
        return images.map(
            lambda index, image: decode_one(index, image, kind[index], is_odd[index], tf.constant(_WHOLE))
        )

    grey = _decode_all(image_bytes, tf.where(wanted & (kind == _GREY_PNG))[:, 0], greys, flat)
    colour = _join(
        _decode_all(image_bytes, tf.where(wanted & (kind == _COLOUR_PNG))[:, 0], colours, deep),
        _decode_all(image_bytes, tf.where(wanted & (kind > _COLOUR_PNG))[:, 0], others, deep),
    )
    # A JPEG beyond the limit comes back without pixels. Whatever did not come back at all is corrupt.
    refused = tf.reduce_any(colour[2] == 0, axis=1)
    kept = tf.where(~refused)[:, 0]
    index, canvas, extent = (tf.gather(part, kept) for part in colour)
    code = tf.where(wanted, error_code(CORRUPT), code)
    code = tf.tensor_scatter_nd_update(code, colour[0][:, None], tf.where(refused, error_code(TOO_LARGE), 0))
    code = tf.tensor_scatter_nd_update(code, grey[0][:, None], tf.zeros_like(grey[0], tf.int32))
    index = tf.concat([grey[0], index], axis=0)
    return code, index, grey[1], canvas, tf.concat([grey[2], extent], axis=0)


def decode_windows(image_bytes: tf.Tensor, windows: tf.Tensor) -> tuple[tf.Tensor, Pictures]:
    """Decode images that `decode` has decoded once more, string [k], and only a part of each, with more detail.

    Args:
        image_bytes: the images.
        windows: top, left, bottom and right of the parts, float32 [k, 4], 0 to 1, in the upright picture.

    Returns:
        Places among the k, int64 [k], and the parts, all as colour, in that order; no side exceeds MAX_SIDE.
    """
    _, kind, is_odd = judge_headers(image_bytes)
    kind = tf.maximum(kind, _LARGE_PNG)

    def parts(images: tf.data.Dataset) -> tf.data.Dataset:
        decode_one = _decoder(_to_max_side, MAX_SIDE)
        return images.map(lambda index, image: decode_one(index, image, kind[index], is_odd[index], windows[index]))

    every = tf.range(tf.size(image_bytes, out_type=tf.int64))
    index, canvas, extent = _decode_all(image_bytes, every, parts, [None, None, 4])
    return index, Pictures(tf.zeros([0, 1, 1], tf.uint8), canvas, extent)


def _decode_all(
    image_bytes: tf.Tensor,
    index: tf.Tensor,
    decode_each: Callable[[tf.data.Dataset], tf.data.Dataset],
    shape: Sequence[int | None],
) -> Decoded:
    """Decode some images, int64 [k]; those that fail are missing from the batch that comes back."""
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


@cache
def _decoder(shrink: Shrink, side: int) -> Callable[..., Decoded]:
    """`_decode_other`, traced once for all that decode so: it is the larger part of the whole graph."""
    specs = [
        tf.TensorSpec([], tf.int64),
        tf.TensorSpec([], tf.string),
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([], tf.bool),
        tf.TensorSpec([4]),
    ]

    def decode_one(
        index: tf.Tensor, image: tf.Tensor, kind: tf.Tensor, is_odd: tf.Tensor, window: tf.Tensor
    ) -> Decoded:
        return _decode_other(index, image, kind, is_odd, window, shrink, side)

    traced: Callable[..., Decoded] = tf.function(
        decode_one, input_signature=specs, autograph=False
    ).get_concrete_function()
    return traced


def _decode_other(
    index: tf.Tensor,
    image: tf.Tensor,
    kind: tf.Tensor,
    is_odd: tf.Tensor,
    window: tf.Tensor,
    shrink: Shrink,
    side: int,
) -> Decoded:
    """Decode a window of an image."""

    def with_png(decode_png: Callable[[tf.Tensor], tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        octets, orientation = tf.cond(is_odd, lambda: png.read_chunks(image), lambda: (image, UPRIGHT))
        return decode_png(octets), orientation

    detail = tf.cast(side / tf.reduce_max(window[2:] - window[:2]), tf.int64)
    rgba, orientation = tf.switch_case(
        kind - _LARGE_PNG,
        [
            lambda: with_png(png.decode_png),
            lambda: with_png(png.decode_shallow_png),
            lambda: with_png(png.decode_deep_png),
            lambda: decode_jpeg(image, detail),
        ],
    )
    part = _cut(rgba, window_as_stored(window, orientation))
    rgba = turn(shrink(part), orientation)
    return index, rgba, tf.shape(rgba)[:2]


def _cut(rgba: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """The part of a picture, uint8 [h, w, 4], in a window, float32 [4]; at least a pixel, if it has any."""
    size = tf.cast(tf.tile(tf.shape(rgba)[:2], [2]), tf.float32)
    top, left, bottom, right = tf.unstack(tf.cast(tf.round(window * size), tf.int32))
    return rgba[top : tf.maximum(bottom, top + 1), left : tf.maximum(right, left + 1)]
