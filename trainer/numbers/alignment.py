"""Where the digits of a text are in a field: the segments through which nearly all paths go that spell it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from exporter.contract import SIDE
from exporter.numbers.lattice import log_spelling
from exporter.numbers.reader import on_edges
from exporter.numbers.scorer import Known, Weights, score
from exporter.numbers.segments import MOST_PIECES, STRAIGHTENED
from trainer.numbers.fit import BATCH, batch_tensors
from trainer.numbers.material import Batches, Material

_LEAST = 0.5
"""Probability, given the text, that a segment is a digit of it, from which it counts as one."""


@dataclass(frozen=True, eq=False)
class Aligned:
    """The digits of fields that were found.

    Attributes:
        forms: in MNIST's form, uint8 [k, 28, 28].
        labels: which digit the text has there, int64 [k].
        field: the place of its field in the material, int64 [k].
    """

    forms: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    field: npt.NDArray[np.int64]


def align(weights: Weights, material: Material) -> Aligned:
    """Find the digits of texts that are known, by the forward-backward algorithm.

    The gradient of the logarithm of the sum over all paths that spell a text, by the score of a segment that is read as
    a digit, is the probability that the path goes through it (Rabiner, "A tutorial on hidden Markov models", 1989).

    Args:
        weights: of the reader.
        material: fields and their texts.
    """

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator] # has no types
    def posterior(*batch: tf.Tensor) -> tf.Tensor:
        last, edge, measures, logs, forms, pieces, text, length = batch
        shape = tf.stack([tf.size(last), pieces, MOST_PIECES])
        known = Known(measures, logs, tf.cast(forms, tf.float32) / 255.0)
        digit, skip = on_edges(edge, shape, *score(weights, known))
        with tf.GradientTape() as tape:
            tape.watch(digit)
            spelled = log_spelling(digit, skip, last, text, length)
        return tf.gather_nd(tape.gradient(spelled, digit), edge)

    possible = np.flatnonzero(np.array([len(text) for text in material.texts]) <= material.last)
    batches = Batches(material)
    forms = [np.zeros([0, SIDE, SIDE], np.uint8)]
    labels, field = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(possible), BATCH):
        chosen = possible[start : start + BATCH]
        batch = batches.of(chosen)
        segment, digit = np.nonzero(posterior(*batch_tensors(batch)).numpy() >= _LEAST)
        # Half of them as they are, half straightened: both are what the network is asked about.
        forms.append(batch.forms[segment, :, :, np.arange(len(segment)) % len(STRAIGHTENED)])
        labels.append(digit)
        field.append(chosen[batch.edge[segment, 0]])
    return Aligned(np.concatenate(forms), np.concatenate(labels), np.concatenate(field))
