"""One JPEG, in the graph: how much of it is decoded, which way up it is, and what to do when its end is missing.

Each function is to be run where an image that libjpeg refuses is dropped. The layout of the file is that of ITU-T T.81,
annex B: segments, each a marker of two bytes and a length of two, then the pixels' data, then a marker that ends it.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf

from exporter.contract import MAX_PIXELS
from exporter.picture.halve import OPAQUE
from exporter.picture.orientation import UPRIGHT, read_orientation

MAX_HELD_PIXELS = 64_000_000
"""Width times height beyond which a JPEG in several scans is too large: libjpeg holds it, up to 6 bytes a pixel."""

_RATIOS = (1, 2, 4, 8)  # by which libjpeg reduces for less than it takes to decode everything
_END = b"\xff\xd9"
_FRAMES = [marker for marker in range(0xC0, 0xD0) if marker not in {0xC4, 0xC8, 0xCC}]  # size and components
_SEQUENTIAL = [0xC0, 0xC1]  # of those: all detail of a pixel stands together
_APP1, _SCAN = 0xE1, 0xDA
_EXIF = b"Exif\0\0"
_HEAD_BYTES = 10  # of a segment: marker, length, and what tells Exif, or how many components there are
_MOST_SEGMENTS = 1000
_SEARCHED_BYTES = 1 << 17  # Exif stands at the front, and is not longer than half of this


def _noise(first: int) -> bytes:
    """Pixels' data of no meaning, enough for some of the squares that a JPEG is made of.

    It goes on after each of the eight markers for a restart, of which one is the first. A decoder that wants another
    one takes most of them instead, but for the next two it leaves out its part of the picture (libjpeg's jdmarker.c).
    """
    random = np.random.default_rng(first)
    parts = [bytes(random.integers(0x80, 0xFF, 400, np.uint8)) for _ in range(9)]
    return parts[0] + b"".join(bytes([0xFF, 0xD0 + (first + n) % 8]) + part for n, part in enumerate(parts[1:]))


_NOISES = (_noise(first=0), _noise(first=4))


def decode_jpeg(jpeg: tf.Tensor, side: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode a JPEG, string [], no larger than is needed for a picture that is then halved down to a side, int64 [].

    Returns:
        uint8 [h, w, 4], or [0, 0, 4] where it is too large, and its orientation, int32 [], 1 to 8.
    """
    height, width = tf.unstack(tf.cast(tf.image.extract_jpeg_shape(jpeg), tf.int64)[:2])
    # Of the sides that halving goes through, the last but one: what is left to halve makes up for libjpeg's rounding.
    steps = tf.reduce_sum(tf.cast(tf.maximum(height, width) // _RATIOS[1:] > side, tf.int32))
    ratio = tf.gather(tf.constant(_RATIOS, tf.int64), steps)
    is_too_large = ((height + ratio - 1) // ratio) * ((width + ratio - 1) // ratio) > MAX_PIXELS
    is_too_large |= tf.cond(height * width > MAX_HELD_PIXELS, lambda: ~_is_in_one_scan(jpeg), lambda: False)

    def decode(octets: tf.Tensor) -> tf.Tensor:
        return tf.switch_case(steps, [partial(tf.io.decode_jpeg, octets, channels=3, ratio=each) for each in _RATIOS])

    def decoded() -> tuple[tf.Tensor, tf.Tensor]:
        rgb = tf.cond(_ends_with_marker(jpeg), lambda: decode(jpeg), lambda: _decode_without_end(jpeg, decode))
        return tf.pad(rgb, [[0, 0], [0, 0], [0, 1]], constant_values=OPAQUE), _orientation(jpeg)

    nothing = (tf.zeros([0, 0, 4], tf.uint8), tf.constant(UPRIGHT))
    found: tuple[tf.Tensor, tf.Tensor] = tf.cond(is_too_large, lambda: nothing, decoded)
    return found


def _ends_with_marker(jpeg: tf.Tensor) -> tf.Tensor:
    return tf.strings.substr(jpeg, tf.strings.length(jpeg) - len(_END), len(_END)) == _END


def _decode_without_end(jpeg: tf.Tensor, decode: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Decode a JPEG that does not end as it should; libjpeg refuses what lacks pixels.

    Cameras write their own data after the end, which is no matter. Where there is no end at all, adding one makes
    libjpeg invent the pixels that are cut off, silently. So the picture is decoded with an end, and with noise before
    the end: where no pixel is missing, nobody reads the noise. Of several scans nobody can tell whether one is missing.
    """

    def whole() -> tf.Tensor:
        data = _without_padding(jpeg)
        rgb = decode(tf.strings.join([data, _END]))
        is_whole = tf.constant(True)  # noqa: FBT003 - a tensor of one truth
        for noise in _NOISES:
            is_whole &= tf.reduce_all(rgb == decode(tf.strings.join([data, noise, _END])))
        return tf.cond(is_whole, lambda: rgb, lambda: decode(jpeg))

    scan, _ = _find(jpeg, [_SCAN])
    after = tf.strings.substr(jpeg, scan, tf.strings.length(jpeg))
    pieces = tf.raw_ops.StringSplitV2(input=after[None], sep=_END, maxsplit=1).values
    has_end = tf.size(pieces) > 1
    return tf.cond(has_end | ~_is_in_one_scan(jpeg), lambda: decode(jpeg), whole)


def _without_padding(jpeg: tf.Tensor) -> tf.Tensor:
    """Without the zeros that a download which was cut off leaves after it, and without half a marker."""
    # One zero may well be the last of the pixels' data.
    data = tf.strings.regex_replace(jpeg, r"\x00\x00+$", "")
    length = tf.strings.length(data)
    is_padded = length < tf.strings.length(jpeg)
    # To the byte 255 within data belongs a zero after it.
    ends_in_255 = tf.strings.substr(data, length - 1, 1) == _END[:1]
    length += tf.where(ends_in_255, tf.where(is_padded, 1, -1), 0)
    return tf.strings.substr(jpeg, 0, length)


def _is_in_one_scan(jpeg: tf.Tensor) -> tf.Tensor:
    """Whether all there is of a pixel stands in one place, so that libjpeg need not hold the picture, bool []."""
    _, frame = _find(jpeg, _FRAMES)
    _, scan = _find(jpeg, [_SCAN])
    is_sequential = tf.reduce_any(frame[1] == _SEQUENTIAL)
    return is_sequential & (frame[9] == scan[4])


def _orientation(jpeg: tf.Tensor) -> tf.Tensor:
    def stated() -> tf.Tensor:
        place, head = _find(jpeg, [_APP1], _EXIF)
        exif = tf.strings.substr(jpeg, place + 10, tf.maximum(_length(head) - 8, 0))
        return tf.cond(place > 0, lambda: read_orientation(exif), lambda: tf.constant(UPRIGHT))

    # \C is any byte, where the dot would be any character of UTF-8.
    front = tf.strings.substr(jpeg, 0, _SEARCHED_BYTES)
    has_exif = tf.strings.regex_full_match(front, r"\C*Exif\x00\x00\C*")
    return tf.cond(has_exif, stated, lambda: tf.constant(UPRIGHT))


def _find(jpeg: tf.Tensor, markers: list[int], body: bytes = b"") -> tuple[tf.Tensor, tf.Tensor]:
    """The first segment before the pixels' data, or their own, with one of these markers and a body that begins so.

    Returns:
        Its place, int32 [], and its first bytes, int32 [10]; 0 and the last segment seen where there is none.
    """
    size = tf.strings.length(jpeg)

    def head_at(place: tf.Tensor) -> tf.Tensor:
        piece = tf.strings.substr(jpeg, place, _HEAD_BYTES)
        return tf.cast(tf.io.decode_raw(piece, tf.uint8, fixed_length=_HEAD_BYTES), tf.int32)

    def is_wanted(head: tf.Tensor) -> tf.Tensor:
        begins_so = tf.reduce_all(head[4 : 4 + len(body)] == tf.constant(list(body), tf.int32))
        return (head[0] == 0xFF) & tf.reduce_any(head[1] == markers) & begins_so

    def goes_on(_: tf.Tensor, head: tf.Tensor) -> tf.Tensor:
        # Not at the file's end, nor after something that is no segment.
        return (head[0] == 0xFF) & (head[1] != _SCAN) & ~is_wanted(head)

    def step(place: tf.Tensor, head: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # A marker may have any number of 255s before it.
        place = tf.minimum(place + tf.where(head[1] == 0xFF, 1, 2 + _length(head)), size)
        return place, head_at(place)

    start = tf.constant(2)
    place, head = tf.while_loop(goes_on, step, (start, head_at(start)), maximum_iterations=_MOST_SEGMENTS)
    return tf.where(is_wanted(head), place, 0), head


def _length(head: tf.Tensor) -> tf.Tensor:
    """What a segment states: its length without the marker."""
    return head[2] * 256 + head[3]
