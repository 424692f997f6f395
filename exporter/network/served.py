"""What stands behind both signatures: from images in MNIST's form to calibrated probabilities."""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import tensorflow as tf

from exporter.command import UserError
from exporter.contract import CLASSES, RUN_MODEL
from exporter.network.fold import fold
from exporter.network.probabilities import to_probabilities
from exporter.network.processor import AMX, features

FLOAT32, BFLOAT16 = "float32", "bfloat16"
TOLERANCE = {FLOAT32: 1e-5, BFLOAT16: 1e-2}
"""How far a probability may be from what Keras says, by what products are served in."""


@dataclass(frozen=True, eq=False)
class Network:
    """What answers in the graph."""

    answer: Callable[[tf.Tensor], tf.Tensor]
    table: tf.lookup.StaticHashTable | None = None
    """What it looks up; a SavedModel has to be told of it."""
    forms: Mapping[str, "Network"] = field(default_factory=dict)
    """Those that the processor chooses among where it is loaded, by what their products are in."""

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """From float32 [n, 28, 28], 0 to 1, to probabilities, float32 [n, 10]."""
        return self.answer(images)


def load(run: Path) -> keras.Model:
    """The fitted network of a run folder; UserError where there is none or it is broken."""
    path = run / RUN_MODEL
    if not path.is_file():
        raise UserError(f"{run} is no run folder: {RUN_MODEL} is missing; make one with digits-train")
    try:
        # Not compiled: the optimizer's state is no part of what is served.
        return keras.models.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path} cannot be loaded: {reason}; train it again with digits-train") from None


def calibrated(model: keras.Model, temperature: float = 1.0) -> Network:
    """A fitted network as Keras runs it, with the temperature that was found for it."""
    return Network(lambda images: to_probabilities(model(images, training=False), temperature))


def served(model: keras.Model, temperature: float = 1.0, dtype: str = FLOAT32) -> Network:
    """The same network in its cheapest form: batch normalisation folded, and products in `dtype`.

    bfloat16 takes a third of the time on processors with AMX, and several times as long on others: there products stay
    in float32. Which it is, the SavedModel finds out when it is loaded.

    Raises:
        UserError: a dtype other than float32 for a network that cannot be folded.
    """
    if dtype == FLOAT32:
        folded = fold(model, FLOAT32)
        return _even_of_none(calibrated(model if folded is None else folded, temperature))
    exact, rounded = _forms(model, temperature)
    table = features()

    def chosen(images: tf.Tensor) -> tf.Tensor:
        return tf.cond(table.lookup(tf.constant(AMX)), lambda: rounded(images), lambda: exact(images))

    return _even_of_none(Network(chosen, table, {FLOAT32: exact, BFLOAT16: rounded}))


def _forms(model: keras.Model, temperature: float) -> tuple[Network, Network]:
    """A folded network in float32 and in bfloat16, both of the same variables."""
    folded, half = fold(model, FLOAT32), fold(model, BFLOAT16)
    if folded is None or half is None:
        raise UserError(f"{model.name} has layers that cannot be folded, and is served in {FLOAT32} alone")

    def rounded(images: tf.Tensor) -> tf.Tensor:
        # Rounded at each call, a tenth of the time that 1,000 images take: kept in both forms, they would take half as
        # much space again.
        pairs = zip(folded.trainable_variables, half.trainable_variables, strict=True)
        weights = [tf.cast(exact.value, like.dtype) for exact, like in pairs]
        scores, _ = half.stateless_call(weights, [], images, training=False)
        return to_probabilities(scores, temperature)

    return calibrated(folded, temperature), Network(rounded)


def _even_of_none(network: Network) -> Network:
    """A network that also takes no images: oneDNN's convolutions give those a wrong shape (TensorFlow 2.21)."""
    return replace(
        network,
        answer=lambda images: tf.cond(
            tf.size(images) > 0, lambda: network(images), lambda: tf.zeros([0, CLASSES], tf.float32)
        ),
    )
