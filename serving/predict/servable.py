"""One loaded version of a model: a SavedModel's signatures, ready to be called."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.saved_model import loader_impl
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.predict.session import Arrays, load_session, restores_all_variables, run_by, with_real_dtypes
from serving.predict.tensors import can_be_sent, to_array

# The graph that TensorFlow Serving takes out of a SavedModel.
_SERVE_TAGS = ["serve"]
_INITIALISER = "__saved_model_init_op"


@dataclass(frozen=True)
class TensorSpec:
    """What a signature says of one input."""

    dtype: int
    """A DataType."""
    shape: tuple[int, ...] | None
    """-1 stands for any size; None: any shape."""


@dataclass(frozen=True)
class Signature:
    """One entry point: what it takes and gives, by alias, and the function behind it."""

    definition: meta_graph_pb2.SignatureDef
    run: Callable[..., Arrays]
    """Called with one array per input alias; returns one per output alias whose dtype a message can hold."""
    checks_shapes: bool
    """Whether inputs must have the shapes of the definition, as those of TensorFlow 2 must.

    Of a graph that TensorFlow 1 wrote, any tensor may be fed, and callers rely on shapes that it only happens to take.
    """

    # Read once: a message's fields are slow to look at, and every request asks.
    @cached_property
    def inputs(self) -> dict[str, TensorSpec]:
        """What each input must be, by alias in ascending order."""
        return {alias: _spec(info) for alias, info in sorted(self.definition.inputs.items())}

    @cached_property
    def defaults(self) -> set[str]:
        """Aliases of the inputs that a request may leave out."""
        return set(self.definition.defaults)

    @cached_property
    def outputs(self) -> list[str]:
        """Aliases of the outputs."""
        return list(self.definition.outputs)

    @cached_property
    def output_dtypes(self) -> dict[str, tf.DType]:
        """What the values of each output are; of reference variables, what they hold."""
        return {alias: tf.dtypes.as_dtype(info.dtype).base_dtype for alias, info in self.definition.outputs.items()}

    @cached_property
    def can_be_merged(self) -> bool:
        """Whether every input may have any size in dimension 0, so that requests can be joined there."""
        shapes = [spec.shape for spec in self.inputs.values()]
        return bool(shapes) and all(shape is None or shape[:1] == (-1,) for shape in shapes)


@dataclass(frozen=True)
class Servable:
    """A loaded SavedModel."""

    model: str
    """Name under which it is served."""
    version: int
    signatures: dict[str, Signature]
    signature_defs: get_model_metadata_pb2.SignatureDefMap
    """All signatures as the SavedModel's MetaGraphDef has them, initialisers included."""
    root: object
    """The Session, or what `tf.saved_model.load` returned; the variables live as long as it does."""


def load_servable(folder: Path, model: str, version: int) -> Servable:
    """Load the SavedModel in `folder`: of Keras, of a tf.Module, or written by TensorFlow 1.

    Raises whatever TensorFlow raises for a folder that holds no whole SavedModel: OSError, tf.errors.OpError, others.
    """
    # The loader's own reader: it knows the three forms of the file (binary, text, split over several files).
    graph = loader_impl.SavedModelLoader(str(folder)).get_meta_graph_def_from_tags(_SERVE_TAGS)
    load = _load_new if graph.HasField("object_graph_def") else _load_old
    root, signatures = load(folder, graph)
    definitions = get_model_metadata_pb2.SignatureDefMap(signature_def=graph.signature_def)
    return Servable(model=model, version=version, signatures=signatures, signature_defs=definitions, root=root)


def _load_new(folder: Path, graph: meta_graph_pb2.MetaGraphDef) -> tuple[object, dict[str, Signature]]:
    if not restores_all_variables(graph):
        return _load_functions(folder, graph)
    session = load_session(folder, _SERVE_TAGS)
    return session, {
        name: Signature(definition, run_by(session, definition), checks_shapes=True)
        for name, definition in graph.signature_def.items()
        if name != _INITIALISER
    }


def _load_functions(folder: Path, graph: meta_graph_pb2.MetaGraphDef) -> tuple[object, dict[str, Signature]]:
    """Load a graph whose variables only Python's objects find; TensorFlow Serving fails at its first request."""
    root = tf.saved_model.load(str(folder), tags=_SERVE_TAGS)
    return root, {
        name: Signature(graph.signature_def[name], _run_by_function(run), checks_shapes=True)
        for name, run in root.signatures.items()
    }


def _run_by_function(function: Callable[..., dict[str, tf.Tensor]]) -> Callable[..., Arrays]:
    def run(**inputs: np.ndarray) -> Arrays:
        tensors = {
            # NumPy has no dtype of strings that TensorFlow could tell from an empty array of objects.
            alias: tf.constant(array, tf.string if array.dtype == object else None)
            for alias, array in inputs.items()
        }
        outputs = function(**tensors)
        return {alias: to_array(output) for alias, output in outputs.items() if can_be_sent(output.dtype)}

    return run


def _load_old(folder: Path, graph: meta_graph_pb2.MetaGraphDef) -> tuple[object, dict[str, Signature]]:
    """Load a graph that TensorFlow 1 wrote."""
    session = load_session(folder, _SERVE_TAGS)
    return session, {
        name: Signature(with_real_dtypes(session, definition), run_by(session, definition), checks_shapes=False)
        for name, definition in graph.signature_def.items()
    }


def _spec(info: meta_graph_pb2.TensorInfo) -> TensorSpec:
    shape = info.tensor_shape
    return TensorSpec(info.dtype, None if shape.unknown_rank else tuple(dim.size for dim in shape.dim))
