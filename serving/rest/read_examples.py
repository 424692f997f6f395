"""The body of a REST Classify or Regress request becomes tf.Examples.

As in TensorFlow Serving's util/json_tensor.cc.
"""

from typing import Any

from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import input_pb2

from serving.rest.read_json import decode_bytes, describe, is_base64
from serving.status import invalid_argument

Json = Any  # what json.loads gives
_CONTEXT, _EXAMPLES = "context", "examples"
_INT64, _UINT64 = range(-(2**63), 2**63), range(2**64)


def fill_input(document: dict[str, Json], source: input_pb2.Input) -> None:
    """Fill a request's input from the body's `examples`, and its `context` if it has one.

    Raises StatusError INVALID_ARGUMENT where the values make no examples.
    """
    if _CONTEXT in document:
        _fill_example(document[_CONTEXT], source.example_list_with_context.context)
    examples = document.get(_EXAMPLES)
    if _EXAMPLES not in document:
        raise invalid_argument(
            f"JSON Value: {describe(document)} When method is classify, key '{_EXAMPLES}' is expected and was not found"
        )
    if not isinstance(examples, list):
        raise invalid_argument(f"JSON Value: {describe(document)} Expecting '{_EXAMPLES}' value to be an list/array")
    if not examples:
        raise invalid_argument(f"JSON Value: {describe(document)} '{_EXAMPLES}' value is an empty array")
    target = source.example_list_with_context if _CONTEXT in document else source.example_list
    for example in examples:
        _fill_example(example, target.examples.add())


def _fill_example(value: Json, example: example_pb2.Example) -> None:
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {_type(value)}")
    for name, content in value.items():
        feature = example.features.feature[name]
        for each in content if isinstance(content, list) else [content]:
            _add_value(each, name, feature)


def _add_value(value: Json, name: str, feature: feature_pb2.Feature) -> None:
    kind = _kind(value, name)
    present = feature.WhichOneof("kind")
    if present not in (None, f"{kind}_list"):
        text = f"Unexpected element type in feature: {name} expecting type: {present.removesuffix('_list')}"
        raise invalid_argument(text)
    if kind == "bytes":
        feature.bytes_list.value.append(decode_bytes(value))
    elif kind == "float":
        feature.float_list.value.append(value)
    elif value in _INT64:
        feature.int64_list.value.append(int(value))
    else:
        raise invalid_argument(f"Feature: {name} has uint64_t element. Only int64_t is supported.")


def _kind(value: Json, name: str) -> str:
    if isinstance(value, str) or is_base64(value):
        return "bytes"
    if isinstance(value, float):
        return "float"
    if not isinstance(value, int):  # truth values are whole numbers, too
        raise invalid_argument(f"Feature: {name} has element with unexpected JSON type: {_type(value)}")
    if value in _INT64 or value in _UINT64:
        return "int64"
    raise invalid_argument(f"Feature: {name} has a number that is too large: {describe(value)}")


def _type(value: Json) -> str:
    kinds = {bool: str(value), str: "String", dict: "Object", list: "Array", type(None): "Null"}
    return kinds.get(type(value), "Number")
