"""One PNG, in the graph: its chunks where they need a look, and its pixels.

Each function takes a PNG, string [], and is to be run where an image that libpng refuses is dropped.
"""

import tensorflow as tf

from exporter.picture.halve import OPAQUE
from exporter.picture.orientation import UPRIGHT, read_orientation

END = b"\0\0\0\0IEND\xaeB`\x82"
"""The last chunk of a PNG, which is the same in all (PNG third edition, 11.2.4)."""

_MAGIC_BYTES = 8
_CHUNK_BYTES = 12  # of a chunk without its body: its length and type come before, its CRC after
_MOST_CHUNKS = 1 << 16  # looked at; encoders that cut the pixels into pieces of 8 KB make 32,768 in the largest file
_MOST_EXIF_BYTES = 1 << 16
_EXIF = b"eXIf"


def read_chunks(png: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What a PNG's chunks say beyond its pixels.

    Returns:
        The PNG, string [], with an end where that was missing: what follows the last whole chunk is given up for it,
        so that pixels which are cut off stay missing. And its orientation, int32 [], 1 to 8, by the chunk eXIf (PNG
        third edition, 11.3.4.5).
    """
    return _with_end(png), _orientation(png)


def _with_end(png: tf.Tensor) -> tf.Tensor:
    def mended() -> tf.Tensor:
        place, _ = _find(png, END[4:8])
        return tf.strings.join([tf.strings.substr(png, tf.constant(0, tf.int64), place), END])

    return tf.cond(ends_well(png), lambda: png, mended)


def ends_well(png: tf.Tensor) -> tf.Tensor:
    """Whether the last bytes of PNGs, string [...], are those of every PNG, bool [...]."""
    size = tf.strings.length(png)
    length = tf.fill(tf.shape(size), len(END))
    return tf.strings.substr(png, tf.maximum(size - len(END), 0), length) == END


def _orientation(png: tf.Tensor) -> tf.Tensor:
    place, length = _find(png, _EXIF)

    def stated() -> tf.Tensor:
        return read_orientation(tf.strings.substr(png, place + 8, tf.minimum(length, _MOST_EXIF_BYTES)))

    return tf.cond(length > 0, stated, lambda: tf.constant(UPRIGHT))


def _find(png: tf.Tensor, kind: bytes) -> tuple[tf.Tensor, tf.Tensor]:
    """Where a PNG's first chunk of a kind begins, and the length of its body, int64 [] each.

    Where there is none, length 0 and the place of IEND, or else of what follows the last whole chunk.
    """
    size = tf.strings.length(png, unit="BYTE")
    size = tf.cast(size, tf.int64)

    def head(place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Length and type of the chunk at a place; zeros beyond the file's end."""
        piece = tf.strings.substr(png, place, tf.constant(8, tf.int64))
        octets = tf.io.decode_raw(piece, tf.uint8, fixed_length=8)
        weights = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
        return tf.reduce_sum(tf.cast(octets[:4], tf.int64) * weights), octets[4:]

    def is_of(chunk: tf.Tensor, kind: bytes) -> tf.Tensor:
        return tf.reduce_all(chunk == tf.constant(list(kind), tf.uint8))

    def goes_on(place: tf.Tensor, length: tf.Tensor, chunk: tf.Tensor) -> tf.Tensor:
        is_whole = place + _CHUNK_BYTES + length <= size
        # A type is four letters, and what follows a cut may be zeros.
        small = tf.bitwise.bitwise_or(chunk, 0x20)
        is_chunk = tf.reduce_all((small >= ord("a")) & (small <= ord("z")))
        return is_whole & is_chunk & ~is_of(chunk, kind) & ~is_of(chunk, END[4:8])

    def step(place: tf.Tensor, length: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        place += _CHUNK_BYTES + length
        return place, *head(place)

    start = tf.minimum(tf.constant(_MAGIC_BYTES, tf.int64), size)
    place, length, chunk = tf.while_loop(goes_on, step, (start, *head(start)), maximum_iterations=_MOST_CHUNKS)
    is_found = is_of(chunk, kind) & (place + _CHUNK_BYTES + length <= size)
    return place, tf.where(is_found, length, 0)


def decode_png(png: tf.Tensor) -> tf.Tensor:
    """A PNG of 8 bits a channel: uint8 [h, w, 4]."""
    return tf.io.decode_png(png, channels=4)


def decode_shallow_png(png: tf.Tensor) -> tf.Tensor:
    """A grey or palette of less than 8 bits: uint8 [h, w, 4].

    TensorFlow fills in an alpha as shallow as the levels where the file has none.
    """
    rgba = tf.io.decode_png(png, channels=4)
    alpha = rgba[..., 3]
    filler = tf.reduce_max(alpha)
    filled_in = (filler > 0) & (filler < 16) & tf.reduce_all(alpha == filler)
    opaque = tf.fill(tf.shape(alpha), tf.constant(OPAQUE, tf.uint8))
    return tf.cond(filled_in, lambda: tf.concat([rgba[..., :3], opaque[..., None]], axis=2), lambda: rgba)


def decode_deep_png(png: tf.Tensor) -> tf.Tensor:
    """A PNG of 16 bits a channel: uint8 [h, w, 4], the upper eight of the bits that its colours use.

    Scanners, microscopes and telescopes write 10 or 12 bits into 16, whose upper eight are next to nothing. The
    largest sample tells how many are used; what is wholly transparent does not count, as it is not seen, and often
    marks by its largest level where there is no measurement. Alpha keeps its upper eight bits.
    """
    rgba = tf.io.decode_png(png, channels=4, dtype=tf.uint16)
    seen = tf.where(rgba[..., 3:] > 0, rgba[..., :3], 0)
    # Where a picture has no pixels, libpng has refused it.
    largest = tf.cast(tf.reduce_max(seen), tf.int32)
    surplus = tf.reduce_sum(tf.cast(largest >= tf.constant([1 << bits for bits in range(8, 16)]), tf.uint16))
    shift = tf.stack([surplus, surplus, surplus, 8])
    return tf.cast(tf.bitwise.right_shift(rgba, shift), tf.uint8)
