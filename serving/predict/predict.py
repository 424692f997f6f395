"""Predict on one servable: the request is checked, and the response filled.

Checks, their order and their texts are those of TensorFlow Serving's servables/tensorflow/predict_util.cc.
"""

from collections.abc import Iterable

import grpc
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from serving.predict.execute import Outputs, Work
from serving.predict.inputs import Input
from serving.predict.servable import Servable, Signature
from serving.predict.tensors import dtype_name, to_proto
from serving.status import StatusError, invalid_argument

DEFAULT_SIGNATURE = "serving_default"


def read_request(servable: Servable, request: predict_pb2.PredictRequest) -> Work:
    """Check a PredictRequest, whatever model and version it names, against `servable`.

    Raises StatusError: FAILED_PRECONDITION for an unknown signature, INVALID_ARGUMENT for inputs or an output_filter
    that do not fit it.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = _find_signature(servable, name)
    _check_aliases(signature, request)
    inputs = {}
    for position, alias in enumerate(signature.inputs):
        source = request.inputs if alias in request.inputs else signature.definition.defaults
        inputs[alias] = read_input(signature, position, alias, source[alias])
    return Work(servable, name, inputs, _choose_outputs(signature, request))


def write_response(work: Work, outputs: Outputs) -> predict_pb2.PredictResponse:
    """Answer a request with the outputs that it wanted."""
    response = predict_pb2.PredictResponse()
    spec = response.model_spec
    spec.name, spec.signature_name, spec.version.value = work.servable.model, work.name, work.servable.version
    for alias in work.wanted:
        to_proto(outputs[alias].array, outputs[alias].dtype, response.outputs[alias])
    return response


def _find_signature(servable: Servable, name: str) -> Signature:
    try:
        return servable.signatures[name]
    except KeyError:
        raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.') from None


def _check_aliases(signature: Signature, request: predict_pb2.PredictRequest) -> None:
    sent, known, defaults = set(request.inputs), set(signature.inputs), signature.defaults
    if len(sent) > len(known) or (len(sent) < len(known) and not defaults):
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(known)} len({_braced(sent)}) "
            f"!= len({_braced(known)}). Sent extra: {_braced(sent - known)}. "
            f"Missing but required: {_braced(known - sent)}."
        )
    for alias in sorted(sent - known):
        raise invalid_argument(
            f"input tensor alias not found in signature: {alias}. Inputs expected to be in the set {_braced(known)}."
        )
    for alias in sorted(known - sent - defaults):
        raise invalid_argument(
            f"Signature input alias: {alias} not found in request and no default value provided. Inputs expected to be "
            f"in the request {_braced(sent)}, or default input alias set: {_braced(defaults)}"
        )


def read_input(signature: Signature, position: int, alias: str, proto: tensor_pb2.TensorProto) -> Input:
    """Check an input's dtype and shape; `position` is its place among the signature's.

    Raises StatusError INVALID_ARGUMENT where they are not those of the signature.
    """
    expected = signature.inputs[alias]
    if proto.dtype != expected.dtype:
        provided = dtype_name(proto.dtype)
        if not provided:
            raise invalid_argument(f"tensor parsing error: {alias}")
        # The text that a graph's executor gives, with the alias added for those who do not count arguments.
        raise invalid_argument(
            f"Expects arg[{position}] to be {dtype_name(expected.dtype)} but {provided} is provided (input {alias})"
        )
    value = Input(alias, proto)
    if signature.checks_shapes and not _fits(value.shape, expected.shape):
        raise invalid_argument(
            f"input {alias} has shape {list(value.shape)}, the signature expects {list(expected.shape or ())}"
        )
    return value


def _fits(shape: tuple[int, ...], expected: tuple[int, ...] | None) -> bool:
    """Whether `shape` is one of those that `expected` allows."""
    if expected is None:
        return True
    return len(shape) == len(expected) and all(
        wanted in (-1, given) for given, wanted in zip(shape, expected, strict=True)
    )


def _choose_outputs(signature: Signature, request: predict_pb2.PredictRequest) -> list[str]:
    chosen: list[str] = []
    for alias in request.output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_braced(signature.outputs)}."
            )
        if alias in chosen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        chosen.append(alias)
    return chosen or signature.outputs


def _braced(aliases: Iterable[str]) -> str:
    return f"{{{','.join(sorted(aliases))}}}"
