"""Predict on one servable: check the request, run the signature, fill the response.

Checks, their order and their texts are those of TensorFlow Serving's servables/tensorflow/predict_util.cc.
"""

from collections.abc import Collection

import grpc
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.execute import Caller, Run, run_alone
from serving.servable import Servable, Signature
from serving.status import StatusError, invalid_argument
from serving.tensors import dtype_name, from_proto, to_proto

DEFAULT_SIGNATURE = "serving_default"
_ANYBODY = Caller()


def predict(
    servable: Servable, request: predict_pb2.PredictRequest, run: Run = run_alone, caller: Caller = _ANYBODY
) -> predict_pb2.PredictResponse:
    """Answer one PredictRequest, whatever model and version it names, by `servable`.

    Raises StatusError: FAILED_PRECONDITION for an unknown signature, INVALID_ARGUMENT for inputs or an output_filter
    that do not fit it, and a model's own error while it runs under that error's code.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = _find_signature(servable, name)
    inputs = _read_inputs(signature.definition, request)
    wanted = _choose_outputs(signature.definition, request)
    outputs = run(servable, name, inputs, wanted, caller)

    response = predict_pb2.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = servable.version
    response.model_spec.signature_name = name
    for alias in wanted:
        to_proto(outputs[alias].array, outputs[alias].dtype, response.outputs[alias])
    return response


def _find_signature(servable: Servable, name: str) -> Signature:
    try:
        return servable.signatures[name]
    except KeyError:
        raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.') from None


def _read_inputs(definition: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest) -> dict[str, tf.Tensor]:
    _check_aliases(definition, request)
    return {
        alias: _read_input(position, alias, definition.inputs[alias], _given(definition, request, alias))
        for position, alias in enumerate(sorted(definition.inputs))
    }


def _check_aliases(definition: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest) -> None:
    sent, known, defaults = set(request.inputs), set(definition.inputs), set(definition.defaults)
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


def _given(
    definition: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest, alias: str
) -> tensor_pb2.TensorProto:
    return request.inputs[alias] if alias in request.inputs else definition.defaults[alias]


def _read_input(
    position: int, alias: str, expected: meta_graph_pb2.TensorInfo, proto: tensor_pb2.TensorProto
) -> tf.Tensor:
    if proto.dtype != expected.dtype:
        provided = dtype_name(proto.dtype)
        if not provided:
            raise invalid_argument(f"tensor parsing error: {alias}")
        # The text that a graph's executor gives, with the alias added for those who do not count arguments.
        raise invalid_argument(
            f"Expects arg[{position}] to be {dtype_name(expected.dtype)} but {provided} is provided (input {alias})"
        )
    tensor = from_proto(proto, alias)
    if not _fits(tensor.shape.as_list(), expected.tensor_shape):
        sizes = [dim.size for dim in expected.tensor_shape.dim]
        raise invalid_argument(f"input {alias} has shape {tensor.shape.as_list()}, the signature expects {sizes}")
    return tensor


def _fits(shape: list[int], expected: tensor_shape_pb2.TensorShapeProto) -> bool:
    """Whether `shape` is one of those that `expected` allows, where -1 stands for any size."""
    if expected.unknown_rank:
        return True
    sizes = [dim.size for dim in expected.dim]
    return len(shape) == len(sizes) and all(wanted in (-1, given) for given, wanted in zip(shape, sizes, strict=True))


def _choose_outputs(definition: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest) -> list[str]:
    chosen: list[str] = []
    for alias in request.output_filter:
        if alias not in definition.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_braced(definition.outputs)}."
            )
        if alias in chosen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        chosen.append(alias)
    return chosen or list(definition.outputs)


def _braced(aliases: Collection[str]) -> str:
    return f"{{{','.join(sorted(aliases))}}}"
