"""Fits the reader's scorer to strings: the paths that spell a string are to have all of the probability.

No box of a digit need be known: the loss is the logarithm of the sum over all paths that spell the string, less that of
all paths (`exporter.numbers.lattice`).
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from exporter.contract import CLASSES
from exporter.numbers.lattice import log_partition, log_spelling, read
from exporter.numbers.reader import LEAST_SURE, MOST_SURE, on_edges
from exporter.numbers.scorer import FILTERS, FLAT, FORM, HIDDEN, INPUTS, Known, Weights, score
from exporter.numbers.segments import MOST_PIECES, STRAIGHTENED
from trainer.numbers.material import Batch, Batches, Material
from trainer.run_folder.arrays import write_arrays

EPOCHS = 8
BATCH = 64
_LEARNING_RATE = 0.003
_DECAY = 0.01  # AdamW's
_DROPOUT = (0.3, 0.1)
_MOST_LOSS = 15.0  # nats: a string that cannot be read teaches nothing
_SKIPPED = -3.0  # score with which skipping begins
_NEWTON_STEPS = 30

Floats = npt.NDArray[np.float32]
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

    @classmethod
    def to(cls, truth: Sequence[str], texts: list[str], log_probability: Floats) -> "Answers":
        """Answers to strings whose texts are known."""
        right = [said == true for said, true in zip(texts, truth, strict=True)]
        return cls(texts, log_probability, np.array(right, bool))


def fit(
    material: Material,
    *,
    seed: int,
    on_epoch: OnEpoch,
    epochs: int = EPOCHS,
    begun: Weights | None = None,
    learning_rate: float = _LEARNING_RATE,
    kept: Path | None = None,
) -> Weights:
    """Fit a scorer to a material; the same seed on the same processor gives the same weights.

    Args:
        material: what to.
        seed: of the first weights, of the order and of what is dropped.
        on_epoch: told after each epoch, also of those that an interrupted fit has done.
        epochs: how often each string is seen.
        begun: weights to go on with, as they are served.
        learning_rate: the highest one, of AdamW.
        kept: file of what an interrupted fit has left, and where this one leaves it after each epoch.

    Returns:
        Weights, with the calibration that they began with; that of new ones changes nothing.
    """
    mean, deviation = material.measures.mean(axis=0), material.measures.std(axis=0) + 1e-3
    rng = np.random.default_rng(seed)
    tf.random.set_seed(seed)
    weights = _begun(rng) if begun is None else _as_fitted(begun, mean, deviation)
    variables = [getattr(weights, field.name) for field in fields(Weights) if field.name != "calibration"]
    lengths = np.array([len(text) for text in material.texts])
    possible = np.flatnonzero(lengths <= material.last)
    steps = max(1, len(possible) // BATCH)
    warm = max(1, epochs * steps // 20)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, epochs * steps - warm), warmup_target=learning_rate, warmup_steps=warm
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=_DECAY)

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator] # has no types
    def step(*batch: tf.Tensor) -> tf.Tensor:
        last, edge, measures, logs, forms, pieces, text, length = batch
        known = Known((measures - mean) / deviation, logs, tf.cast(forms, tf.float32) / 255.0)
        with tf.GradientTape() as tape:
            shape = tf.stack([tf.size(last), pieces, MOST_PIECES])
            digit, skip = on_edges(edge, shape, *score(weights, known, _DROPOUT))
            surprise = log_partition(digit, skip, last) - log_spelling(digit, skip, last, text, length)
            loss = tf.reduce_mean(tf.minimum(surprise, _MOST_LOSS))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    batches = Batches(material)
    optimizer.build(variables)
    state = [*variables, *optimizer.variables]
    done = _restored(kept, state)
    for epoch, loss in enumerate(done):
        on_epoch(epoch + 1, loss)
    for epoch in range(len(done), epochs):
        order = np.random.default_rng([seed, epoch]).permutation(possible)
        chosen = [order[place * BATCH : (place + 1) * BATCH] for place in range(steps)]
        losses = [float(step(*batch_tensors(batches.of(some)))) for some in chosen if len(some)]
        done.append(float(np.mean(losses)))
        if kept is not None:
            _keep(kept, state, done)
        on_epoch(epoch + 1, done[-1])
    return _as_served(weights, mean, deviation)


def _keep(path: Path, state: Sequence[Any], losses: list[float]) -> None:
    """Write variables and the losses so far."""
    write_arrays(path, *(np.asarray(variable) for variable in state), losses=np.array(losses))


def _restored(path: Path | None, state: Sequence[Any]) -> list[float]:
    """Set variables as `_keep` left them, and return the losses; none where there is nothing."""
    if path is None or not path.exists():
        return []
    with np.load(path, allow_pickle=False) as file:
        for place, variable in enumerate(state):
            variable.assign(file[f"arr_{place}"])
        return [float(loss) for loss in file["losses"]]


def _begun(rng: np.random.Generator) -> Weights:
    """Variables to begin with, as He et al. (2015) draw them; the last ones so small that the large network counts."""

    def drawn(*shape: int, scale: float = 2.0) -> tf.Variable:
        inputs = int(np.prod(shape[:-1]))
        return tf.Variable(rng.normal(0, (scale / inputs) ** 0.5, shape).astype(np.float32))

    def zeros(size: int) -> tf.Variable:
        return tf.Variable(np.zeros(size, np.float32))

    channels = (len(STRAIGHTENED), *FILTERS)
    convolutions: list[tf.Variable] = []
    for inputs, outputs in itertools.pairwise(channels):
        convolutions += [drawn(3, 3, inputs, outputs), zeros(outputs)]
    names = ("kernel_1", "bias_1", "kernel_2", "bias_2", "kernel_3", "bias_3")
    return Weights(
        **dict(zip(names, convolutions, strict=True)),
        form=drawn(FLAT, FORM),
        form_bias=zeros(FORM),
        hidden=drawn(FORM + INPUTS, HIDDEN),
        hidden_bias=zeros(HIDDEN),
        output=drawn(HIDDEN, CLASSES + 1, scale=0.01),
        output_bias=tf.Variable(np.array([0.0] * CLASSES + [_SKIPPED], np.float32)),
        trust=tf.Variable(np.float32(1)),
        calibration=np.array([1, 0], np.float32),
    )


def _as_served(weights: Weights, mean: Floats, deviation: Floats) -> Weights:
    """Weights that take measures as they are, with half the digits where there are many."""
    arrays = {field.name: np.asarray(getattr(weights, field.name)) for field in fields(Weights)}
    scaled = arrays["hidden"][FORM:] / deviation[:, None]
    arrays["hidden_bias"] = arrays["hidden_bias"] - mean @ scaled
    arrays["hidden"] = np.concatenate([arrays["hidden"][:FORM], scaled])
    for name in ("kernel_1", "kernel_2", "kernel_3", "form"):
        arrays[name] = arrays[name].astype(np.float16)
    return Weights(**arrays)


def _as_fitted(weights: Weights, mean: Floats, deviation: Floats) -> Weights:
    """Variables of weights that are served, which take measures as they are when they are fitted."""
    arrays = {field.name: np.asarray(getattr(weights, field.name), np.float32) for field in fields(Weights)}
    measured = arrays["hidden"][FORM:]
    arrays["hidden_bias"] = arrays["hidden_bias"] + mean @ measured
    arrays["hidden"] = np.concatenate([arrays["hidden"][:FORM], measured * deviation[:, None]])
    calibration = arrays.pop("calibration")
    return Weights(**{name: tf.Variable(array) for name, array in arrays.items()}, calibration=calibration)


def answers(weights: Weights, material: Material, *, count_given: bool = False) -> Answers:
    """What a reader says of a material; with the number of digits given, if so."""

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator] # has no types
    def readings(*batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        last, edge, measures, logs, forms, pieces, _, length = batch
        shape = tf.stack([tf.size(last), pieces, MOST_PIECES])
        known = Known(measures, logs, tf.cast(forms, tf.float32) / 255.0)
        digit, skip = on_edges(edge, shape, *score(weights, known))
        found = read(digit, skip, last, length if count_given else tf.zeros_like(length))
        return found.log_probability[:, 0], found.count[:, 0], found.digits[:, 0]

    batches, texts, scores = Batches(material), [], []
    for start in range(0, len(material.texts), BATCH):
        chosen = np.arange(start, min(start + BATCH, len(material.texts)))
        found, count, digits = (part.numpy() for part in readings(*batch_tensors(batches.of(chosen))))
        scores.append(found)
        texts += ["".join(map(str, row[:length])) for row, length in zip(digits, count, strict=True)]
    return Answers.to(material.texts, texts, np.concatenate(scores))


def calibrated(weights: Weights, found: Answers) -> Weights:
    """Weights whose confidence is true on held-out strings: a line on their log odds (Platt 1999).

    It is drawn a little towards the line that they had, which decides where all strings are right, or none.
    """
    odds = np.stack([_log_odds(found), np.ones(len(found.texts))], axis=1)
    before = np.asarray(weights.calibration, np.float64)
    line = before
    for _ in range(_NEWTON_STEPS):
        said = _probability(odds @ line)
        slope = odds.T @ (said - found.right) + (line - before)
        curvature = (odds * (said * (1 - said))[:, None]).T @ odds + np.eye(2)
        line = line - np.linalg.solve(curvature, slope)
    return replace(weights, calibration=line.astype(np.float32))


def confidence_of(weights: Weights, found: Answers) -> npt.NDArray[np.float64]:
    """Calibrated probability that each text is right, float64 [n]."""
    slope, offset = weights.calibration
    return _probability(slope * _log_odds(found) + offset)


def _probability(odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    said: npt.NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
    return said


def _log_odds(found: Answers) -> npt.NDArray[np.float64]:
    likely = np.clip(np.exp(found.log_probability.astype(np.float64)), LEAST_SURE, MOST_SURE)
    odds: npt.NDArray[np.float64] = np.log(likely / (1 - likely))
    return odds


def batch_tensors(batch: Batch) -> tuple[tf.Tensor, ...]:
    """The parts of a batch in the order in which graphs take them."""
    looks = (batch.measures, batch.logs, batch.forms)
    parts = (batch.last, batch.edge, *looks, np.int32(batch.pieces), batch.text, batch.length)
    return tuple(map(tf.constant, parts))
