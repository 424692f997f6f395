"""A folded network says what Keras says, in float32 to the last digits, in bfloat16 nearly."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.command import UserError, quiet_tensorflow
from tests.support import Image, write_png

quiet_tensorflow()

import keras  # noqa: E402 - after TensorFlow's chatter is closed off
import tensorflow as tf  # noqa: E402 - as above

from exporter.network.fold import fold  # noqa: E402 - as above
from exporter.network.served import BFLOAT16, FLOAT32, calibrated, served  # noqa: E402 - as above
from exporter.network.source import load_published  # noqa: E402 - as above
from exporter.publish import publish_network, reference_of  # noqa: E402 - as above
from exporter.signatures import write_saved_model  # noqa: E402 - as above
from trainer.fitting.network import build, in_float32  # noqa: E402 - as above
from trainer.recipes import RECIPES  # noqa: E402 - as above

pytestmark = pytest.mark.training


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
        assert served(model, temperature)(images[:0]).shape == (0, 10)


@dataclass(frozen=True)
class Published:
    """A version in bfloat16, for several tests."""

    version: Path
    cpuinfo: Path
    """What it finds out from what processor it is loaded on; missing."""
    pictures: Image
    """Uint8 [n, 28, 28]; a published version was verified with them."""
    expected: Any
    """What Keras says of them; float32 [n, 10]."""
    weights: int
    """Of the network."""


def processor(file: Path, flags: str) -> None:
    """Let SavedModels find a processor with these flags; none at all without any."""
    file.unlink(missing_ok=True)
    if flags:
        file.write_text(f"processor\t: 0\nmodel name\t: made up\nflags\t\t: fpu {flags} sse2\nbugs\t\t: amx_bf16\n\n")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Published]:
    """A network: the convolutional one published on a processor without bfloat16, others written unverified."""

    @cache
    def publish(name: str) -> Published:
        model, folder = fitted(name), tmp_path_factory.mktemp(name)
        pictures = np.random.default_rng(1).integers(0, 256, (8, 28, 28)).astype(np.uint8)
        images = [write_png(picture[:, :, None]) for picture in pictures]
        processor(folder / "cpuinfo", "")
        reference = reference_of(calibrated(model), images)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("exporter.network.processor._PROCESSOR", str(folder / "cpuinfo"))
            network = served(model, dtype=BFLOAT16)
            version = folder / "models" / "1"
            if name == "cnn":
                assert publish_network(network, images, reference, version.parent, lambda _: None) == version
            else:
                write_saved_model(network, version)
        weights = sum(int(np.prod(weight.shape)) for weight in model.get_weights())
        return Published(version, folder / "cpuinfo", pictures, reference.pixel_probabilities, weights)

    return publish


@pytest.mark.parametrize(
    ("name", "flags", "products"),
    [
        ("dense-128-32", "avx512f amx_bf16", BFLOAT16),
        ("dense-128-32", "avx512_bf16 avx512f", BFLOAT16),
        ("cnn", "amx_bf16", BFLOAT16),
        ("cnn", "", FLOAT32),
        ("dense-128-32", "avx512f avx512_bf16x amx_bf16x", FLOAT32),
        ("dense-128-32", "", FLOAT32),
    ],
)
def test_bfloat16_is_for_processors_that_have_it(
    published: Callable[[str], Published], name: str, flags: str, products: str
) -> None:
    """With AMX or AVX512_BF16 a version computes in bfloat16, at most a hundredth from Keras; elsewhere in float32.

    It is the version that finds out, wherever it is loaded; the weights are there once.
    """
    model = published(name)
    processor(model.cpuinfo, flags)
    outputs = tf.saved_model.load(str(model.version)).signatures["pixels"](pixels=tf.constant(model.pictures))
    probabilities = outputs["probabilities"].numpy()
    assert outputs["probabilities"].dtype == tf.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    difference = np.abs(probabilities - model.expected).max()
    assert difference < 1e-6 if products == FLOAT32 else 1e-6 < difference < 1e-2
    weights = (model.version / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert weights < 1.1 * 4 * model.weights


def test_other_networks_are_served_as_keras_runs_them() -> None:
    """A network with a layer that is not known is published in float32; in bfloat16 it is refused in one line."""
    layers = [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.LayerNormalization()]
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")], name="small")
    images = tf.constant(np.random.default_rng(0).random((5, 28, 28), np.float32))
    assert fold(model, FLOAT32) is None
    np.testing.assert_array_equal(served(model)(images), calibrated(model)(images))
    with pytest.raises(UserError, match="small has layers that cannot be folded"):
        served(model, dtype=BFLOAT16)


@pytest.mark.parametrize(("flags", "requests"), [("", []), ("amx_bf16", [[], [b"not an image"]])])
def test_convolutions_take_no_image(
    published: Callable[[str], Published], flags: str, requests: list[list[bytes]]
) -> None:
    """The convolutional recipe answers no image in float32, as its verification found, and in bfloat16."""
    model = published("cnn")
    processor(model.cpuinfo, flags)
    signatures = tf.saved_model.load(str(model.version)).signatures
    assert signatures["pixels"](pixels=tf.zeros([0, 28, 28], tf.uint8))["probabilities"].shape == (0, 10)
    for request in requests:
        outputs = signatures["serving_default"](image_bytes=tf.constant(request, tf.string))
        assert outputs["probabilities"].shape == (len(request), 10)
        assert outputs["error"].numpy().tolist() == request


def test_a_network_can_be_taken_out_again(published: Callable[[str], Published]) -> None:
    """A version in bfloat16 gives its network and its temperature back: in float32, as it was before it was folded."""
    model = published("dense-128-32")
    network, temperature = load_published(model.version)
    probabilities = calibrated(network, temperature)(tf.constant(model.pictures, tf.float32) / 255)
    assert temperature == 1.0
    np.testing.assert_allclose(probabilities, model.expected, atol=1e-6)
