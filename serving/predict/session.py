"""A SavedModel in a Session, as TensorFlow Serving runs every model.

For one image, a call costs less than that of a ConcreteFunction of `tf.saved_model.load`: values go in and come out in
one step of C++, and operations run in the pools that TensorFlow keeps for many small requests.
"""

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from serving.predict.tensors import can_be_sent

v1 = tf.compat.v1

Arrays = dict[str, np.ndarray]
"""By alias; of dtype object, holding bytes, for strings."""


def load_session(folder: Path, tags: Sequence[str]) -> "tf.compat.v1.Session":
    """Load the graph with these tags, restore its variables and run its initialiser.

    Raises whatever TensorFlow raises for a folder that holds no whole SavedModel.
    """
    threading = tf.config.threading
    config = v1.ConfigProto(
        intra_op_parallelism_threads=threading.get_intra_op_parallelism_threads(),
        inter_op_parallelism_threads=threading.get_inter_op_parallelism_threads(),
        # Else each of restoring, initialising and every signature optimises all functions of the whole graph anew.
        graph_options=config_pb2.GraphOptions(place_pruned_graph=True),
    )
    session = v1.Session(graph=tf.Graph(), config=config)
    v1.saved_model.load(session, list(tags), str(folder))
    return session


def restores_all_variables(graph: meta_graph_pb2.MetaGraphDef) -> bool:
    """Whether a Session finds each variable of a graph that TensorFlow 2 wrote.

    It lacks those that the SavedModel does not track: of a Keras 3 model in a `tf.Module`, for example.
    """
    restoring = graph.saver_def.restore_op_name.partition(":")[0]
    restored = {name for node in graph.graph_def.node if node.name == restoring for name in node.input}
    return all(node.name in restored for node in graph.graph_def.node if node.op == "VarHandleOp")


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


def run_by(session: "tf.compat.v1.Session", definition: meta_graph_pb2.SignatureDef) -> Callable[..., Arrays]:
    """Return a function that runs a signature: called with an array per input alias, it returns one per output.

    Outputs of dtypes that no message holds are left out. A signature that names tensors which are not there fails only
    when it is called.
    """
    feeds = {alias: info.name for alias, info in definition.inputs.items()}
    # All of them at each call: an executor for every choice of outputs would cost its first caller seconds.
    fetches = {
        alias: info.name
        for alias, info in definition.outputs.items()
        if can_be_sent(tf.dtypes.as_dtype(info.dtype).base_dtype)
    }

    @functools.cache
    def make() -> Callable[..., list[Any]]:
        # The pool that runs many requests beside each other with the fewest hand-overs.
        experimental = config_pb2.RunOptions.Experimental(use_run_handler_pool=True)
        options = config_pb2.CallableOptions(
            feed=feeds.values(),
            fetch=fetches.values(),
            run_options=config_pb2.RunOptions(experimental=experimental),
        )
        # Not `Session.run`: in Python it refuses shapes other than the graph was written with, which callers rely on.
        call: Callable[..., list[Any]] = session._make_callable_from_options(options)  # noqa: SLF001
        return call

    def run(**inputs: np.ndarray) -> Arrays:
        values = make()(*[inputs[alias] for alias in feeds])
        return {
            # A scalar string's is plain bytes, which NumPy would cut at its trailing zeros.
            alias: np.array(value, dtype=object) if isinstance(value, bytes) else np.asarray(value)
            for alias, value in zip(fetches, values, strict=True)
        }

    return run
