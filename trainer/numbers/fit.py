"""Fits the reader's scorer to strings: the paths that spell a string are to have all of the probability.

No box of a digit need be known: the loss is the logarithm of the sum over all paths that spell the string, less that of
all paths (`exporter.numbers.lattice`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from exporter.contract import CLASSES
from exporter.numbers.lattice import log_partition, log_spelling, read
from exporter.numbers.reader import LEAST_SURE, MOST_SURE, on_edges
from exporter.numbers.scorer import INPUTS, Weights, score
from exporter.numbers.segments import MOST_PIECES
from trainer.numbers.material import Batch, Batches, Material

HIDDEN = 48
EPOCHS = 12
BATCH = 64
_LEARNING_RATE = 0.004
_DECAY = 1e-4  # times the sum of squared weights
_MOST_LOSS = 15.0  # nats: a string that cannot be read teaches nothing
_SKIPPED = -3.0  # score with which skipping begins
_NEWTON_STEPS = 30

OnEpoch = Callable[[int, float], None]
"""Told after each epoch its number from 1 and the mean loss, in nats a string."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a reader says of n strings.

    Attributes:
        texts: the best reading of each, empty where there is none.
        log_probability: of it, before calibration, float32 [n].
        right: whether it is the string's text, bool [n].
    """

    texts: list[str]
    log_probability: npt.NDArray[np.float32]
    right: npt.NDArray[np.bool_]


def fit(material: Material, *, seed: int, on_epoch: OnEpoch, epochs: int = EPOCHS, hidden: int = HIDDEN) -> Weights:
    """Fit a scorer to a material; the same seed on the same processor gives the same weights.

    Returns:
        Weights whose calibration changes nothing.
    """
    mean, deviation = material.known.mean(axis=0), material.known.std(axis=0) + 1e-3
    rng = np.random.default_rng(seed)
    variables = [
        tf.Variable(rng.normal(0, INPUTS**-0.5, [INPUTS, hidden]).astype(np.float32)),
        tf.Variable(np.zeros(hidden, np.float32)),
        tf.Variable(rng.normal(0, 0.1 * hidden**-0.5, [hidden, CLASSES + 1]).astype(np.float32)),
        tf.Variable(np.array([0.0] * CLASSES + [_SKIPPED], np.float32)),
        tf.Variable(np.float32(1)),
    ]
    weights = Weights(*variables, calibration=np.array([1, 0], np.float32))
    lengths = np.array([len(text) for text in material.texts])
    possible = np.flatnonzero(lengths <= material.last)
    steps = max(1, len(possible) // BATCH)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, epochs * steps))
    optimizer.build(variables)

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator] # has no types
    def step(*batch: tf.Tensor) -> tf.Tensor:
        last, edge, known, logs, pieces, text, length = batch
        with tf.GradientTape() as tape:
            shape = tf.stack([tf.size(last), pieces, MOST_PIECES])
            digit, skip = on_edges(edge, shape, *score(weights, (known - mean) / deviation, logs))
            surprise = log_partition(digit, skip, last) - log_spelling(digit, skip, last, text, length)
            loss = tf.reduce_mean(tf.minimum(surprise, _MOST_LOSS))
            squares = tf.nn.l2_loss(variables[0]) + tf.nn.l2_loss(variables[2])
            total = loss + 2 * _DECAY * squares
        optimizer.apply(tape.gradient(total, variables), variables)
        return loss

    batches = Batches(material)
    for epoch in range(epochs):
        order = rng.permutation(possible)
        chosen = [order[place * BATCH : (place + 1) * BATCH] for place in range(steps)]
        losses = [float(step(*_tensors(batches.of(some)))) for some in chosen if len(some)]
        on_epoch(epoch + 1, float(np.mean(losses)))
    hidden_weights, hidden_bias, output, output_bias, trust = (variable.numpy() for variable in variables)
    # Serving takes what is known as it is.
    scaled = hidden_weights / deviation[:, None]
    return Weights(scaled, hidden_bias - mean @ scaled, output, output_bias, trust, np.array([1, 0], np.float32))


def answers(weights: Weights, material: Material, *, count_given: bool = False) -> Answers:
    """What a reader says of a material; with the number of digits given, if so."""

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator] # has no types
    def readings(*batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        last, edge, known, logs, pieces, _, length = batch
        shape = tf.stack([tf.size(last), pieces, MOST_PIECES])
        digit, skip = on_edges(edge, shape, *score(weights, known, logs))
        found = read(digit, skip, last, length if count_given else tf.zeros_like(length))
        return found.log_probability[:, 0], found.count[:, 0], found.digits[:, 0]

    batches, texts, scores = Batches(material), [], []
    for start in range(0, len(material.texts), BATCH):
        chosen = np.arange(start, min(start + BATCH, len(material.texts)))
        found, count, digits = (part.numpy() for part in readings(*_tensors(batches.of(chosen))))
        scores.append(found)
        texts += ["".join(map(str, row[:length])) for row, length in zip(digits, count, strict=True)]
    right = np.array([said == text for said, text in zip(texts, material.texts, strict=True)], bool)
    return Answers(texts, np.concatenate(scores), right)


def calibrated(weights: Weights, found: Answers) -> Weights:
    """Weights whose confidence is true on held-out strings: a line on their log odds (Platt 1999)."""
    odds = np.stack([_log_odds(found), np.ones(len(found.texts))], axis=1)
    line = np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        said = 1 / (1 + np.exp(-odds @ line))
        slope = odds.T @ (said - found.right) + 1e-3 * (line - [1, 0])
        curvature = (odds * (said * (1 - said))[:, None]).T @ odds + 1e-3 * np.eye(2)
        line = line - np.linalg.solve(curvature, slope)
    return replace(weights, calibration=line.astype(np.float32))


def confidence_of(weights: Weights, found: Answers) -> npt.NDArray[np.float64]:
    """Calibrated probability that each text is right, float64 [n]."""
    slope, offset = weights.calibration
    said: npt.NDArray[np.float64] = 1 / (1 + np.exp(-(slope * _log_odds(found) + offset)))
    return said


def _log_odds(found: Answers) -> npt.NDArray[np.float64]:
    likely = np.clip(np.exp(found.log_probability.astype(np.float64)), LEAST_SURE, MOST_SURE)
    odds: npt.NDArray[np.float64] = np.log(likely / (1 - likely))
    return odds


def _tensors(batch: Batch) -> tuple[tf.Tensor, ...]:
    parts = (batch.last, batch.edge, batch.known, batch.logs, np.int32(batch.pieces), batch.text, batch.length)
    return tuple(map(tf.constant, parts))
