"""How likely each segment is a digit, and which: from its forms, the network's answers and measures to scores.

The network that reads single digits knows nothing else: two digits side by side, or half of one, are some digit to it.
A small convolutional network looks at each segment once more, together with its measures and what the large one says,
and gives scores for ten digits and for none. It is fitted by `digits-train numbers`.
"""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from exporter.contract import CLASSES, SIDE
from exporter.numbers.segments import FEATURES, STRAIGHTENED, Segments

JUDGED = CLASSES + 1 + len(STRAIGHTENED) + 1
"""Measures of the large network's answers to a segment."""
INPUTS = JUDGED + FEATURES + 2
"""Measures that are known of a segment: these first."""
FILTERS = (16, 32, 48)
"""Of convolutions over 3x3 pixels."""
STRIDES = (2, 2, 1)
FORM = 64
"""Units that say what a form looks like."""
HIDDEN = 64
"""Units that bring form and measures together."""
FLAT = (SIDE // 4) ** 2 * FILTERS[-1]
"""Numbers that come out of the convolutions."""

_LEAST = 3e-4  # likelihood of a digit: less is no less likely
_MOST = 4.0  # of a measure: more is no more unusual


@dataclass(frozen=True)
class Weights:
    """What is fitted of the reader: arrays, or variables while it is fitted.

    Attributes:
        kernel_1: float [3, 3, len(STRAIGHTENED), FILTERS[0]].
        bias_1: float [FILTERS[0]].
        kernel_2: float [3, 3, FILTERS[0], FILTERS[1]].
        bias_2: float [FILTERS[1]].
        kernel_3: float [3, 3, FILTERS[1], FILTERS[2]].
        bias_3: float [FILTERS[2]].
        form: float [FLAT, FORM].
        form_bias: float [FORM].
        hidden: float [FORM + INPUTS, HIDDEN].
        hidden_bias: float [HIDDEN].
        output: float [HIDDEN, 11]: ten digits, and none.
        output_bias: float [11].
        trust: how much the logarithm of the large network's answer counts, float [].
        calibration: slope and offset, float [2], on the log odds that a text is right.
    """

    kernel_1: Any
    bias_1: Any
    kernel_2: Any
    bias_2: Any
    kernel_3: Any
    bias_3: Any
    form: Any
    form_bias: Any
    hidden: Any
    hidden_bias: Any
    output: Any
    output_bias: Any
    trust: Any
    calibration: Any


@dataclass(frozen=True)
class Known:
    """What is known of segments.

    Attributes:
        measures: float32 [s, INPUTS].
        logs: logarithm of the large network's mean answer, float32 [s, 10].
        forms: in MNIST's form, as it is and straightened, float32 [s, 28, 28, len(STRAIGHTENED)], 0 to 1.
    """

    measures: tf.Tensor
    logs: tf.Tensor
    forms: tf.Tensor


def known_of(segments: Segments, probabilities: tf.Tensor) -> Known:
    """What is known of segments with the large network's answers, float32 [len(STRAIGHTENED), s, 10]."""
    logs, measures = judgement(probabilities)
    shape = tf.minimum(segments.features, _MOST)
    measures += [shape, tf.square(segments.features[:, :2])]
    return Known(tf.concat(measures, axis=1), logs, tf.transpose(segments.fields, [1, 2, 3, 0]))


def judgement(probabilities: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Logarithm of the large network's mean answer, float32 [s, 10], and measures of its answers, [s, JUDGED] together.

    Args:
        probabilities: its answers, float32 [len(STRAIGHTENED), s, 10].
    """
    mean = tf.reduce_mean(probabilities, axis=0)
    logs = tf.math.log(tf.maximum(mean, _LEAST))
    entropy = -tf.reduce_sum(mean * logs, axis=1, keepdims=True)
    surest = tf.transpose(tf.reduce_max(probabilities, axis=2))
    two = tf.math.top_k(mean, 2).values
    return logs, [logs / 4.0, entropy, surest, two[:, :1] - two[:, 1:]]


def score(weights: Weights, known: Known, dropout: tuple[float, float] = (0.0, 0.0)) -> tuple[tf.Tensor, tf.Tensor]:
    """Scores of segments read as digits, float32 [s, 10], and as no digit, float32 [s].

    Args:
        weights: what was fitted.
        known: of the segments.
        dropout: shares of what comes out of the convolutions, and of what is brought together, that are dropped while
            fitting.
    """
    # oneDNN's convolutions give no images a wrong shape (TensorFlow 2.21).
    found = tf.cond(
        tf.size(known.logs) > 0,
        lambda: _found(weights, known, dropout),
        lambda: tf.zeros([0, CLASSES + 1]),
    )
    return _float(weights.trust) * known.logs + found[:, :CLASSES], found[:, CLASSES]


def _found(weights: Weights, known: Known, dropout: tuple[float, float]) -> tf.Tensor:
    values = known.forms
    kernels = (weights.kernel_1, weights.kernel_2, weights.kernel_3)
    biases = (weights.bias_1, weights.bias_2, weights.bias_3)
    for kernel, bias, stride in zip(kernels, biases, STRIDES, strict=True):
        values = tf.nn.relu(tf.nn.conv2d(values, _float(kernel), stride, "SAME") + _float(bias))
    flat = _dropped(tf.reshape(values, [-1, FLAT]), dropout[0])
    form = tf.nn.relu(tf.matmul(flat, _float(weights.form)) + _float(weights.form_bias))
    together = _dropped(tf.concat([form, known.measures], axis=1), dropout[1])
    hidden = tf.nn.relu(tf.matmul(together, _float(weights.hidden)) + _float(weights.hidden_bias))
    return tf.matmul(hidden, _float(weights.output)) + _float(weights.output_bias)


def _dropped(values: tf.Tensor, share: float) -> tf.Tensor:
    return tf.nn.dropout(values, share) if share else values


def _float(weights: Any) -> tf.Tensor:  # noqa: ANN401 - an array or a variable
    """In the file and in the graph weights have half the digits."""
    return tf.cast(weights, tf.float32)
