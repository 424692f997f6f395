"""Predict's messages without TensorFlow: building requests, reading answers.

Values may come in the `*_val` fields, as TensorFlow Serving sends them, or in `tensor_content`, as other servers do.
"""

import itertools
import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from batch.client import wire_pb2 as wire
from exporter.contract import DIGITS

# tensorflow.DataType
DT_FLOAT = 1
DT_DOUBLE = 2
DT_INT32 = 3
DT_UINT8 = 4
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
    DT_UINT8: ("int_val", "B"),
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
    target: Target, input_name: str, images: Sequence[bytes], outputs: Sequence[str], digits: Sequence[int] = ()
) -> wire.PredictRequest:
    """A Predict request of encoded images, string [n], that wants only the named outputs.

    For the signature `numbers`, `digits`, int32 [n], says how many are expected in each.
    """
    request = wire.PredictRequest(model_spec=target.spec(), output_filter=outputs)
    tensor = request.inputs[input_name]
    tensor.dtype = DT_STRING
    tensor.tensor_shape.dim.add().size = len(images)
    tensor.string_val.extend(images)
    if digits:
        tensor = request.inputs[DIGITS]
        tensor.dtype = DT_INT32
        tensor.tensor_shape.dim.add().size = len(digits)
        tensor.int_val.extend(digits)
    return request


def strings(response: wire.PredictResponse, name: str, count: int) -> list[bytes]:
    """An output of dtype string [count]. Raises AnswerError if it is something else."""
    return _strings(_output(response, name, [count]), name, count)


def string_table(response: wire.PredictResponse, name: str, rows: int, columns: int) -> list[list[bytes]]:
    """An output of dtype string [rows, columns]. Raises AnswerError if it is something else."""
    values = _strings(_output(response, name, [rows, columns]), name, rows * columns)
    return [values[start : start + columns] for start in range(0, rows * columns, columns)]


def numbers(response: wire.PredictResponse, name: str, count: int) -> list[float]:
    """An output of a numeric dtype, [count]; whole numbers stay int. Raises AnswerError if it is something else."""
    return _numbers(_output(response, name, [count]), name, count)


def table(response: wire.PredictResponse, name: str, rows: int, *columns: int) -> list[list[float]]:
    """An output of a numeric dtype, [rows, *columns], each row flat. Raises AnswerError if it is something else."""
    width = math.prod(columns)
    values = _numbers(_output(response, name, [rows, *columns]), name, rows * width)
    return [values[start : start + width] for start in range(0, rows * width, width)]


def _strings(tensor: wire.TensorProto, name: str, count: int) -> list[bytes]:
    if tensor.dtype != DT_STRING:
        raise AnswerError(f"output {name} has dtype {tensor.dtype}, not string")
    if tensor.tensor_content:
        return _exactly(_unpack(tensor.tensor_content, count, name), count, name)
    return _fill(list(tensor.string_val), count, b"", name)


def _unpack(content: bytes, count: int, name: str) -> list[bytes]:
    """Strings of `tensor_content`: all their lengths as varints, then all their bytes."""
    lengths: list[int] = []
    place = 0
    for _ in range(count):
        length = shift = 0
        more = True
        while more:
            if place == len(content):
                raise AnswerError(f"output {name} has {len(lengths)} values where {count} were wanted")
            length |= (content[place] & 0x7F) << shift
            more = content[place] >= 0x80  # of a varint: another byte follows
            shift += 7
            place += 1
        lengths.append(length)
    if place + sum(lengths) != len(content):
        raise AnswerError(f"output {name} has {len(content) - place} bytes where {sum(lengths)} were wanted")
    ends = list(itertools.accumulate(lengths, initial=place))
    return [content[start:end] for start, end in itertools.pairwise(ends)]


def _numbers(tensor: wire.TensorProto, name: str, count: int) -> list[float]:
    if tensor.dtype not in _NUMBERS:
        raise AnswerError(f"output {name} has dtype {tensor.dtype}, not a number")
    field, typecode = _NUMBERS[tensor.dtype]
    if tensor.tensor_content:
        values = array(typecode)
        if len(tensor.tensor_content) % values.itemsize:
            raise AnswerError(f"output {name} ends within a value")
        values.frombytes(tensor.tensor_content)
        if sys.byteorder == "big":
            values.byteswap()
        return _exactly(list(values), count, name)
    return _fill(list(getattr(tensor, field)), count, 0, name)


def _output(response: wire.PredictResponse, name: str, wanted: list[int]) -> wire.TensorProto:
    if name not in response.outputs:
        raise AnswerError(f"the answer lacks output {name}")
    tensor = response.outputs[name]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if shape != wanted:
        raise AnswerError(f"output {name} has shape {shape} for {wanted[0]} images")
    return tensor


def _exactly(values: list[Value], count: int, name: str) -> list[Value]:
    """`tensor_content` leaves nothing out."""
    if len(values) != count:
        raise AnswerError(f"output {name} has {len(values)} values where {count} were wanted")
    return values


def _fill(values: list[Value], count: int, zero: Value, name: str) -> list[Value]:
    """A TensorProto may leave out trailing repetitions of its last value."""
    if len(values) > count:
        raise AnswerError(f"output {name} has {len(values)} values where {count} were wanted")
    return values + [values[-1] if values else zero] * (count - len(values))
