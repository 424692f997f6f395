"""A batch runs: inputs are merged, the signature runs once, outputs are split.

Where the merged run fails, or its outputs do not have one element for each of the inputs, every part runs alone: one
caller's corrupt input never fails another's request, whatever model it is.
"""

from collections.abc import Sequence

import tensorflow as tf

from serving.batching.task import Part
from serving.execute import Inputs, Outputs, Values, run_alone, to_values
from serving.servable import Servable
from serving.status import StatusError, from_exception


def run_batch(parts: Sequence[Part], allowed_sizes: Sequence[int]) -> int:
    """Run parts, all of one servable and signature and of one shape beyond dimension 0; fill in their outputs.

    A part that fails gets no outputs, and its task fails. Returns how many elements the signature ran on, padding
    included; 0 where the parts had to run one by one.
    """
    try:
        return _run_merged(parts, allowed_sizes)
    except Exception as exception:  # noqa: BLE001 - a model may raise anything, and its callers must hear of it
        error = from_exception(exception)
    if len(parts) == 1:
        parts[0].task.fail(error)
        return 0
    for part in parts:
        task = part.task
        try:
            part.outputs = run_alone(task.servable, task.name, part.inputs(), task.wanted, task.caller)
        except StatusError as error_alone:
            task.fail(error_alone)
        except Exception as exception:  # noqa: BLE001 - the same
            task.fail(from_exception(exception))
    return 0


def _run_merged(parts: Sequence[Part], allowed_sizes: Sequence[int]) -> int:
    task = parts[0].task
    size = sum(part.size for part in parts)
    padded = next((allowed for allowed in allowed_sizes if allowed >= size), size)
    tensors = task.servable.signatures[task.name].run(**_merge([part.inputs() for part in parts], padded - size))
    wanted = dict.fromkeys(alias for part in parts for alias in part.task.wanted)
    outputs = {alias: to_values(tensors[alias]) for alias in wanted}
    if len(parts) == 1 and padded == size:
        parts[0].outputs = outputs
        return size
    for alias, values in outputs.items():
        if values.array.ndim == 0 or values.array.shape[0] != padded:
            raise ValueError(f"output {alias} has shape {values.array.shape} for a batch of {padded}")
    start = 0
    for part in parts:
        part.outputs = _take(outputs, part.task.wanted, start, start + part.size)
        start += part.size
    return padded


def _merge(inputs: Sequence[Inputs], padding: int) -> Inputs:
    """Join the parts' tensors along dimension 0; padding repeats the first element, as TensorFlow Serving's does."""
    if len(inputs) == 1 and not padding:
        return inputs[0]
    merged = {}
    for alias, first in inputs[0].items():
        pieces = [each[alias] for each in inputs]
        if padding:
            pieces.append(tf.repeat(first[:1], padding, axis=0))
        merged[alias] = tf.concat(pieces, axis=0)
    return merged


def _take(outputs: Outputs, wanted: Sequence[str], start: int, stop: int) -> Outputs:
    return {alias: Values(outputs[alias].dtype, outputs[alias].array[start:stop]) for alias in wanted}


def can_be_batched(servable: Servable, name: str, inputs: Inputs) -> int | None:
    """Return how many elements a request has, or None where its signature or inputs do not allow merging.

    They do if each input may have any size in dimension 0 and all have the same, which is not 0.
    """
    definition = servable.signatures[name].definition
    for info in definition.inputs.values():
        shape = info.tensor_shape
        if not shape.unknown_rank and (not shape.dim or shape.dim[0].size != -1):
            return None
    sizes = {tensor.shape[0] if tensor.shape.rank else 0 for tensor in inputs.values()}
    return sizes.pop() or None if len(sizes) == 1 else None
