"""--batching_parameters_file: how large batches get, how long they wait, how many wait."""

import os
from dataclasses import dataclass
from pathlib import Path

from exporter.command import UserError
from serving.config_file import read_config_file
from serving.config_pb2 import BatchingParameters as Message

_FLAG = "--batching_parameters_file"


@dataclass(frozen=True, kw_only=True)
class BatchingParameters:
    """TensorFlow Serving's parameters of the same names, with its defaults."""

    max_batch_size: int = 1000
    """Most elements of one request; also of one execution, unless `max_execution_batch_size` says otherwise."""
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = 1
    allowed_batch_sizes: tuple[int, ...] = ()
    """Ascending; an execution is padded to the next of them. Empty: any size."""
    max_execution_batch_size: int = 1000
    """Larger requests are run in parts where enable_large_batch_splitting is set; else equal to `max_batch_size`."""


def read_batching_parameters(path: Path | None) -> BatchingParameters:
    """Read the file, or without one take the defaults.

    Raises UserError if it is not of that form, or asks for what cannot be: sizes below 1, allowed sizes that do not
    ascend to the largest execution, pad_variable_length_inputs.
    """
    message = read_config_file(path, _FLAG, Message()) if path else Message()
    if message.pad_variable_length_inputs:
        raise UserError(f"{_FLAG} {path}: pad_variable_length_inputs is not supported; leave it out")
    largest = _positive(message, "max_batch_size", 1000, path)
    execution = largest
    if message.enable_large_batch_splitting.value:
        execution = _positive(message, "max_execution_batch_size", largest, path)
        if execution > largest:
            raise UserError(f"{_FLAG} {path}: max_execution_batch_size {execution} is above max_batch_size {largest}")
    elif message.HasField("max_execution_batch_size"):
        raise UserError(
            f"{_FLAG} {path}: max_execution_batch_size needs enable_large_batch_splitting {{ value: true }}"
        )
    allowed = tuple(message.allowed_batch_sizes)
    if allowed and (list(allowed) != sorted(set(allowed)) or allowed[0] < 1 or allowed[-1] != execution):
        raise UserError(f"{_FLAG} {path}: allowed_batch_sizes must ascend and end with the largest batch, {execution}")
    if message.batch_timeout_micros.value < 0:
        raise UserError(f"{_FLAG} {path}: batch_timeout_micros must not be negative")
    return BatchingParameters(
        max_batch_size=largest,
        batch_timeout_micros=message.batch_timeout_micros.value,
        max_enqueued_batches=_positive(message, "max_enqueued_batches", 10, path),
        num_batch_threads=_positive(message, "num_batch_threads", os.cpu_count() or 1, path),
        allowed_batch_sizes=allowed,
        max_execution_batch_size=execution,
    )


def _positive(message: Message, field: str, default: int, path: Path | None) -> int:
    if not message.HasField(field):
        return default
    value: int = getattr(message, field).value
    if value < 1:
        raise UserError(f"{_FLAG} {path}: {field} must be at least 1, not {value}")
    return value
