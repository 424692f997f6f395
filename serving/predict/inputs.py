"""Inputs on their way from a message to a tensor, which is made when they run: one for a whole batch."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

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
        self._tensor: tf.Tensor | None = None
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

    def tensor(self) -> tf.Tensor:
        """Make the tensor, as Tensor::FromProto does. Raises StatusError INVALID_ARGUMENT where there is none."""
        if self.strings is not None:
            # A third of ParseTensor's time: 34 us against 98 us for 512 strings of 300 bytes.
            return tf.constant(list(self.strings), dtype=tf.string, shape=self.shape)
        if self._tensor is None:  # kept: a large request is cut into several parts
            try:
                self._tensor = tf.io.parse_tensor(self._proto.SerializeToString(), self._proto.dtype)
            except tf.errors.OpError:
                raise self._no_tensor() from None
        return self._tensor

    def _no_tensor(self) -> StatusError:
        return invalid_argument(f"tensor parsing error: {self._alias}")


class Rows(NamedTuple):
    """Elements `start` to `stop` of dimension 0 of an input."""

    input: Input
    start: int
    stop: int


def join(pieces: Sequence[Rows], padding: int = 0) -> tf.Tensor:
    """Make one tensor of rows of inputs that have one dtype, and one shape beyond dimension 0.

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
        return tf.constant(flat, dtype=tf.string, shape=(sum(p.stop - p.start for p in pieces) + padding, *shape))
    tensors = [piece.input.tensor()[piece.start : piece.stop] for piece in pieces]
    if padding:
        tensors.append(tf.repeat(tensors[0][:1], padding, axis=0))
    return tf.concat(tensors, axis=0) if len(tensors) > 1 else tensors[0]
