"""The signature `numbers`: from encoded pictures of one line of digits each to texts."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from exporter.contract import (
    ALTERNATIVE_CONFIDENCE,
    ALTERNATIVE_COUNT,
    ALTERNATIVES,
    BLANK,
    BOXES,
    CONFIDENCE,
    COUNT,
    ERROR,
    MAX_DIGITS,
    MAX_FIELD_WIDTH,
    NO_READING,
    NUMBERS_ERRORS,
    SIDE,
    TEXT,
)
from exporter.numbers.field import Fields, sheared, shrink, to_fields
from exporter.numbers.lattice import IMPOSSIBLE, Readings, read
from exporter.numbers.scorer import Weights, known_of, score
from exporter.numbers.seams import Cuts, find_cuts
from exporter.numbers.segments import MOST_PIECES, STRAIGHTENED, Segments, cut_segments
from exporter.picture.decode import Pictures, decode

Answer = Callable[[tf.Tensor], tf.Tensor]
"""From float32 [n, 28, 28], 0 to 1, to probabilities, float32 [n, 10]."""

_TOGETHER = 32  # pictures that are read at once: a request's memory does not grow with it
MOST_SURE, LEAST_SURE = 0.9999, 1e-6  # probabilities that calibration can tell apart


@dataclass(frozen=True)
class Lattice:
    """Lines with all that they may be read as.

    Attributes:
        fields: the lines.
        cuts: their seams.
        segments: runs of their pieces.
        digit: scores of edges read as digits, float32 [n, p, MOST_PIECES, 10], as for `lattice.read`.
        skip: of skipped edges, float32 [n, p, MOST_PIECES].
    """

    fields: Fields
    cuts: Cuts
    segments: Segments
    digit: tf.Tensor
    skip: tf.Tensor

    @property
    def last(self) -> tf.Tensor:
        """The last seam of each line, int32 [n]."""
        return self.cuts.count - 1


def judged(pictures: Pictures, network: Answer) -> tuple[Fields, Cuts, Segments, tf.Tensor]:
    """Lines, seams, segments, and the network's answers to these, float32 [len(STRAIGHTENED), s, 10]."""
    fields = to_fields(pictures)
    cuts = find_cuts(sheared(fields.ink, fields.slant), fields.width)
    segments = cut_segments(fields, cuts)
    answers = network(tf.reshape(segments.fields, [-1, SIDE, SIDE]))
    return fields, cuts, segments, tf.reshape(answers, [len(STRAIGHTENED), -1, answers.shape[1]])


def lattice_of(pictures: Pictures, network: Answer, weights: Weights) -> Lattice:
    """Everything that lines may be read as."""
    fields, cuts, segments, answers = judged(pictures, network)
    digit, skip = score(weights, known_of(segments, answers))
    shape = tf.stack([tf.size(cuts.count), tf.reduce_max(cuts.count) - 1, MOST_PIECES])
    return Lattice(fields, cuts, segments, *on_edges(segments.edge, shape, digit, skip))


def on_edges(edge: tf.Tensor, shape: tf.Tensor, digit: tf.Tensor, skip: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Scores of segments, float32 [s, 10] and [s], at their places, int32 [s, 3], in tensors of a shape, int32 [3]."""
    digits = tf.fill(tf.concat([shape, [digit.shape[1]]], axis=0), IMPOSSIBLE)
    return (
        tf.tensor_scatter_nd_update(digits, edge, digit),
        tf.tensor_scatter_nd_update(tf.fill(shape, IMPOSSIBLE), edge, skip),
    )


def numbers_signature(network: Answer, weights: Weights) -> Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """`numbers` of a network and a reader: encoded images, string [n], and expected digits, int32 [n] or [1]."""

    def numbers(image_bytes: tf.Tensor, digits: tf.Tensor) -> dict[str, tf.Tensor]:
        count = tf.size(image_bytes)
        wanted = tf.cond(tf.size(digits) == 1, lambda: tf.repeat(digits, count), lambda: digits)
        wanted = tf.reshape(wanted, tf.shape(image_bytes))
        # Encoded length tells size: pictures that are read together are of about one size.
        order = tf.argsort(tf.strings.length(image_bytes))
        found = (
            tf.zeros([count], tf.int32),
            tf.fill(tf.stack([count, ALTERNATIVE_COUNT]), IMPOSSIBLE),
            tf.zeros(tf.stack([count, ALTERNATIVE_COUNT]), tf.int32),
            tf.zeros(tf.stack([count, ALTERNATIVE_COUNT, MAX_DIGITS]), tf.int32),
            tf.zeros(tf.stack([count, MAX_DIGITS, 4])),
        )

        def some(start: tf.Tensor, *found: tf.Tensor) -> tuple[tf.Tensor, ...]:
            chosen = order[start : start + _TOGETHER]
            new = _read_together(tf.gather(image_bytes, chosen), tf.gather(wanted, chosen), network, weights)
            where = chosen[:, None]
            updated = [tf.tensor_scatter_nd_update(old, where, now) for old, now in zip(found, new, strict=True)]
            return (start + _TOGETHER, *updated)

        _, code, score, lengths, texts, boxes = tf.while_loop(
            lambda start, *_: start < count,
            some,
            (tf.constant(0), *found),
            shape_invariants=(tf.TensorShape([]), *(part.shape for part in found)),
        )
        return _outputs(code, score, lengths, texts, boxes, weights)

    return numbers


def _read_together(
    image_bytes: tf.Tensor, wanted: tf.Tensor, network: Answer, weights: Weights
) -> tuple[tf.Tensor, ...]:
    """Error number, log probabilities, counts and digits of the alternatives, and boxes, of some pictures."""
    code, index, pictures = decode(image_bytes, shrink, MAX_FIELD_WIDTH)
    count = tf.size(image_bytes)

    def nothing() -> tuple[tf.Tensor, ...]:
        return (
            code,
            tf.fill(tf.stack([count, ALTERNATIVE_COUNT]), IMPOSSIBLE),
            tf.zeros(tf.stack([count, ALTERNATIVE_COUNT]), tf.int32),
            tf.zeros(tf.stack([count, ALTERNATIVE_COUNT, MAX_DIGITS]), tf.int32),
            tf.zeros(tf.stack([count, MAX_DIGITS, 4])),
        )

    def readings() -> tuple[tf.Tensor, ...]:
        asked = tf.gather(wanted, index)
        lattice = lattice_of(pictures, network, weights)
        found = read(lattice.digit, lattice.skip, lattice.last, asked)
        has_reading = found.log_probability[:, 0] > IMPOSSIBLE / 2
        has_edges = lattice.last > 0
        lacking = tf.where(has_edges & (asked != 0), NUMBERS_ERRORS.index(NO_READING), NUMBERS_ERRORS.index(BLANK)) + 1
        errors = tf.where(has_reading, 0, lacking)
        scale = _halved(tf.gather(image_bytes, index), pictures.extent)
        boxes = _boxes(lattice, found) * scale[:, None, None]
        new = (errors, found.log_probability, found.count, found.digits, boxes)
        where = index[:, None]
        return tuple(tf.tensor_scatter_nd_update(old, where, now) for old, now in zip(nothing(), new, strict=True))

    found: tuple[tf.Tensor, ...] = tf.cond(tf.size(index) > 0, readings, nothing)
    return found


def _boxes(lattice: Lattice, readings: Readings) -> tf.Tensor:
    """Boxes of the best reading's digits in the decoded pictures, float32 [n, MAX_DIGITS, 4]; zeros beyond its end."""
    lines, seams = tf.shape(lattice.skip)[0], tf.maximum(tf.shape(lattice.skip)[1], 1)
    on_canvas = tf.scatter_nd(lattice.segments.edge, lattice.segments.box, tf.stack([lines, seams, MOST_PIECES, 4]))
    line = tf.repeat(tf.range(lines)[:, None], MAX_DIGITS, axis=1)
    boxes = tf.gather_nd(on_canvas, tf.stack([line, readings.first, readings.pieces], axis=2))
    fields = lattice.fields
    placed = boxes * fields.step[:, None, None] + tf.tile(fields.origin, [1, 2])[:, None]
    is_there = tf.sequence_mask(readings.count[:, 0], MAX_DIGITS)
    return tf.where(is_there[..., None], tf.maximum(placed, 0.0), 0.0)


def _halved(image_bytes: tf.Tensor, extent: tf.Tensor) -> tf.Tensor:
    """By how much decoded pictures, of int32 [m, 2] pixels, are smaller than they were: powers of two, float32 [m]."""

    def longest(image: tf.Tensor) -> tf.Tensor:
        is_jpeg = tf.strings.substr(image, 0, 2) == b"\xff\xd8"

        def of_png() -> tf.Tensor:
            return tf.io.decode_raw(image, tf.int32, little_endian=False, fixed_length=24)[4:6]

        return tf.reduce_max(tf.cond(is_jpeg, lambda: tf.image.extract_jpeg_shape(image)[:2], of_png))

    before = tf.map_fn(longest, image_bytes, fn_output_signature=tf.int32)
    ratio = tf.cast(before, tf.float32) / tf.cast(tf.reduce_max(extent, axis=1), tf.float32)
    return 2.0 ** tf.round(tf.math.log(ratio) / tf.math.log(2.0))


def _outputs(
    code: tf.Tensor, score: tf.Tensor, count: tf.Tensor, digits: tf.Tensor, boxes: tf.Tensor, weights: Weights
) -> dict[str, tf.Tensor]:
    is_there = score > IMPOSSIBLE / 2
    likely = tf.clip_by_value(tf.exp(score), LEAST_SURE, MOST_SURE)
    odds = tf.math.log(likely) - tf.math.log1p(-likely)
    confidence = tf.where(is_there, tf.sigmoid(weights.calibration[0] * odds + weights.calibration[1]), 0.0)
    symbols = tf.gather(tf.constant([*"0123456789", ""]), tf.where(tf.sequence_mask(count, MAX_DIGITS), digits, 10))
    texts = tf.where(is_there, tf.strings.reduce_join(symbols, axis=2), "")
    return {
        TEXT: texts[:, 0],
        CONFIDENCE: confidence[:, 0],
        ALTERNATIVES: texts,
        ALTERNATIVE_CONFIDENCE: confidence,
        COUNT: tf.where(is_there[:, 0], count[:, 0], 0),
        BOXES: tf.where(is_there[:, :1, None], boxes, 0.0),
        ERROR: tf.gather(tf.constant(["", *NUMBERS_ERRORS]), code),
    }
