"""Requests of the three methods are checked, and their responses filled.

Checks and texts as in TensorFlow Serving's servables/tensorflow/classifier.cc, regressor.cc and multi_inference.cc.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

from serving.predict.execute import Outputs, Work
from serving.predict.inference.classify import outputs_to_classify, to_classifications
from serving.predict.inference.examples import read_examples
from serving.predict.inference.regress import outputs_to_regress, to_regressions
from serving.predict.predict import DEFAULT_SIGNATURE, read_input
from serving.predict.servable import Servable
from serving.status import StatusError, invalid_argument

_INPUT = "inputs"


@dataclass(frozen=True)
class Method:
    """Classify or Regress."""

    name: str
    """Of the RPC."""
    method_name: str
    """As signatures, and the tasks of MultiInference, name it."""
    outputs: Callable[[meta_graph_pb2.SignatureDef], list[str]]
    result: Callable[[Outputs, int], Any]
    request: Any
    response: Any
    """Classes of the messages."""
    field: str
    """Where an InferenceResult has the result."""


CLASSIFY = Method(
    "Classify",
    "tensorflow/serving/classify",
    outputs_to_classify,
    to_classifications,
    classification_pb2.ClassificationRequest,
    classification_pb2.ClassificationResponse,
    "classification_result",
)
REGRESS = Method(
    "Regress",
    "tensorflow/serving/regress",
    outputs_to_regress,
    to_regressions,
    regression_pb2.RegressionRequest,
    regression_pb2.RegressionResponse,
    "regression_result",
)
_METHODS = {method.method_name: method for method in (CLASSIFY, REGRESS)}
Task = tuple[Method, Work]


def read_request(method: Method, servable: Servable, request: Any) -> Work:  # noqa: ANN401 - generated classes have no types
    """Check a ClassificationRequest or RegressionRequest, whatever model and version it names, against `servable`.

    Raises StatusError INVALID_ARGUMENT for an unknown signature, one that is not made for the method, or no examples.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise invalid_argument(f"No signature was found with the name: {name}")
    wanted = method.outputs(servable.signatures[name].definition)
    return _work(servable, name, read_examples(request.input), wanted, method.name)


def count_examples(work: Work) -> int:
    """Tell how many examples a request has."""
    return int(work.inputs[_INPUT].shape[0])


def write_result(method: Method, work: Work, outputs: Outputs) -> Any:  # noqa: ANN401 - the same
    """Make a ClassificationResult or RegressionResult. Raises StatusError for outputs of another form."""
    return method.result(outputs, count_examples(work))


def write_response(method: Method, work: Work, outputs: Outputs) -> Any:  # noqa: ANN401 - the same
    """Make a ClassificationResponse or RegressionResponse. Raises StatusError as `write_result`."""
    response = method.response(result=write_result(method, work, outputs))
    _fill_spec(response.model_spec, work)
    return response


def read_multi_inference(servable: Servable, request: inference_pb2.MultiInferenceRequest) -> list[Task]:
    """Check a MultiInferenceRequest against `servable`; return what is to be run on its examples.

    Raises StatusError: INVALID_ARGUMENT for tasks of several models or twice of one signature, and as `read_request`;
    UNIMPLEMENTED for another method than classify and regress.
    """
    chosen: dict[str, tuple[Method, list[str]]] = {}
    model = ""
    for task in request.tasks:
        if not task.model_spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        model = model or task.model_spec.name
        if task.model_spec.name != model:
            raise invalid_argument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in chosen:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        if name not in servable.signatures:
            raise invalid_argument(f"Requested signature not found in model graph: {name}")
        method = _METHODS.get(task.method_name)
        if method is None:
            text = f"Unsupported signature method_name: {task.method_name}"
            raise StatusError(grpc.StatusCode.UNIMPLEMENTED, text)
        chosen[name] = method, method.outputs(servable.signatures[name].definition)
    examples = read_examples(request.input)
    return [
        (method, _work(servable, name, examples, wanted, "MultiInference")) for name, (method, wanted) in chosen.items()
    ]


def write_multi_inference(tasks: Sequence[Task], results: Sequence[Any]) -> inference_pb2.MultiInferenceResponse:
    """Answer with the result of each task, in their order."""
    response = inference_pb2.MultiInferenceResponse()
    for (method, work), result in zip(tasks, results, strict=True):
        entry = response.results.add(**{method.field: result})
        _fill_spec(entry.model_spec, work)
    return response


def _work(servable: Servable, name: str, examples: tensor_pb2.TensorProto, wanted: list[str], api: str) -> Work:
    inputs = {_INPUT: read_input(servable.signatures[name], 0, _INPUT, examples)}
    return Work(servable, name, inputs, wanted, api)


def _fill_spec(spec: Any, work: Work) -> None:  # noqa: ANN401 - the same
    spec.name, spec.signature_name, spec.version.value = work.servable.model, work.name, work.servable.version
