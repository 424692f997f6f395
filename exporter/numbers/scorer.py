"""How likely each segment is a digit, and which: from a network's answers and the segment's measures to scores.

A small network with one hidden layer, fitted by `digits-train numbers`; its numbers are kept in a file of some kB.
"""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from exporter.contract import CLASSES
from exporter.numbers.segments import FEATURES, STRAIGHTENED, Segments

INPUTS = CLASSES + 1 + len(STRAIGHTENED) + 1 + FEATURES + 2
"""Numbers that are known of a segment."""

_LEAST = 3e-4  # likelihood of a digit: less is no less likely
_MOST = 4.0  # of a measure: more is no more unusual


@dataclass(frozen=True)
class Weights:
    """What is fitted of the reader.

    Attributes:
        hidden: float32 [INPUTS, h].
        hidden_bias: float32 [h].
        output: float32 [h, 11]: ten digits, and skipping.
        output_bias: float32 [11].
        trust: how much the logarithm of the network's answer counts, float32 [].
        calibration: slope and offset, float32 [2], on the log odds that a text is right.
    """

    hidden: Any
    hidden_bias: Any
    output: Any
    output_bias: Any
    trust: Any
    calibration: Any


def inputs_of(segments: Segments, probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What is known of segments.

    Args:
        segments: their forms and measures.
        probabilities: the network's answers to their forms, float32 [len(STRAIGHTENED), s, 10].

    Returns:
        Float32 [s, INPUTS], and the logarithm of the mean answer, float32 [s, 10].
    """
    mean = tf.reduce_mean(probabilities, axis=0)
    logs = tf.math.log(tf.maximum(mean, _LEAST))
    entropy = -tf.reduce_sum(mean * logs, axis=1, keepdims=True)
    surest = tf.transpose(tf.reduce_max(probabilities, axis=2))
    two = tf.math.top_k(mean, 2).values
    shape = tf.minimum(segments.features, _MOST)
    known = [logs / 4.0, entropy, surest, two[:, :1] - two[:, 1:], shape, tf.square(segments.features[:, :2])]
    return tf.concat(known, axis=1), logs


def score(weights: Weights, known: tf.Tensor, logs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Scores of segments read as digits, float32 [s, 10], and as no digit, float32 [s], of what `inputs_of` gives."""
    hidden = tf.nn.relu(tf.matmul(known, weights.hidden) + weights.hidden_bias)
    found = tf.matmul(hidden, weights.output) + weights.output_bias
    return weights.trust * logs + found[:, :CLASSES], found[:, CLASSES]
