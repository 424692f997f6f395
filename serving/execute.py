"""Running one signature of a servable: tensors in, values out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
import tensorflow as tf

from serving.servable import Servable
from serving.status import StatusError, from_exception
from serving.tensors import can_be_sent

Inputs = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Values:
    """An output on its way into a message."""

    dtype: tf.DType
    array: np.ndarray
    """Of dtype object, holding bytes, for strings."""


Outputs = dict[str, Values]


@dataclass(frozen=True)
class Caller:
    """Who waits for an answer."""

    is_waiting: Callable[[], bool] = lambda: True
    """False once the caller has hung up or its deadline has passed."""
    time_remaining: Callable[[], float | None] = lambda: None
    """Seconds until the caller's deadline; None: it has none."""


Run = Callable[[Servable, str, Inputs, Sequence[str], Caller], Outputs]
"""Runs a servable's signature of that name on eager tensors by alias; returns the outputs asked for.

Raises StatusError: a model's own error under its code, UNIMPLEMENTED for outputs that no message holds.
"""


def run_alone(servable: Servable, name: str, inputs: Inputs, wanted: Sequence[str], caller: Caller) -> Outputs:
    """Run a request by itself; a Run."""
    del caller  # it waits: it has been asked just now
    try:
        outputs = servable.signatures[name].run(**inputs)
    except Exception as error:
        raise from_exception(error) from error
    return {alias: to_values(outputs[alias]) for alias in wanted}


def to_values(tensor: tf.Tensor) -> Values:
    """Take an eager tensor's values. Raises StatusError UNIMPLEMENTED for dtypes that cannot be sent."""
    if not can_be_sent(tensor.dtype):
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"outputs of type {tensor.dtype.name} cannot be sent")
    array = tensor.numpy()
    # A scalar string's is plain bytes, which NumPy would cut at its trailing zeros.
    return Values(tensor.dtype, np.array(array, dtype=object) if isinstance(array, bytes) else np.asarray(array))
