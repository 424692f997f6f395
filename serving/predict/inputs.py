"""Inputs on their way from a message to an array, which is made when they run: one for a whole batch."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.predict.tensors import to_array
from serving.status import StatusError, invalid_argument

# A message has at most 2 GB, and so has a tensor sent in full. One value may stand for a whole shape, though: a request
# of a few bytes could ask for terabytes.
_MOST_BYTES = 2**31
_BYTES_PER_STRING = 24  # tstring, in memory


class Input:
    """One input of a request, as its message spells it."""

    def __init__(self, alias: str, proto: tensor_pb2.TensorProto) -> None:
        """Look at dtype and shape alone; the dtype is one that `dtype_name` names.

        Raises StatusError INVALID_ARGUMENT, with the alias, for a shape that no tensor has, or that is too large.
        """
        self._alias = alias
        self._proto = proto
        self._array: np.ndarray | None = None
        self.shape = tuple(dim.size for dim in proto.tensor_shape.dim)
        elements = math.prod(self.shape)
        is_string = proto.dtype == types_pb2.DT_STRING
        size = _BYTES_PER_STRING if is_string else int(tf.dtypes.as_dtype(proto.dtype).size)
        if proto.tensor_shape.unknown_rank or min(self.shape, default=0) < 0 or elements * size > _MOST_BYTES:
            raise self._no_tensor()
        self.strings: Sequence[bytes] | None = None
        """The elements in order, where they are strings and each is spelled out."""
        if is_string and elements == len(proto.string_val) and not proto.tensor_content:
            self.strings = proto.string_val

    def array(self) -> np.ndarray:
        """Make the array, as Tensor::FromProto makes a tensor. Raises StatusError INVALID_ARGUMENT where there is none.

        Of dtype object, holding bytes, for strings.
        """
        if self.strings is not None:
            return _of_strings(list(self.strings), self.shape)
        if self._array is None:  # kept: a large request is cut into several parts
            try:
                self._array = to_array(tf.io.parse_tensor(self._proto.SerializeToString(), self._proto.dtype))
            except tf.errors.OpError:
                raise self._no_tensor() from None
        return self._array

    def _no_tensor(self) -> StatusError:
        return invalid_argument(f"tensor parsing error: {self._alias}")


class Rows(NamedTuple):
    """Elements `start` to `stop` of dimension 0 of an input."""

    input: Input
    start: int
    stop: int


def join(pieces: Sequence[Rows], padding: int = 0) -> np.ndarray:
    """Make one array of rows of inputs that have one dtype, and one shape beyond dimension 0.

    Padding repeats the first row, as TensorFlow Serving's does. Raises StatusError INVALID_ARGUMENT where an input
    makes no tensor.
    """
    strings = [piece.input.strings for piece in pieces]
    if all(each is not None for each in strings):
        shape = pieces[0].input.shape[1:]
        width = math.prod(shape)
        flat: list[bytes] = []
        for piece, each in zip(pieces, strings, strict=True):
            flat += each[piece.start * width : piece.stop * width]  # type: ignore[index] # none of them is None
        flat += flat[:width] * padding
        return _of_strings(flat, (sum(p.stop - p.start for p in pieces) + padding, *shape))
    arrays = [piece.input.array()[piece.start : piece.stop] for piece in pieces]
    if padding:
        arrays.append(np.repeat(arrays[0][:1], padding, axis=0))
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def _of_strings(strings: list[bytes], shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(len(strings), dtype=object)
    array[:] = strings
    return array.reshape(shape)
