"""Predict's messages without TensorFlow: building requests, reading answers.

Values may come in the `*_val` fields, as TensorFlow Serving sends them, or in `tensor_content`, as other servers do.
"""

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from batch.client import wire_pb2 as wire

# tensorflow.DataType
DT_FLOAT = 1
DT_DOUBLE = 2
DT_INT32 = 3
DT_STRING = 7
DT_INT64 = 9

# tensorflow.serving.ModelVersionStatus.State
AVAILABLE = 30
UNLOADING = 40
END = 50
STATES = {10: "START", 20: "LOADING", AVAILABLE: "AVAILABLE", UNLOADING: "UNLOADING", END: "END"}

Value = TypeVar("Value")
_NUMBERS = {
    DT_FLOAT: ("float_val", "f"),
    DT_DOUBLE: ("double_val", "d"),
    DT_INT32: ("int_val", "i"),
    DT_INT64: ("int64_val", "q"),
}


class AnswerError(Exception):
    """A server's answer does not fit the contract; the text says how."""


@dataclass(frozen=True)
class Target:
    """What of a server is asked: model, signature, and a version or a label where the newest is not wanted."""

    model: str
    signature: str
    version: int | None = None
    label: str | None = None

    @property
    def names_version(self) -> bool:
        """Whether one version is asked for, by its number or a label."""
        return self.version is not None or self.label is not None

    def spec(self) -> wire.ModelSpec:
        """The ModelSpec that names it."""
        spec = wire.ModelSpec(name=self.model, signature_name=self.signature)
        if self.version is not None:
            spec.version.value = self.version
        elif self.label is not None:
            spec.version_label = self.label
        return spec


def predict_request(
    target: Target, input_name: str, images: Sequence[bytes], outputs: Sequence[str]
) -> wire.PredictRequest:
    """A Predict request of encoded images, string [n], that wants only the named outputs."""
    request = wire.PredictRequest(model_spec=target.spec(), output_filter=outputs)
    tensor = request.inputs[input_name]
    tensor.dtype = DT_STRING
    tensor.tensor_shape.dim.add().size = len(images)
    tensor.string_val.extend(images)
    return request


def strings(response: wire.PredictResponse, name: str, count: int) -> list[bytes]:
    """An output of dtype string [count]. Raises AnswerError if it is something else."""
    tensor = _output(response, name, [count])
    if tensor.dtype != DT_STRING:
        raise AnswerError(f"output {name} has dtype {tensor.dtype}, not string")
    return _fill(list(tensor.string_val), count, b"", name)


def numbers(response: wire.PredictResponse, name: str, count: int) -> list[float]:
    """An output of a numeric dtype, [count]; whole numbers stay int. Raises AnswerError if it is something else."""
    return _numbers(_output(response, name, [count]), name, count)


def table(response: wire.PredictResponse, name: str, rows: int, columns: int) -> list[list[float]]:
    """An output of a numeric dtype, [rows, columns]. Raises AnswerError if it is something else."""
    values = _numbers(_output(response, name, [rows, columns]), name, rows * columns)
    return [values[start : start + columns] for start in range(0, rows * columns, columns)]


def _numbers(tensor: wire.TensorProto, name: str, count: int) -> list[float]:
    if tensor.dtype not in _NUMBERS:
        raise AnswerError(f"output {name} has dtype {tensor.dtype}, not a number")
    field, typecode = _NUMBERS[tensor.dtype]
    if tensor.tensor_content:
        values = array(typecode, tensor.tensor_content)
        if sys.byteorder == "big":
            values.byteswap()
        return _fill(list(values), count, 0, name)
    return _fill(list(getattr(tensor, field)), count, 0, name)


def _output(response: wire.PredictResponse, name: str, wanted: list[int]) -> wire.TensorProto:
    if name not in response.outputs:
        raise AnswerError(f"the answer lacks output {name}")
    tensor = response.outputs[name]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if shape != wanted:
        raise AnswerError(f"output {name} has shape {shape} for {wanted[0]} images")
    return tensor


def _fill(values: list[Value], count: int, zero: Value, name: str) -> list[Value]:
    """A TensorProto may leave out trailing repetitions of its last value."""
    if len(values) > count:
        raise AnswerError(f"output {name} has {len(values)} values where {count} were wanted")
    return values + [values[-1] if values else zero] * (count - len(values))
