"""From a recipe to a compiled Keras network, and the probabilities that a fitted one gives."""

import keras
import numpy as np
import numpy.typing as npt

from exporter.contract import CLASSES, SIDE
from exporter.network.probabilities import to_probabilities
from exporter.network.processor import AMX, has
from trainer.recipes import Recipe

_PREDICT_BATCH = 1000


def build(recipe: Recipe) -> keras.Model:
    """Build and compile the network of a recipe: float32 [n, 28, 28] in 0 to 1 to scores, float32 [n, 10]."""
    model = _layers(recipe, "mixed_bfloat16" if recipe.bfloat16 and has(AMX) else "float32")
    model.compile(
        optimizer=_optimizer(recipe),
        loss=recipe.loss,
        metrics=["accuracy"],
        jit_compile=True if recipe.xla else "auto",
        steps_per_execution=recipe.steps_at_once,
    )
    return model


def in_float32(model: keras.Model, recipe: Recipe) -> keras.Model:
    """A fitted network with the same weights, all of it computed in float32, as it is saved and served."""
    exact = _layers(recipe, "float32")
    exact.set_weights(model.get_weights())
    return exact


def _layers(recipe: Recipe, dtype: str) -> keras.Sequential:
    layers = [keras.Input((SIDE, SIDE))]
    if recipe.convolutions:
        layers.append(keras.layers.Reshape((SIDE, SIDE, 1), dtype=dtype))
    for convolution in recipe.convolutions:
        layers += [
            keras.layers.Conv2D(
                convolution.filters, 3, convolution.stride, padding="same", use_bias=False, dtype=dtype
            ),
            keras.layers.BatchNormalization(dtype=dtype),
            keras.layers.ReLU(dtype=dtype),
        ]
    layers.append(keras.layers.Flatten(dtype=dtype))
    for units in recipe.hidden:
        if recipe.batch_norm:
            # Its offset stands for the bias.
            layers.append(keras.layers.Dense(units, use_bias=False, dtype=dtype))
            layers += [keras.layers.BatchNormalization(dtype=dtype), keras.layers.ReLU(dtype=dtype)]
        else:
            layers.append(keras.layers.Dense(units, activation="relu", dtype=dtype))
        if recipe.dropout:
            layers.append(keras.layers.Dropout(recipe.dropout, dtype=dtype))
    # Scores need more digits than bfloat16 has.
    layers.append(keras.layers.Dense(CLASSES, activation=recipe.outputs, dtype="float32"))
    return keras.Sequential(layers, name=recipe.name)


def _optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    if not recipe.weight_decay:
        return keras.optimizers.Adam(recipe.learning_rate)
    optimizer = keras.optimizers.AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay)
    # Biases, and the scales and offsets of batch normalisation, have no reason to be small.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def predict(model: keras.Model, images: npt.NDArray[np.float32], temperature: float = 1.0) -> npt.NDArray[np.float32]:
    """Probabilities, float32 [n, 10], of normalised images, float32 [n, 28, 28], as serving would answer them."""
    if not len(images):
        return np.zeros([0, CLASSES], np.float32)  # Keras refuses none
    scores = model.predict(images, batch_size=_PREDICT_BATCH, verbose=0)
    return np.asarray(to_probabilities(scores, temperature), dtype=np.float32)
