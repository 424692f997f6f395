"""A folded network says what Keras says, in float32 to the last digits, in bfloat16 nearly."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.command import UserError, quiet_tensorflow
from tests.support import write_png

quiet_tensorflow()

import keras  # noqa: E402 - after TensorFlow's chatter is closed off
import tensorflow as tf  # noqa: E402 - as above

from exporter.network.fold import fold  # noqa: E402 - as above
from exporter.network.served import BFLOAT16, FLOAT32, TOLERANCE, calibrated, served  # noqa: E402 - as above
from exporter.publish import publish_network, reference_of  # noqa: E402 - as above
from trainer.fitting.network import build, in_float32  # noqa: E402 - as above
from trainer.recipes import RECIPES  # noqa: E402 - as above


def fitted(name: str) -> Any:  # noqa: ANN401 - Keras has no types
    """A recipe's network with weights, and with moving averages as if it had been fitted."""
    keras.utils.set_random_seed(1)
    model = in_float32(build(RECIPES[name]), RECIPES[name])
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights([rng.uniform(low, high, shape) for low, high in ((0.5, 2), (-1, 1), (-1, 1), (0.3, 3))])
        elif isinstance(layer, keras.layers.Dense) and layer.use_bias:
            layer.bias.assign(rng.normal(0, 0.3, layer.bias.shape))
    return model


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_folded_without_a_difference(name: str) -> None:
    """Whatever the layers, the probabilities are Keras', at a temperature, too; and one product a layer is left."""
    model = fitted(name)
    images = tf.constant(np.random.default_rng(0).random((50, 28, 28), np.float32))
    folded = fold(model, FLOAT32)
    assert folded is not None
    products = [layer for layer in folded.layers if layer.weights]
    assert len(products) == len(RECIPES[name].convolutions) + len(RECIPES[name].hidden) + 1
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    for temperature in (1.0, 1.7):
        expected = calibrated(model, temperature)(images)
        np.testing.assert_allclose(served(model, temperature)(images), expected, atol=1e-6)


def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    """Let SavedModels find a processor with these flags; none at all without any."""
    file = tmp_path / "cpuinfo"
    if flags:
        file.write_text(f"processor\t: 0\nmodel name\t: made up\nflags\t\t: fpu {flags} sse2\nbugs\t\t: amx_bf16\n\n")
    monkeypatch.setattr("exporter.network.processor._PROCESSOR", str(file))


@pytest.mark.parametrize(
    ("name", "flags", "products"),
    [
        ("dense-128-32", "avx512_bf16 amx_bf16 avx512f", BFLOAT16),
        ("cnn", "amx_bf16", BFLOAT16),
        ("dense-128-32", "avx512f avx512_bf16 amx_bf16x", FLOAT32),
        ("dense-128-32", "", FLOAT32),
    ],
)
def test_bfloat16_is_for_processors_that_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, flags: str, products: str
) -> None:
    """With AMX a version computes in bfloat16, at most a hundredth from Keras; elsewhere in float32, as ever.

    It is the version that finds out, wherever it is loaded; the weights are there once.
    """
    model = fitted(name)
    pictures = np.random.default_rng(1).integers(0, 256, (8, 28, 28, 1)).astype(np.uint8)
    images = [write_png(picture) for picture in pictures]
    processor(tmp_path, monkeypatch, flags)
    reference = reference_of(calibrated(model), images, TOLERANCE[products])
    version = publish_network(served(model, dtype=BFLOAT16), images, reference, tmp_path / "models", lambda _: None)
    outputs = tf.saved_model.load(str(version)).signatures["pixels"](pixels=tf.constant(pictures[..., 0]))
    probabilities = outputs["probabilities"].numpy()
    assert outputs["probabilities"].dtype == tf.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    difference = np.abs(probabilities - reference.pixel_probabilities).max()
    assert difference < 1e-6 if products == FLOAT32 else 1e-6 < difference < 1e-2
    weights = (version / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert weights < 1.1 * 4 * sum(np.prod(weight.shape) for weight in model.get_weights())


def test_other_networks_are_served_as_keras_runs_them() -> None:
    """A network with a layer that is not known is published in float32; in bfloat16 it is refused in one line."""
    layers = [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.LayerNormalization()]
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")], name="small")
    images = tf.constant(np.random.default_rng(0).random((5, 28, 28), np.float32))
    assert fold(model, FLOAT32) is None
    np.testing.assert_array_equal(served(model)(images), calibrated(model)(images))
    with pytest.raises(UserError, match="small has layers that cannot be folded"):
        served(model, dtype=BFLOAT16)


def test_convolutions_are_published(tmp_path: Path) -> None:
    """The convolutional recipe passes the verification, which asks about no image and about broken ones alone, too."""
    model = fitted("cnn")
    images = [write_png(picture) for picture in np.random.default_rng(1).integers(0, 256, (4, 28, 28, 1))]
    version = publish_network(served(model), images, reference_of(calibrated(model), images), tmp_path, lambda _: None)
    outputs = tf.saved_model.load(str(version)).signatures["pixels"](pixels=tf.zeros([0, 28, 28], tf.uint8))
    assert outputs["probabilities"].shape == (0, 10)
