"""A SavedModel of TensorFlow 1, run by a Session, as TensorFlow Serving runs every model."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from serving.predict.tensors import to_array

v1 = tf.compat.v1


def load_session(folder: Path, tags: Sequence[str]) -> "tf.compat.v1.Session":
    """Load the graph with these tags, restore its variables and run its initialiser.

    Raises whatever TensorFlow raises for a folder that holds no whole SavedModel.
    """
    threading = tf.config.threading
    config = v1.ConfigProto(
        intra_op_parallelism_threads=threading.get_intra_op_parallelism_threads(),
        inter_op_parallelism_threads=threading.get_inter_op_parallelism_threads(),
    )
    session = v1.Session(graph=tf.Graph(), config=config)
    v1.saved_model.load(session, list(tags), str(folder))
    return session


def with_real_dtypes(
    session: "tf.compat.v1.Session", definition: meta_graph_pb2.SignatureDef
) -> meta_graph_pb2.SignatureDef:
    """Return a signature whose inputs have the dtypes of the tensors that they name.

    Old ones may say another, which nobody looked at: half_plus_three of TensorFlow Serving calls its examples floats.
    """
    real = meta_graph_pb2.SignatureDef()
    real.CopyFrom(definition)
    for info in real.inputs.values():
        with contextlib.suppress(KeyError, ValueError):  # no such tensor: an error of whoever calls it
            info.dtype = session.graph.get_tensor_by_name(info.name).dtype.base_dtype.as_datatype_enum
    return real


def run_by(
    session: "tf.compat.v1.Session", definition: meta_graph_pb2.SignatureDef
) -> Callable[..., dict[str, tf.Tensor]]:
    """Return a function that runs a signature: called with an eager tensor per input alias, it returns one per output.

    A signature that names tensors which are not there fails only when it is called.
    """
    feeds = {alias: info.name for alias, info in definition.inputs.items()}
    fetches = {alias: info.name for alias, info in definition.outputs.items()}

    @functools.cache
    def make() -> tuple[Callable[..., list[Any]], list[tf.DType]]:
        dtypes = [session.graph.get_tensor_by_name(name).dtype.base_dtype for name in fetches.values()]
        options = config_pb2.CallableOptions(feed=feeds.values(), fetch=fetches.values())
        # Not `Session.run`: in Python it refuses shapes other than the graph was written with, which callers rely on.
        return session._make_callable_from_options(options), dtypes  # noqa: SLF001

    def run(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        call, dtypes = make()
        values = call(*[to_array(inputs[alias]) for alias in feeds])
        return {alias: tf.constant(value, dtype) for alias, value, dtype in zip(fetches, values, dtypes, strict=True)}

    return run
