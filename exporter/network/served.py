"""What stands behind both signatures: from images in MNIST's form to calibrated probabilities."""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import keras
import tensorflow as tf

from exporter.command import UserError
from exporter.contract import CLASSES, RUN_MODEL
from exporter.graph.outline import NO_INLINE
from exporter.network.fold import fold
from exporter.network.probabilities import to_probabilities
from exporter.network.processor import BFLOAT16_PAYS, features
from exporter.network.rounded import Rounded

FLOAT32, BFLOAT16 = "float32", "bfloat16"
Answer = Callable[[tf.Tensor], tf.Tensor]
"""From float32 [n, 28, 28], 0 to 1, to probabilities, float32 [n, 10]."""

_FEW = 8  # images: so far Eigen's products in float32 are quicker than oneDNN's, in bfloat16 as well
TOLERANCE = {FLOAT32: 1e-5, BFLOAT16: 1e-2}
"""How far a probability may be from what Keras says, by what products are served in."""


@dataclass(frozen=True, eq=False)
class Chain:
    """What a folded network is made of: a published version keeps it, so that the network can be taken out again.

    Attributes:
        weights: kernel and bias of each layer, float32.
        temperature: what calibrates it.
    """

    weights: tuple[tf.Variable, ...]
    temperature: float


@dataclass(frozen=True, eq=False)
class Network:
    """What answers in the graph."""

    answer: Callable[[tf.Tensor], tf.Tensor]
    resources: tuple[tf.saved_model.experimental.TrackableResource, ...] = ()
    """What is made when the model is loaded; a SavedModel has to be told of it."""
    chain: Chain | None = None
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

    bfloat16 takes half the time or less on processors with AMX or AVX512_BF16, and several times as long on others:
    there products stay in float32. Which it is, the SavedModel finds out when it is loaded.

    Raises:
        UserError: a dtype other than float32 for a network that cannot be folded.
    """
    folded = fold(model, FLOAT32)
    if dtype == FLOAT32:
        if folded is None:
            return Network(_even_of_none(calibrated(model, temperature).answer))
        return _exact(folded, temperature)
    half = fold(model, BFLOAT16)
    if folded is None or half is None:
        raise UserError(f"{model.name} has layers that cannot be folded, and is served in {FLOAT32} alone")
    exact = _exact(folded, temperature)
    rounded = _rounded(folded, half, temperature)
    table = features()

    def chosen(images: tf.Tensor) -> tf.Tensor:
        pays = table.lookup(tf.constant(BFLOAT16_PAYS))
        return tf.cond(pays, lambda: rounded(images), lambda: exact(images))

    return Network(chosen, (table, *rounded.resources), exact.chain, {FLOAT32: exact, BFLOAT16: rounded})


def _exact(folded: keras.Model, temperature: float) -> Network:
    """A folded network with products in float32."""
    chain = Chain(tuple(variable.value for variable in folded.trainable_variables), temperature)
    return Network(_by_size(_few(folded, temperature), calibrated(folded, temperature).answer), chain=chain)


def _rounded(folded: keras.Model, half: keras.Model, temperature: float) -> Network:
    """A folded network with products in bfloat16, of the weights of the same in float32."""
    exact = [variable.value for variable in folded.trainable_variables]
    is_rounded = [variable.dtype == BFLOAT16 for variable in half.trainable_variables]

    def rounded(dtype: tf.DType) -> list[Rounded | None]:
        return [Rounded(each, dtype) if chosen else None for each, chosen in zip(exact, is_rounded, strict=True)]

    # For few images products are in float32, of the same numbers as in bfloat16.
    for_many, for_few = rounded(tf.bfloat16), rounded(tf.float32)

    def read(resources: list[Rounded | None]) -> list[tf.Tensor]:
        return [each if other is None else other.read() for each, other in zip(exact, resources, strict=True)]

    def many(images: tf.Tensor) -> tf.Tensor:
        scores, _ = half.stateless_call(read(for_many), [], images, training=False)
        return to_probabilities(scores, temperature)

    few = _few(folded, temperature, lambda: read(for_few))
    return Network(_by_size(few, many), tuple(each for each in (*for_many, *for_few) if each is not None))


def _by_size(few: Answer | None, many: Answer) -> Answer:
    """A network that answers few images in one way, and many in another.

    TensorFlow replaces the products of a function that is called by oneDNN's, which are quick for many images, and for
    one take twice as long as Eigen's.
    """
    whole = tf.function(many, autograph=False, experimental_attributes={NO_INLINE: True})
    if few is None:
        return _even_of_none(whole)
    small = few
    return lambda images: tf.cond(tf.shape(images)[0] <= _FEW, lambda: small(images), lambda: whole(images))


def _few(
    folded: keras.Model, temperature: float, weights: Callable[[], list[tf.Tensor]] | None = None
) -> Answer | None:
    """A folded network of dense layers alone, operation by operation; None of others.

    Args:
        folded: the network in float32.
        temperature: what calibrates it.
        weights: other weights for it, rounded to bfloat16: then what its layers hand on is rounded, too.
    """
    last = folded.layers[-1]
    flat = (keras.layers.Flatten, keras.layers.Reshape)
    if not all(isinstance(layer, (keras.layers.Dense, *flat)) for layer in folded.layers):
        return None

    def handed_on(values: tf.Tensor) -> tf.Tensor:
        return values if weights is None else tf.cast(tf.cast(values, tf.bfloat16), tf.float32)

    def answer(images: tf.Tensor) -> tf.Tensor:
        values = handed_on(images)
        numbers = [variable.value for variable in folded.trainable_variables] if weights is None else weights()
        for layer in folded.layers:
            if isinstance(layer, flat):
                values = layer(values)
                continue
            kernel, bias, *numbers = numbers
            values = layer.activation(tf.nn.bias_add(tf.matmul(values, kernel), bias))
            values = values if layer is last else handed_on(values)
        return to_probabilities(values, temperature)

    return answer


def _even_of_none(answer: Answer) -> Answer:
    """A network that also takes no images: oneDNN's convolutions give those a wrong shape (TensorFlow 2.21)."""
    return lambda images: tf.cond(
        tf.size(images) > 0, lambda: answer(images), lambda: tf.zeros([0, CLASSES], tf.float32)
    )
