"""What stands behind both signatures: from images in MNIST's form to calibrated probabilities."""

from collections.abc import Callable

import keras
import tensorflow as tf

from exporter.probabilities import to_probabilities

Network = Callable[[tf.Tensor], tf.Tensor]
"""From float32 [n, 28, 28], 0 to 1, to probabilities, float32 [n, 10]."""


def calibrated(model: keras.Model, temperature: float = 1.0) -> Network:
    """A fitted network with the temperature that was found for it."""
    return lambda images: to_probabilities(model(images, training=False), temperature)
