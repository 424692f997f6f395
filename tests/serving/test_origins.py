"""Models as others write them, by Keras, tf.Module and tf.train.Checkpoint, with one input or several."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import pytest
import tensorflow as tf

from tests.serving.original import VERSION, of_model

if TYPE_CHECKING:
    from tests.serving.conftest import Originals


def write_checkpoint(folder: Path) -> None:
    root = tf.train.Checkpoint(v1=tf.Variable(3.0), v2=tf.Variable(2.0))
    root.f = tf.function(lambda x: {"y": root.v1 * root.v2 * x})
    tf.saved_model.save(root, str(folder), root.f.get_concrete_function(tf.TensorSpec(None, tf.float32)))


def write_module(folder: Path) -> None:
    module = tf.Module()
    module.six = tf.function(lambda x: {"y": 6.0 * x}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    module.two = tf.function(lambda x: {"y": 2.0 + 0 * x}, input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    signatures = {"serving_default": module.six, "custom_signature_key": module.two}
    tf.saved_model.save(module, str(folder), signatures=signatures)


def write_keras(folder: Path) -> None:
    x = keras.Input((1,), name="x")
    y = keras.layers.Dense(1, kernel_initializer="ones", name="y")(x)
    model = keras.Model({"x": x}, {"y": keras.layers.Rescaling(6.0)(y)})
    model.export(str(folder), verbose=False)


def write_keras_by_tensorflow(folder: Path) -> None:
    layers = [keras.Input((1,), name="x"), keras.layers.Dense(1, kernel_initializer="ones")]
    model = keras.Sequential([*layers, keras.layers.Rescaling(6.0, name="y")])
    call = tf.function(lambda x: {"y": model(x)}, input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    tf.saved_model.save(model, str(folder), signatures=call)


@pytest.mark.parametrize("write", [write_checkpoint, write_module, write_keras, write_keras_by_tensorflow])
def test_models_of_every_origin(tmp_path: Path, original: "Originals", write: Callable[[Path], None]) -> None:
    """Models by tf.train.Checkpoint, tf.Module, Keras' export and tf.saved_model.save are served as they are."""
    write(tmp_path / "base" / VERSION)
    server = original(*of_model(tmp_path / "base"))
    shape = (1, 1) if "keras" in write.__name__ else (1,)
    assert server.predict(shape=shape) == (12.0, 123, "serving_default")
    if write is write_module:
        assert server.predict(signature="custom_signature_key") == (2.0, 123, "custom_signature_key")
    rows = [[2.0]] if len(shape) == 2 else [2.0]
    columns = [[12.0]] if len(shape) == 2 else [12.0]
    answer = server.get("/v1/models/default:predict", {"instances": rows})
    assert answer == {"predictions": columns}


def test_several_inputs(tmp_path: Path, original: "Originals") -> None:
    """A model with several inputs and outputs is asked by name over gRPC, by rows and by columns."""
    module = tf.Module()
    specs = [tf.TensorSpec([None], tf.float32, name="a"), tf.TensorSpec([None], tf.int64, name="b")]
    function = tf.function(lambda a, b: {"sum": a + tf.cast(b, tf.float32), "b": b}, input_signature=specs)
    module.function = function
    tf.saved_model.save(module, str(tmp_path / "base" / "1"), signatures=function)
    server = original(*of_model(tmp_path / "base"))
    inputs = {"a": tf.constant([0.5, 1.5]), "b": tf.constant([1, 2], tf.int64)}
    response = server.server.predict(inputs, name="default")
    assert list(response.outputs["sum"].float_val) == [1.5, 3.5]
    assert list(response.outputs["b"].int64_val) == [1, 2]
    rows = [{"a": 0.5, "b": 1}, {"a": 1.5, "b": 2}]
    assert server.get("/v1/models/default:predict", {"instances": rows}) == {
        "predictions": [{"b": 1, "sum": 1.5}, {"b": 2, "sum": 3.5}]
    }
    columns = {"a": [0.5, 1.5], "b": [1, 2]}
    assert server.get("/v1/models/default:predict", {"inputs": columns}) == {
        "outputs": {"b": [1, 2], "sum": [1.5, 3.5]}
    }
