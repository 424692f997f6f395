"""A request on its way through the batches, in one part or several."""

import time
from dataclasses import dataclass, field

import numpy as np

from serving.predict.execute import Outputs, Task, Values, Work
from serving.predict.inputs import Rows
from serving.status import StatusError


class Split:
    """A task whose inputs all have `size` elements in dimension 0, and which is run in parts."""

    def __init__(self, task: Task, size: int) -> None:
        self.task = task
        self.size = size
        self.queued = time.monotonic()
        """When it came."""
        self._parts: list[Part] = []
        self._finished = False

    def split(self, room: int, most: int) -> list["Part"]:
        """Cut the task into parts: the first of at most `room` elements, the others of at most `most`."""
        stops = [*range(min(room, self.size), self.size, most), self.size]
        self._parts = [Part(self, start, stop) for start, stop in zip([0, *stops], stops, strict=False)]
        return self._parts

    def is_wanted(self) -> bool:
        """Whether running a part of it is of any use."""
        return not self._finished and self.task.is_wanted()

    def result(self) -> Outputs | StatusError | None:
        """What the task is to be finished with; None: a part is missing, or it is finished. Under a lock: once only."""
        results = [part.result for part in self._parts]
        error = next((each for each in results if isinstance(each, StatusError)), None)
        outputs = [each for each in results if isinstance(each, dict)]
        if self._finished or (error is None and len(outputs) < len(results)):
            return None
        self._finished = True
        if error or len(outputs) == 1:
            return error or outputs[0]
        return {alias: _joined([each[alias] for each in outputs]) for alias in self.task.work.wanted}


@dataclass(eq=False)
class Part:
    """Elements `start` to `stop` of a task, which run in one batch."""

    whole: Split
    start: int
    stop: int
    result: Outputs | StatusError | None = field(default=None)
    """None: it has not run yet."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.stop - self.start

    @property
    def work(self) -> Work:
        """What it is a part of."""
        return self.whole.task.work

    def rows(self, alias: str) -> Rows:
        """Its share of an input."""
        return Rows(self.work.inputs[alias], self.start, self.stop)


def _joined(pieces: list[Values]) -> Values:
    return Values(pieces[0].dtype, np.concatenate([piece.array for piece in pieces]))
