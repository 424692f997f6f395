"""A batch runs: inputs are merged, the signature runs once, outputs are split.

Where the merged run fails, or its outputs do not have one element for each of the inputs, every part runs alone: one
caller's corrupt input never fails another's request, whatever model it is.
"""

from collections.abc import Sequence

from serving.predict.batching.parts import Part
from serving.predict.execute import Outputs, Values, Work, to_values
from serving.predict.inputs import join
from serving.status import from_exception


def run_batch(parts: Sequence[Part], allowed_sizes: Sequence[int]) -> int:
    """Run parts, all of one servable and signature and of one shape beyond dimension 0; fill in their results.

    Returns how many elements the signature ran on, padding included; 0 where the parts had to run one by one.
    """
    try:
        return _run_merged(parts, allowed_sizes)
    except Exception as exception:  # noqa: BLE001 - a model may raise anything, and its callers must hear of it
        error = from_exception(exception)
    for part in parts:
        part.result = error
        if len(parts) > 1:
            try:
                part.result = _run([part], part.work.wanted, 0)
            except Exception as exception:  # noqa: BLE001 - the same
                part.result = from_exception(exception)
    return 0


def _run_merged(parts: Sequence[Part], allowed_sizes: Sequence[int]) -> int:
    size = sum(part.size for part in parts)
    padded = next((allowed for allowed in allowed_sizes if allowed >= size), size)
    wanted = list(dict.fromkeys(alias for part in parts for alias in part.work.wanted))
    outputs = _run(parts, wanted, padded - size)
    if len(parts) == 1 and padded == size:
        parts[0].result = outputs
        return size
    for alias, values in outputs.items():
        if values.array.ndim == 0 or values.array.shape[0] != padded:
            raise ValueError(f"output {alias} has shape {values.array.shape} for a batch of {padded}")
    start = 0
    for part in parts:
        part.result = _take(outputs, part.work.wanted, start, start + part.size)
        start += part.size
    return padded


def _run(parts: Sequence[Part], wanted: Sequence[str], padding: int) -> Outputs:
    work = parts[0].work
    merged = {alias: join([part.rows(alias) for part in parts], padding) for alias in work.inputs}
    return to_values(work.signature, work.signature.run(**merged), wanted)


def _take(outputs: Outputs, wanted: Sequence[str], start: int, stop: int) -> Outputs:
    return {alias: Values(outputs[alias].dtype, outputs[alias].array[start:stop]) for alias in wanted}


def size_to_merge(work: Work) -> int | None:
    """Return how many elements a request has, or None where its signature or inputs do not allow merging.

    They do if each input may have any size in dimension 0 and all have the same, which is not 0.
    """
    if not work.signature.can_be_merged:
        return None
    sizes = {each.shape[0] if each.shape else 0 for each in work.inputs.values()}
    return sizes.pop() or None if len(sizes) == 1 else None
