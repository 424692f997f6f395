"""Running signatures of servables: requests in, values out, and who waits for them."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic

import grpc
import numpy as np
import tensorflow as tf

from serving.predict.inputs import Input
from serving.predict.servable import Servable, Signature
from serving.predict.session import Arrays
from serving.predict.tensors import dtype_name
from serving.status import StatusError, from_exception


@dataclass(frozen=True)
class Work:
    """A request that has been checked: what is to be run on what."""

    servable: Servable
    name: str
    """Of the signature."""
    inputs: dict[str, Input]
    """By alias, in ascending order."""
    wanted: list[str]
    """Aliases of the outputs that are asked for."""
    api: str = "Predict"
    """Name of the RPC, for metrics."""

    @property
    def signature(self) -> Signature:
        """The signature of that name."""
        return self.servable.signatures[self.name]


@dataclass(frozen=True)
class Values:
    """An output on its way into a message."""

    dtype: tf.DType
    array: np.ndarray
    """Of dtype object, holding bytes, for strings."""


Outputs = dict[str, Values]


@dataclass(frozen=True)
class Task:
    """Work that somebody waits for."""

    work: Work
    is_wanted: Callable[[], bool]
    """False once nobody waits any more: the caller has hung up, or its deadline has passed."""
    finish: Callable[[Outputs | StatusError], None]
    """To be called once, from any thread, with the outputs that are wanted or with the reason why there are none."""

    def drop(self) -> None:
        """Finish without having run."""
        self.finish(StatusError(grpc.StatusCode.CANCELLED, "the caller is gone"))


Run = Callable[[Task], None]
"""Sees to it that a task is run and finished, and returns at once. Raises StatusError for one that it refuses.

Tasks finish with a model's own error under its code, UNIMPLEMENTED for outputs that no message holds.
"""


class RunAlone:
    """Runs each request by itself, so many at a time; a Run."""

    def __init__(self, threads: int, on_ran: Callable[[str, str, float], None]) -> None:
        """`on_ran` is told the model, the API and the seconds of each execution."""
        self._pool = ThreadPoolExecutor(threads, "predict")
        self._on_ran = on_ran

    def __call__(self, task: Task) -> None:
        """Queue a task; how many wait is limited by how many requests are taken in."""
        self._pool.submit(self._run, task)

    def _run(self, task: Task) -> None:
        # Computing what nobody waits for would delay those who still do.
        if not task.is_wanted():
            task.drop()
            return
        begin = monotonic()
        try:
            task.finish(run_alone(task.work))
        except StatusError as error:
            task.finish(error)
        finally:
            self._on_ran(task.work.servable.model, task.work.api, monotonic() - begin)


def run_alone(work: Work) -> Outputs:
    """Run a request by itself, here and now. Raises StatusError as a Run finishes with one."""
    try:
        arrays = work.signature.run(**{alias: each.array() for alias, each in work.inputs.items()})
    except Exception as error:
        raise from_exception(error) from error
    return to_values(work.signature, arrays, work.wanted)


def run_and_wait(run: Run, work: Work, is_wanted: Callable[[], bool], seconds: float) -> Outputs:
    """Let `run` do it, and wait so long at most.

    Raises StatusError: DEADLINE_EXCEEDED, and what `run` raises or finishes with.
    """
    answer: Future[Outputs | StatusError] = Future()
    end = monotonic() + seconds
    run(Task(work, lambda: monotonic() < end and is_wanted(), answer.set_result))
    try:
        result = answer.result(seconds)
    except TimeoutError:
        raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification") from None
    if isinstance(result, StatusError):
        raise result
    return result


def to_values(signature: Signature, arrays: Arrays, wanted: Iterable[str]) -> Outputs:
    """Pick the outputs that are wanted. Raises StatusError UNIMPLEMENTED for one whose dtype cannot be sent."""
    for alias in wanted:
        if alias not in arrays:
            name = dtype_name(signature.definition.outputs[alias].dtype)
            raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"outputs of type {name} cannot be sent")
    return {alias: Values(signature.output_dtypes[alias], arrays[alias]) for alias in wanted}
