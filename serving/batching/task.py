"""A request on its way through the batches, in one part or several."""

from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from serving.execute import Caller, Inputs, Outputs, Values
from serving.servable import Servable
from serving.status import StatusError


class Task:
    """One request's inputs, which all have `size` elements in dimension 0, and its answer to come."""

    def __init__(
        self, servable: Servable, name: str, inputs: Inputs, size: int, wanted: Sequence[str], caller: Caller
    ) -> None:
        self.servable = servable
        self.name = name
        self.inputs = inputs
        self.size = size
        self.wanted = wanted
        self.caller = caller
        self.answer: Future[Outputs] = Future()
        self._parts: list[Part] = []

    def split(self, room: int, most: int) -> list["Part"]:
        """Cut the task into parts: the first of at most `room` elements, the others of at most `most`."""
        stops = [*range(min(room, self.size), self.size, most), self.size]
        self._parts = [Part(self, start, stop) for start, stop in zip([0, *stops], stops, strict=False)]
        return self._parts

    def part_done(self) -> None:
        """Complete the answer if no part is missing; batch threads call it under the scheduler's lock."""
        if any(part.outputs is None for part in self._parts):
            return
        outputs = [part.outputs for part in self._parts if part.outputs is not None]
        whole = outputs[0]
        if len(outputs) > 1:
            whole = {alias: _joined([piece[alias] for piece in outputs]) for alias in self.wanted}
        with suppress(InvalidStateError):  # another part has failed, or the caller is gone
            self.answer.set_result(whole)

    def fail(self, error: StatusError) -> None:
        """Answer with an error, unless there is an answer."""
        with suppress(InvalidStateError):
            self.answer.set_exception(error)


@dataclass(eq=False)
class Part:
    """Elements `start` to `stop` of a task, which run in one batch."""

    task: Task
    start: int
    stop: int
    outputs: Outputs | None = field(default=None)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.stop - self.start

    def inputs(self) -> Inputs:
        """The part's share of the task's inputs."""
        if self.size == self.task.size:
            return self.task.inputs
        return {alias: tensor[self.start : self.stop] for alias, tensor in self.task.inputs.items()}


def _joined(pieces: list[Values]) -> Values:
    return Values(pieces[0].dtype, np.concatenate([piece.array for piece in pieces]))
