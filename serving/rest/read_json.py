"""The body of a REST Predict request becomes a PredictRequest, as in TensorFlow Serving's util/json_tensor.cc."""

import base64
import json
import math
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.status import StatusError, invalid_argument

Json = Any  # what json.loads gives
_ROW, _COLUMNAR = "instances", "inputs"
_WHITESPACE = b" \t\n\v\f\r"
_PADDING = b"=."
_FLOATS = (types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_HALF, types_pb2.DT_BFLOAT16)


def parse_body(body: bytes) -> dict[str, Json]:
    """Read the JSON object of a request. Raises StatusError INVALID_ARGUMENT if it is none."""
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except json.JSONDecodeError as error:
        raise invalid_argument(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except (UnicodeDecodeError, RecursionError):
        raise invalid_argument("JSON Parse error: Invalid value. at offset: 0") from None
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {describe(document)} Is not object")
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid_argument(f"JSON Value: {describe(document)} 'signature_name' key must be a string value.")
    return document


def fill_inputs(
    document: dict[str, Json], definition: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest
) -> bool:
    """Fill a request's inputs from the body's `instances` or `inputs`; return whether it was row form, `instances`.

    Raises StatusError INVALID_ARGUMENT where the values make no tensors of the signature's dtypes.
    """
    if not definition.inputs:
        raise invalid_argument(f"Failed to get input map for signature: {document.get('signature_name') or 'DEFAULT'}")
    if _ROW in document and _COLUMNAR in document:
        raise invalid_argument(
            f"JSON Value: {describe(document)} Not formatted correctly expecting only one of '{_COLUMNAR}' or '{_ROW}' "
            "keys to exist "
        )
    dtypes = {alias: info.dtype for alias, info in sorted(definition.inputs.items())}
    if _ROW in document:
        columns = _rows_to_columns(document[_ROW], document, dtypes)
    elif _COLUMNAR in document:
        columns = _columns(document[_COLUMNAR], dtypes, set(definition.defaults))
    else:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    for alias, value in columns.items():
        request.inputs[alias].CopyFrom(_tensor(value, dtypes[alias]))
    return _ROW in document


def _rows_to_columns(instances: Json, document: Json, dtypes: dict[str, int]) -> dict[str, list[Json]]:
    if not isinstance(instances, list):
        raise invalid_argument(f"JSON Value: {describe(document)} Excepting '{_ROW}' to be an list/array")
    if not instances:
        raise invalid_argument(f"JSON Value: {describe(document)} No values in '{_ROW}' array")
    if not _is_object(instances[0]):
        if len(dtypes) != 1:
            raise invalid_argument(
                "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                "tensorinfo_map"
            )
        for number, instance in enumerate(instances):
            if _is_object(instance):
                raise invalid_argument(f"Expecting value/list but got object at item {number} of input list")
        return {next(iter(dtypes)): instances}
    for number, instance in enumerate(instances):
        if not _is_object(instance):
            raise invalid_argument(f"Expecting object but got list at item {number} of input list")
        if instance.keys() != dtypes.keys():
            raise invalid_argument(
                f"Failed to process element: {number} of 'instances' list. JSON object: {describe(instance)} keys "
                f"must be equal to: {','.join(dtypes)}"
            )
    return {alias: [instance[alias] for instance in instances] for alias in dtypes}


def _columns(inputs: Json, dtypes: dict[str, int], optional: set[str]) -> dict[str, Json]:
    if not _is_object(inputs):
        if len(dtypes) != 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        return {next(iter(dtypes)): inputs}
    for alias in dtypes:
        if alias not in inputs and alias not in optional:
            raise invalid_argument(f"Missing named input: {alias} in 'inputs' object.")
    return {alias: inputs[alias] for alias in dtypes if alias in inputs}


def _tensor(value: Json, dtype: int) -> tensor_pb2.TensorProto:
    shape = _shape(value)
    flat: list[Json] = []
    _flatten(value, 0, shape, flat)
    if dtype == types_pb2.DT_STRING:
        proto = tensor_pb2.TensorProto(dtype=dtype, string_val=[decode_bytes(each) for each in flat])
        for size in shape:
            proto.tensor_shape.dim.add(size=size)
        return proto
    for each in flat:
        _check(each, dtype)
    try:
        return tf.make_tensor_proto(flat, dtype=tf.dtypes.as_dtype(dtype), shape=shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid_argument(f"values do not fit the type {_name(dtype)}: {error}") from None


def _shape(value: Json) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def _flatten(value: Json, level: int, shape: list[int], flat: list[Json]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid_argument(
                f"JSON Value: {describe(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        flat.append(value)
        return
    if level >= len(shape):
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for each in value:
        _flatten(each, level + 1, shape, flat)


def _check(value: Json, dtype: int) -> None:
    """Raise StatusError unless a JSON value may stand for a number, or a truth value, of a dtype."""
    if dtype == types_pb2.DT_BOOL:
        fits = isinstance(value, bool)
    elif dtype in _FLOATS:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        if fits and math.isfinite(value) and abs(value) > tf.dtypes.as_dtype(dtype).max:
            raise invalid_argument(f"Decimal value {value} is out of range for {_name(dtype)}")
    else:
        fits = isinstance(value, int) and not isinstance(value, bool)
    if not fits:
        raise _type_error(value, dtype)


def decode_bytes(value: Json) -> bytes:
    """Take the bytes that a JSON value stands for: text as it is, or `{"b64": ...}`.

    Raises StatusError INVALID_ARGUMENT for anything else.
    """
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise invalid_argument("JSON Parse error: The surrogate pair in string is invalid.") from None
    if not isinstance(value, dict):
        raise _type_error(value, types_pb2.DT_STRING)
    if not is_base64(value):
        raise invalid_argument(
            f'JSON Value: {describe(value)} not formatted correctly for base64 data, expecting {{"b64": "..."}}'
        )
    try:
        return decode_base64(value["b64"])
    except ValueError:
        raise invalid_argument("Unable to base64 decode") from None


def decode_base64(text: str) -> bytes:
    """Decode as absl::Base64Unescape does (absl/strings/escaping.cc).

    It takes the standard alphabet alone, passes over whitespace wherever it stands, as in the lines that MIME and Ruby
    write, and wants all padding or none; a dot may stand for an equals sign. Raises ValueError for anything else.
    """
    dense = text.encode().translate(None, _WHITESPACE)
    data = dense.rstrip(_PADDING)
    missing = -len(data) % 4
    if len(dense) - len(data) not in (0, missing):
        raise ValueError("the padding is neither left out nor complete")
    return base64.b64decode(data + b"=" * missing, validate=True)


def _type_error(value: Json, dtype: int) -> StatusError:
    kinds = {bool: "Boolean", str: "String", dict: "Object", list: "Array", type(None): "Null"}
    kind = kinds.get(type(value), "Number")
    return invalid_argument(f"JSON Value: {describe(value)} Type: {kind} is not of expected type: {_name(dtype)}")


def _name(dtype: int) -> str:
    return str(types_pb2.DataType.Name(dtype)).removeprefix("DT_").lower()


def is_base64(value: Json) -> bool:
    """Whether a JSON value stands for bytes in base64."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _is_object(value: Json) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def describe(value: Json) -> str:
    """Write a value for an error's text; images in full would fill the caller's log."""
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
