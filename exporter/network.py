"""What stands behind both signatures: from images in MNIST's form to calibrated probabilities."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from exporter.command import UserError
from exporter.contract import CLASSES, RUN_MODEL
from exporter.fold import fold
from exporter.probabilities import to_probabilities

Network = Callable[[tf.Tensor], tf.Tensor]
"""From float32 [n, 28, 28], 0 to 1, to probabilities, float32 [n, 10]."""

FLOAT32, BFLOAT16 = "float32", "bfloat16"
TOLERANCE = {FLOAT32: 1e-5, BFLOAT16: 1e-2}
"""How far a probability may be from what Keras says, by what the weights are served in."""


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
    return lambda images: to_probabilities(model(images, training=False), temperature)


def served(model: keras.Model, temperature: float = 1.0, dtype: str = FLOAT32) -> Network:
    """The same network in its cheapest form: batch normalisation folded, weights and products in `dtype`.

    bfloat16 takes half the space, and a third of the time on processors with AMX; on others several times as long.

    Raises:
        UserError: a dtype other than float32 for a network that cannot be folded.
    """
    folded = fold(model, dtype)
    if folded is None and dtype != FLOAT32:
        raise UserError(f"{model.name} has layers that cannot be folded, and is served in {FLOAT32} alone")
    return _even_of_none(calibrated(model if folded is None else folded, temperature))


def _even_of_none(network: Network) -> Network:
    """A network that also takes no images: oneDNN's convolutions give those a wrong shape (TensorFlow 2.21)."""
    return lambda images: tf.cond(
        tf.size(images) > 0, lambda: network(images), lambda: tf.zeros([0, CLASSES], tf.float32)
    )
