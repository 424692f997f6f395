"""Outputs become the body of a REST answer, as in TensorFlow Serving's util/json_tensor.cc."""

import base64
from typing import Any

import numpy as np
from tensorflow_serving.apis import classification_pb2, regression_pb2

from serving.predict.execute import Outputs
from serving.status import invalid_argument

_BYTES_SUFFIX = "_bytes"


def by_row(outputs: Outputs) -> dict[str, Any]:
    """Row form, for `instances`: a list with a value for each element, or an object of values by alias if many.

    Raises StatusError INVALID_ARGUMENT where outputs have no common dimension 0.
    """
    size = None
    for alias, values in sorted(outputs.items()):
        if not values.array.ndim:
            raise invalid_argument(f"Tensor name: {alias} has no shape information ")
        given = len(values.array)
        if size not in (None, given):
            raise invalid_argument(f"Tensor name: {alias} has inconsistent batch size: {given} expecting: {size}")
        size = given
    columns = _columns(outputs)
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    rows = zip(*columns.values(), strict=True)
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}


def by_column(outputs: Outputs) -> dict[str, Any]:
    """Columnar form, for `inputs`: the value of the only output, or an object of values by alias."""
    columns = _columns(outputs)
    return {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}


def of_classifications(result: classification_pb2.ClassificationResult) -> dict[str, Any]:
    """Write a list for each example, of pairs of label and score."""
    return {
        "results": [
            [[kind.label, *_decimals([kind.score])] for kind in classifications.classes]
            for classifications in result.classifications
        ]
    }


def of_regressions(result: regression_pb2.RegressionResult) -> dict[str, Any]:
    """Write a number for each example."""
    return {"results": _decimals([regression.value for regression in result.regressions])}


def _decimals(values: list[float]) -> Any:  # noqa: ANN401 - a list, which to_json does not know
    return to_json(np.array(values, dtype=np.float32), "")


def _columns(outputs: Outputs) -> dict[str, Any]:
    return {alias: to_json(values.array, alias) for alias, values in sorted(outputs.items())}


def to_json(array: np.ndarray, alias: str) -> Any:  # noqa: ANN401 - nested lists of any depth, or one value
    """Turn an array into lists; bytes become text, or `{"b64": ...}` in outputs whose alias ends in `_bytes`.

    Raises StatusError INVALID_ARGUMENT for dtypes that JSON has no values for.
    """
    if array.dtype == object:
        encode = _to_base64 if alias.endswith(_BYTES_SUFFIX) else _to_text
        values = np.empty(array.size, dtype=object)
        values[:] = [encode(each) for each in array.ravel()]
        return values.reshape(array.shape).tolist()
    if array.dtype.kind == "c":
        raise invalid_argument(f"Failed to write JSON value for tensor type: {array.dtype.name}")
    if array.dtype.kind in "iub" or array.dtype == np.float64:
        return array.tolist()
    # The shortest digits that mean this number in its own precision: 0.1, not 0.10000000149011612.
    shortest = np.array([float(str(each)) for each in array.ravel()], dtype=np.float64)
    return shortest.reshape(array.shape).tolist()


def _to_text(value: bytes) -> str:
    return value.decode(errors="replace")


def _to_base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}
