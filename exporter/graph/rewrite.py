"""The graph of a SavedModel in the form in which it is served fastest."""

from pathlib import Path

from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.saved_model.fingerprinting_utils import write_fingerprint

from exporter.graph.outline import outline
from exporter.graph.shorten import shorten

_GRAPH = "saved_model.pb"


def rewrite(folder: Path) -> None:
    """Rewrite the graph of a SavedModel in place; signatures, variables and answers stay the same."""
    path = folder / _GRAPH
    model = SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        library = graph.graph_def.library
        outline(library)
        for function in library.function:
            shorten(function)
    path.write_bytes(model.SerializeToString(deterministic=True))
    # It holds a hash of the graph.
    write_fingerprint(str(folder))
