"""A network with half as many layers: batch normalisation goes into the weights before it.

At inference batch normalisation is a scale and an offset for each unit (Ioffe and Szegedy, "Batch Normalization",
2015), which the weights and the bias can hold. The same numbers come out but for their last bits, in fewer passes over
them: TensorFlow runs each layer that is left as one fused operation.
"""

from dataclasses import dataclass, replace

import keras
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Product:
    """A dense layer or a convolution, with what has been folded into it."""

    layer: keras.layers.Layer
    kernel: Floats  # [..., units]
    bias: Floats  # [units]
    activation: str


def fold(model: keras.Model, dtype: str) -> keras.Model | None:
    """The same network with weights and products in a dtype; None of one with layers that are not known here.

    It is a chain of dense layers and convolutions, each of which may be followed by batch normalisation, and that by a
    ReLU. The last layer stays in float32: scores need more digits than bfloat16 has, and their product is a small one.
    """
    if not isinstance(model, keras.Sequential):
        return None
    chain: list[_Product | keras.layers.Layer] = []
    for layer in model.layers:
        last = chain[-1] if chain else None
        match layer:
            case keras.layers.Dense() | keras.layers.Conv2D():
                chain.append(_product(layer))
            case keras.layers.BatchNormalization() if isinstance(last, _Product) and last.activation == "linear":
                chain[-1] = _scaled(last, layer)
            case keras.layers.ReLU() if isinstance(last, _Product) and last.activation == "linear" and _is_plain(layer):
                chain[-1] = replace(last, activation="relu")
            case keras.layers.Reshape() | keras.layers.Flatten():
                chain.append(layer)
            case keras.layers.Dropout():
                pass  # it does nothing at inference
            case _:
                return None
    *others, last = chain
    layers = [*(_in(dtype, layer) for layer in others), _in("float32", last)]
    folded = keras.Sequential([keras.Input(model.input_shape[1:]), *layers], name=model.name)
    # Weights only now: layers have none before they know their inputs.
    for part, layer in zip(chain, layers, strict=True):
        if isinstance(part, _Product):
            layer.set_weights([part.kernel, part.bias])
    return folded


def _product(layer: keras.layers.Layer) -> _Product:
    kernel = np.asarray(layer.kernel, np.float64)
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else np.zeros(kernel.shape[-1])
    return _Product(layer, kernel, bias, keras.activations.serialize(layer.activation))


def _scaled(product: _Product, normalisation: keras.layers.BatchNormalization) -> _Product:
    mean = np.asarray(normalisation.moving_mean, np.float64)
    scale = 1 / np.sqrt(np.asarray(normalisation.moving_variance, np.float64) + normalisation.epsilon)
    if normalisation.scale:
        scale *= np.asarray(normalisation.gamma, np.float64)
    offset = np.asarray(normalisation.beta, np.float64) if normalisation.center else 0.0
    return replace(product, kernel=product.kernel * scale, bias=(product.bias - mean) * scale + offset)


def _is_plain(relu: keras.layers.ReLU) -> bool:
    return relu.max_value is None and not relu.negative_slope and not relu.threshold


def _in(dtype: str, part: _Product | keras.layers.Layer) -> keras.layers.Layer:
    """A layer like it, without weights yet."""
    if not isinstance(part, _Product):
        return type(part).from_config(part.get_config() | {"dtype": dtype})
    config = part.layer.get_config() | {"dtype": dtype, "use_bias": True, "activation": part.activation}
    return type(part.layer).from_config(config)
