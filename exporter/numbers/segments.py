"""Runs of neighbouring pieces of lines, each of which may be a digit: cut out, placed as MNIST's digits, measured."""

from dataclasses import dataclass

import tensorflow as tf

from exporter.numbers.field import DIGIT_HEIGHT, HEIGHT, Fields, lean, sheared
from exporter.numbers.seams import Cuts
from exporter.picture.normalise import BOX_EDGE, centre_of_mass, longest_side, place

MOST_PIECES = 6
"""Of a segment."""
STRAIGHTENED = (0.0, 0.7)
"""Shares of a line's slant that are taken off its segments; each segment is judged in both forms."""
FEATURES = 14
"""Measures of a segment."""

_MOST_WIDTH = 2 * DIGIT_HEIGHT  # columns between the middles of its seams
_WINDOW = _MOST_WIDTH + 32  # columns, with what seams and slant add
_INK = 0.3  # of full ink: as strong counts for the box


@dataclass(frozen=True)
class Segments:
    """The segments of all lines of a batch, one after the other.

    Attributes:
        edge: line, first seam, and number of pieces less one, int32 [s, 3].
        fields: in MNIST's form, float32 [len(STRAIGHTENED), s, 28, 28].
        features: measures of shape and place, float32 [s, FEATURES], mostly within 0 and 2.
        box: top, left, bottom and right on the canvas, float32 [s, 4].
    """

    edge: tf.Tensor
    fields: tf.Tensor
    features: tf.Tensor
    box: tf.Tensor


def cut_segments(fields: Fields, cuts: Cuts) -> Segments:
    """All segments of lines, at most MOST_PIECES pieces and two heights wide."""
    edge = _edges(cuts)
    line, first, last = edge[:, 0], edge[:, 1], edge[:, 1] + edge[:, 2] + 1
    left = tf.gather_nd(cuts.opening, tf.stack([line, first], axis=1))
    right = tf.gather_nd(cuts.column, tf.stack([line, last], axis=1))

    placed, measured = [], []
    for share in STRAIGHTENED:
        ink = fields.ink if share == 0.0 else sheared(fields.ink, share * fields.slant)
        # Seams were found where lines stand upright.
        shift = tf.round(lean((1.0 - share) * fields.slant))
        shift = tf.gather(tf.cast(shift, tf.int32), line)
        window, start = _cut_out(ink, line, left + shift, right + shift)
        placed.append(place(window, centre_of_mass(window), longest_side(window, BOX_EDGE)))
        measured.append(_measure(window, start))
    # Of a segment as it is.
    features, box = measured[0]
    at_first, at_last = (tf.stack([line, place], axis=1) for place in (first, last))
    costs = tf.stack([tf.gather_nd(cuts.cost, at_first), tf.gather_nd(cuts.cost, at_last)], axis=1) / 8.0
    middle = HEIGHT // 2
    width = tf.cast(right[:, middle] - left[:, middle], tf.float32)[:, None] / DIGIT_HEIGHT
    pieces = tf.cast(edge[:, 2:], tf.float32) / (MOST_PIECES - 1)
    slant = tf.gather(fields.slant, line)[:, None]
    return Segments(edge, tf.stack(placed), tf.concat([features, costs, width, pieces, slant], axis=1), box)


def _edges(cuts: Cuts) -> tf.Tensor:
    """Line, first seam and number of pieces less one of each segment, int32 [s, 3]."""
    length = tf.shape(cuts.column)[1]
    first = tf.range(length)[:, None]
    last = first + 1 + tf.range(MOST_PIECES)
    opening, closing = (seam[:, :, HEIGHT // 2] for seam in (cuts.opening, cuts.column))
    width = tf.gather(closing, tf.minimum(last, length - 1), axis=1) - opening[:, :, None]
    is_there = (last < cuts.count[:, None, None]) & (width <= _MOST_WIDTH)
    # A single piece is a segment, however wide.
    is_there |= (last == first + 1) & (last < cuts.count[:, None, None])
    return tf.cast(tf.where(is_there), tf.int32)


def _cut_out(ink: tf.Tensor, line: tf.Tensor, left: tf.Tensor, right: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What lies between two seams, int32 [s, HEIGHT] each, float32 [s, HEIGHT, _WINDOW], and its first column, [s]."""
    width = tf.shape(ink)[2]
    start = tf.reduce_min(left, axis=1)
    column = start[:, None] + tf.range(_WINDOW)
    row = line[:, None] * HEIGHT + tf.range(HEIGHT)
    index = row[:, :, None] * width + tf.clip_by_value(column, 0, width - 1)[:, None, :]
    column = column[:, None, :]
    inside = (column >= tf.maximum(left, 0)[:, :, None]) & (column < tf.minimum(right, width)[:, :, None])
    return tf.where(inside, tf.gather(tf.reshape(ink, [-1]), index), 0.0), start


def _measure(window: tf.Tensor, start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Measures of ink, float32 [s, HEIGHT, _WINDOW], and its box on the canvas, float32 [s, 4]."""
    rows, columns = tf.reduce_max(window, axis=2) > _INK, tf.reduce_max(window, axis=1) > _INK
    (top, bottom), (left, right) = _span(rows), _span(columns)
    height, width = bottom - top, right - left
    mass = tf.reduce_sum(window, axis=[1, 2])
    # Empty columns and rows within.
    gap = width - tf.reduce_sum(tf.cast(columns, tf.float32), axis=1)
    gap_down = height - tf.reduce_sum(tf.cast(rows, tf.float32), axis=1)
    centre = centre_of_mass(window)
    area = tf.maximum(height * width, 1.0)
    features = [
        height / DIGIT_HEIGHT,
        width / DIGIT_HEIGHT,
        top / DIGIT_HEIGHT,
        bottom / DIGIT_HEIGHT,
        mass / DIGIT_HEIGHT**2 * 4,
        mass / area,
        gap / DIGIT_HEIGHT * 4,
        gap_down / DIGIT_HEIGHT * 4,
        (centre[:, 0] - top) / tf.maximum(height, 1.0),
    ]
    first = tf.cast(start, tf.float32)
    return tf.stack(features, axis=1), tf.stack([top, left + first, bottom, right + first], axis=1)


def _span(occupied: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the first true place begins and the last one ends, float32 [s], of bool [s, k]; 0 where there is none."""
    length = tf.shape(occupied)[1]
    places = tf.range(length)
    last = tf.reduce_max(tf.where(occupied, places + 1, 0), axis=1)
    first = tf.minimum(tf.reduce_min(tf.where(occupied, places, length), axis=1), last)
    return tf.cast(first, tf.float32), tf.cast(last, tf.float32)
