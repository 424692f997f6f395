"""The signatures of the contract, and their writing as a SavedModel."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from exporter.contract import (
    BLANK,
    CLASSES,
    CONFIDENCE,
    DIGIT,
    DIGITS,
    ERROR,
    IMAGE_BYTES,
    NO_DIGIT,
    NORMALISED_SIGNATURE,
    NUMBERS_SIGNATURE,
    PIXELS,
    PIXELS_SIGNATURE,
    PROBABILITIES,
    SIDE,
    SIGNATURE,
)
from exporter.graph.rewrite import rewrite
from exporter.network.served import Network
from exporter.numbers.reader import numbers_signature
from exporter.numbers.scorer import Weights
from exporter.picture.closer import read
from exporter.picture.decode import error_code, error_text

Outputs = dict[str, tf.Tensor]
Look = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]]
"""As `exporter.picture.closer.read`."""


def image_signature(network: Network, look: Look | None = None) -> Callable[[tf.Tensor], Outputs]:
    """`serving_default` of a network: encoded images, string [n], to the contract's outputs.

    `look` is `read`, traced for several signatures; without it, `read` becomes part of this one.
    """

    def serving_default(image_bytes: tf.Tensor) -> Outputs:
        code, index, pixels, has_ink = (look or read)(image_bytes)
        probabilities = network(pixels)
        code = _with_blanks(code, index, has_ink)
        # The survivors go back to their places in the batch; the rest keeps zeros and an error.
        shape = tf.stack([tf.size(image_bytes, out_type=tf.int64), CLASSES])
        return _outputs(tf.scatter_nd(index[:, None], probabilities, shape), code)

    return serving_default


def normalised_signature(look: Look) -> Callable[[tf.Tensor], Outputs]:
    """`normalised`: encoded images, string [n], to what the network gets of them; `look` as for `image_signature`."""

    def normalised(image_bytes: tf.Tensor) -> Outputs:
        code, index, pixels, has_ink = look(image_bytes)
        code = _with_blanks(code, index, has_ink)
        levels = tf.cast(tf.round(tf.where(has_ink[:, None, None], pixels, 0.0) * 255.0), tf.uint8)
        shape = tf.stack([tf.size(image_bytes, out_type=tf.int64), SIDE, SIDE])
        return {PIXELS: tf.scatter_nd(index[:, None], levels, shape), ERROR: error_text(code)}

    return normalised


def pixels_signature(network: Network) -> Callable[[tf.Tensor], Outputs]:
    """`pixels` of a network: uint8 [n, 28, 28] in MNIST's form to the contract's outputs."""

    def pixels_to_digit(pixels: tf.Tensor) -> Outputs:
        probabilities = network(tf.cast(pixels, tf.float32) / 255.0)
        return _outputs(probabilities, tf.zeros([tf.shape(pixels)[0]], tf.int32))

    return pixels_to_digit


def _with_blanks(code: tf.Tensor, index: tf.Tensor, has_ink: tf.Tensor) -> tf.Tensor:
    """Error numbers, int32 [n], also of pictures without ink: of m that could be decoded, at these places."""
    return tf.tensor_scatter_nd_update(code, index[:, None], tf.where(has_ink, 0, error_code(BLANK)))


def _outputs(probabilities: tf.Tensor, code: tf.Tensor) -> Outputs:
    """The contract's outputs of probabilities, float32 [n, 10], and error numbers, int32 [n]."""
    answered = code == 0
    probabilities = tf.where(answered[:, None], probabilities, 0.0)
    return {
        DIGIT: tf.where(answered, tf.argmax(probabilities, axis=1), NO_DIGIT),
        CONFIDENCE: tf.reduce_max(probabilities, axis=1),
        PROBABILITIES: probabilities,
        ERROR: error_text(code),
    }


def write_saved_model(network: Network, folder: Path, reader: Weights | None = None) -> None:
    """Write a network with its signatures: `numbers` only with a reader.

    Each is traced once, which takes seconds: only what is traced hangs on the model, not the functions, which saving
    would trace again (as Keras' ExportArchive does). Nor do the network's layers, among which TensorFlow Serving does
    not find its variables.
    """
    encoded = tf.TensorSpec([None], tf.string, name=IMAGE_BYTES)
    # Decoder and normaliser are most of the graph: it holds them once, and two signatures call them.
    look = _traced(read, encoded)
    signatures = {
        SIGNATURE: _traced(image_signature(network, look), encoded),
        NORMALISED_SIGNATURE: _traced(normalised_signature(look), encoded),
        PIXELS_SIGNATURE: _traced(pixels_signature(network), tf.TensorSpec([None, SIDE, SIDE], tf.uint8, name=PIXELS)),
    }
    if reader is not None:
        signatures[NUMBERS_SIGNATURE] = _numbers(network, reader)
    model = tf.Module()
    if network.chain is None:
        model.weights = signatures[PIXELS_SIGNATURE].variables
    else:
        model.weights = list(network.chain.weights)
        model.temperature = tf.Variable(network.chain.temperature, trainable=False)
    model.resources = network.resources
    tf.saved_model.save(model, str(folder), signatures=signatures)
    rewrite(folder)


def _traced(function: Callable[[tf.Tensor], Any], spec: tf.TensorSpec) -> Any:  # noqa: ANN401 - TensorFlow has no types
    # AutoGraph would rewrite every function that is called, to find that none branches on a tensor.
    return tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()


def _numbers(network: Network, reader: Weights) -> Any:  # noqa: ANN401 - the same
    """The signature `numbers`, whose second input may be left out."""
    read = numbers_signature(network, reader)
    specs = [tf.TensorSpec([None], tf.string, name=IMAGE_BYTES), tf.TensorSpec([None], tf.int32, name=DIGITS)]

    unknown = tf.zeros([1], tf.int32)

    def numbers(image_bytes: tf.Tensor, digits: tf.Tensor = unknown) -> Outputs:
        return read(image_bytes, digits)

    # Not yet traced: saving looks for the default at such functions alone.
    return tf.function(numbers, input_signature=specs, autograph=False)
