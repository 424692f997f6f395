"""SavedModels as TensorFlow 1 wrote them, of the kinds that TensorFlow Serving's own tests serve."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1
PREDICT = v1.saved_model.signature_constants.PREDICT_METHOD_NAME
REGRESS = v1.saved_model.signature_constants.REGRESS_METHOD_NAME
CLASSIFY = v1.saved_model.signature_constants.CLASSIFY_METHOD_NAME


def _signature(inputs: dict[str, Any], outputs: dict[str, Any], method: str) -> Any:  # noqa: ANN401 - no types
    info = v1.saved_model.build_tensor_info
    return v1.saved_model.build_signature_def(
        {alias: info(tensor) for alias, tensor in inputs.items()},
        {alias: info(tensor) for alias, tensor in outputs.items()},
        method,
    )


def _save(session: Any, folder: Path, signatures: dict[str, Any]) -> Path:  # noqa: ANN401 - no types
    session.run(v1.global_variables_initializer())
    builder = v1.saved_model.Builder(str(folder))
    builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
    builder.save()
    return folder


def write_affine(folder: Path, offset: float) -> Path:
    """Write y = x / 2 + offset, fed in the middle of a graph that parses tf.Example; return the folder."""
    with v1.Session(graph=tf.Graph()) as session:
        slope, shift = (v1.get_variable(n, initializer=value) for n, value in (("slope", 0.5), ("shift", offset)))
        examples = v1.placeholder(tf.string, [None], name="examples")
        # TensorFlow 1's own operation; parse_example writes a newer one today.
        parsed = tf.raw_ops.ParseExample(
            serialized=examples,
            names=[],
            sparse_keys=[],
            dense_keys=["x"],
            dense_defaults=[tf.constant([], tf.float32)],
            sparse_types=[],
            dense_shapes=[[1]],
        )
        x = tf.identity(parsed.dense_values[0], name="x")
        y = tf.identity(slope * x + shift, name="y")
        signatures = {
            "serving_default": _signature({"x": x}, {"y": y}, PREDICT),
            "regress": _signature({"inputs": examples}, {"outputs": y}, REGRESS),
            "classify": _signature({"inputs": examples}, {"scores": y}, CLASSIFY),
        }
        return _save(session, folder, signatures)


def write_affine_of_2017(folder: Path, offset: float) -> Path:
    """Write the same as TensorFlow 1.0 did: the shape of what is fed says nothing, its dtype in signatures is wrong."""
    path = write_affine(folder, offset) / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    (graph,) = model.meta_graphs
    graph.graph_def.versions.producer = 21
    for name in ("regress", "classify"):  # which nobody looked at
        graph.signature_def[name].inputs["inputs"].dtype = types_pb2.DT_FLOAT
    for node in graph.graph_def.node:
        if node.op == "Placeholder":
            node.attr["shape"].shape.Clear()
    path.write_bytes(model.SerializeToString())
    return folder


def write_counter(folder: Path) -> Path:
    """Write a counter that requests change: a reference variable, and signatures without inputs; return the folder."""
    with v1.Session(graph=tf.Graph()) as session:
        counter = v1.Variable(0.0, use_resource=False, name="counter")
        delta = v1.placeholder(tf.float32, name="delta")
        signatures = {
            "get_counter": _signature({}, {"output": counter}, PREDICT),
            "incr_counter": _signature({}, {"output": counter.assign_add(1.0)}, PREDICT),
            "incr_counter_by": _signature({"delta": delta}, {"output": counter.assign_add(delta)}, PREDICT),
            "reset_counter": _signature({}, {"output": counter.assign(0.0)}, PREDICT),
        }
        return _save(session, folder, signatures)


def write_echo(folder: Path) -> Path:
    """Write a graph that gives back its strings, and has a reference variable beside; return the folder."""
    with v1.Session(graph=tf.Graph()) as session:
        text = v1.placeholder(tf.string, name="text")
        used = v1.Variable(0, use_resource=False, name="used").assign_add(1)
        return _save(
            session,
            folder,
            {"serving_default": _signature({"text": text}, {"same": tf.identity(text), "used": used}, PREDICT)},
        )
