"""A model whose signatures take tf.Examples: some made for Classify or Regress, others nearly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

FEATURES = {
    "x": tf.io.FixedLenFeature([1], tf.float32),
    "offset": tf.io.FixedLenFeature([1], tf.float32, default_value=[2.0]),
    "name": tf.io.FixedLenFeature([1], tf.string, default_value=[b""]),
}
Features = dict[str, tf.Tensor]


def example(**features: float | str | bytes) -> tf.train.Example:
    """A tf.Example of floats and strings."""
    message = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, float):
            message.features.feature[name].float_list.value.append(value)
        else:
            message.features.feature[name].bytes_list.value.append(value.encode() if isinstance(value, str) else value)
    return message


def _halves(f: Features) -> tf.Tensor:
    return f["x"] / 2.0 + f["offset"]


def _pair(f: Features) -> tf.Tensor:
    return tf.concat([f["x"], -f["x"]], 1)


def _labels(f: Features) -> tf.Tensor:
    return tf.concat([f["name"], tf.fill(tf.shape(f["name"]), "other")], 1)


# Signature: its outputs, made of the features of the examples, [n, 1] each.
SIGNATURES: dict[str, Callable[[Features], dict[str, tf.Tensor]]] = {
    "serving_default": lambda f: {"outputs": _halves(f)},
    "flat": lambda f: {"outputs": tf.reshape(_halves(f), [-1])},
    "classify": lambda f: {"classes": _labels(f), "scores": _pair(f)},
    "scores": lambda f: {"scores": _pair(f)},
    "classes": lambda f: {"classes": _labels(f)},
    "both": lambda f: {"scores": _pair(f), "outputs": _halves(f)},
    "neither": lambda f: {"y": _halves(f)},
    "three": lambda f: {"classes": _labels(f), "scores": _pair(f), "more": _pair(f)},
    "wide": lambda f: {"outputs": _pair(f)},
    "sum": lambda f: {"outputs": tf.reduce_sum(f["x"])},
    "first": lambda f: {"outputs": _halves(f)[:1]},
    "whole": lambda f: {"outputs": tf.cast(f["x"], tf.int64)},
    "flat scores": lambda f: {"scores": tf.reshape(f["x"], [-1])},
    "double scores": lambda f: {"scores": tf.cast(_pair(f), tf.float64)},
    "first scores": lambda f: {"scores": _pair(f)[:1]},
    "number classes": lambda f: {"classes": _pair(f)},
    "flat classes": lambda f: {"classes": tf.reshape(f["name"], [-1])},
    "first classes": lambda f: {"classes": _labels(f)[:1]},
    "uneven": lambda f: {"classes": _labels(f), "scores": f["x"]},
}


def write_examples_model(folder: Path) -> Path:
    """Write the model; return the folder."""

    def on_examples(outputs: Callable[[Features], dict[str, tf.Tensor]], alias: str = "inputs") -> Any:  # noqa: ANN401 - TensorFlow has no types
        def call(strings: tf.Tensor) -> dict[str, tf.Tensor]:
            return outputs(tf.io.parse_example(strings, FEATURES))

        return tf.function(call).get_concrete_function(tf.TensorSpec([None], tf.string, name=alias))

    def two(inputs: tf.Tensor, more: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": inputs + more}

    floats = tf.TensorSpec([None], tf.float32, name="inputs")
    signatures = {name: on_examples(outputs) for name, outputs in SIGNATURES.items()}
    signatures["renamed"] = on_examples(SIGNATURES["serving_default"], "examples")
    signatures["renamed scores"] = on_examples(SIGNATURES["scores"], "examples")
    signatures["two"] = tf.function(two).get_concrete_function(floats, tf.TensorSpec([None], tf.float32, name="more"))
    signatures["floats"] = tf.function(lambda inputs: {"outputs": inputs}).get_concrete_function(floats)
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
    return folder
