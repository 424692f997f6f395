"""From a recipe to a compiled Keras network, and the probabilities that a fitted one gives."""

import keras
import numpy as np
import numpy.typing as npt

from exporter.contract import CLASSES, SIDE
from exporter.probabilities import to_probabilities
from trainer.recipes import Recipe

_PREDICT_BATCH = 1000


def build(recipe: Recipe) -> keras.Model:
    """Build and compile the network of a recipe: float32 [n, 28, 28] in 0 to 1 to scores, float32 [n, 10]."""
    layers = [keras.Input((SIDE, SIDE)), keras.layers.Flatten()]
    for units in recipe.hidden:
        if recipe.batch_norm:
            # Its offset stands for the bias.
            layers.append(keras.layers.Dense(units, use_bias=False))
            layers += [keras.layers.BatchNormalization(), keras.layers.ReLU()]
        else:
            layers.append(keras.layers.Dense(units, activation="relu"))
        if recipe.dropout:
            layers.append(keras.layers.Dropout(recipe.dropout))
    layers.append(keras.layers.Dense(CLASSES, activation=recipe.outputs))
    model = keras.Sequential(layers, name=recipe.name)
    model.compile(
        optimizer=_optimizer(recipe),
        loss=recipe.loss,
        metrics=["accuracy"],
        jit_compile=True if recipe.xla else "auto",
    )
    return model


def _optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    if not recipe.weight_decay:
        return keras.optimizers.Adam(recipe.learning_rate)
    optimizer = keras.optimizers.AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay)
    # Biases, and the scales and offsets of batch normalisation, have no reason to be small.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def predict(model: keras.Model, images: npt.NDArray[np.float32], temperature: float = 1.0) -> npt.NDArray[np.float32]:
    """Probabilities, float32 [n, 10], of normalised images, float32 [n, 28, 28], as serving would answer them."""
    scores = model.predict(images, batch_size=_PREDICT_BATCH, verbose=0)
    return np.asarray(to_probabilities(scores, temperature), dtype=np.float32)
