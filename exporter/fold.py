"""A dense network as few products as it has layers: batch normalisation goes into the weights before it.

At inference batch normalisation is a scale and an offset for each unit (Ioffe and Szegedy, "Batch Normalization",
2015), which the weights and the bias can hold. The same numbers come out but for their last bits, in fewer passes over
them: TensorFlow runs each layer that is left as one fused operation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """A product, an offset and an activation."""

    kernel: Floats  # [inputs, units]
    bias: Floats  # [units]
    activation: Callable[[tf.Tensor], tf.Tensor]


def fold(model: keras.Model) -> list[Layer] | None:
    """The layers of a network that is a chain of dense ones; None of any other network.

    Dense layers may be followed by batch normalisation, and that by an activation. Dropout does nothing at inference.
    """
    layers: list[Layer] = []
    if not isinstance(model, keras.Sequential):
        return None
    for layer in model.layers:
        match layer:
            case keras.layers.Dense():
                kernel = np.asarray(layer.kernel, np.float64)
                bias = np.asarray(layer.bias, np.float64) if layer.use_bias else np.zeros(layer.units)
                layers.append(Layer(kernel, bias, layer.activation))
            case keras.layers.BatchNormalization() if layers and layers[-1].activation is keras.activations.linear:
                layers[-1] = _scaled(layers[-1], layer)
            case keras.layers.ReLU() if (
                layers and layers[-1].activation is keras.activations.linear and _is_plain(layer)
            ):
                layers[-1] = Layer(layers[-1].kernel, layers[-1].bias, keras.activations.relu)
            case keras.layers.Flatten() if not layers:
                pass
            case keras.layers.Dropout():
                pass
            case _:
                return None
    return layers or None


def compute(layers: list[Layer], dtype: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """A network's layers on float32 [n, 28, 28], with weights and products in a dtype; the last one always in float32.

    Scores need more digits than bfloat16 has, and their product is a small one.
    """
    dtypes = [*[tf.as_dtype(dtype)] * (len(layers) - 1), tf.float32]
    weights = [
        (tf.Variable(tf.cast(layer.kernel, kind)), tf.Variable(tf.cast(layer.bias, kind)))
        for layer, kind in zip(layers, dtypes, strict=True)
    ]

    def scores(images: tf.Tensor) -> tf.Tensor:
        values = tf.reshape(images, [-1, layers[0].kernel.shape[0]])
        for layer, kind, (kernel, bias) in zip(layers, dtypes, weights, strict=True):
            values = layer.activation(tf.nn.bias_add(tf.matmul(tf.cast(values, kind), kernel), bias))
        return values

    return scores


def _scaled(layer: Layer, normalisation: keras.layers.BatchNormalization) -> Layer:
    mean = np.asarray(normalisation.moving_mean, np.float64)
    scale = 1 / np.sqrt(np.asarray(normalisation.moving_variance, np.float64) + normalisation.epsilon)
    if normalisation.scale:
        scale *= np.asarray(normalisation.gamma, np.float64)
    offset = np.asarray(normalisation.beta, np.float64) if normalisation.center else 0.0
    return Layer(layer.kernel * scale, (layer.bias - mean) * scale + offset, layer.activation)


def _is_plain(relu: keras.layers.ReLU) -> bool:
    return relu.max_value is None and not relu.negative_slope and not relu.threshold
