"""Which requests make a batch and when it runs, after TensorFlow's batching_util/shared_batch_scheduler.h."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field

import grpc

from serving.batching.execution import can_be_batched, run_batch
from serving.batching.parameters import BatchingParameters
from serving.batching.task import Part, Task
from serving.execute import Caller, Inputs, Outputs, run_alone
from serving.servable import Servable
from serving.status import StatusError, from_exception, invalid_argument

OnBatch = Callable[[str, int, int, float], None]
"""Told model, elements, padded size and seconds of each batch that ran at once."""


@dataclass
class _Batch:
    opened: float
    """When its first part came, by the monotonic clock."""
    parts: list[Part] = field(default_factory=list)
    size: int = 0


class BatchScheduler:
    """Merges concurrent requests for one version and signature, whose elements have one shape; a Run.

    Of each such kind `max_enqueued_batches` may wait; the last of them is open for more until it is full or
    `batch_timeout_micros` old. `num_batch_threads` threads run what waits, of all kinds in turn.
    """

    def __init__(self, parameters: BatchingParameters, on_batch: OnBatch) -> None:
        self._parameters = parameters
        self._on_batch = on_batch
        self._timeout = parameters.batch_timeout_micros / 1e6
        self._changed = threading.Condition()  # guards the queues and the tasks' parts
        self._queues: OrderedDict[Hashable, deque[_Batch]] = OrderedDict()
        for number in range(parameters.num_batch_threads):
            threading.Thread(target=self._work, name=f"batch {number}", daemon=True).start()

    def __call__(self, servable: Servable, name: str, inputs: Inputs, wanted: Sequence[str], caller: Caller) -> Outputs:
        """Run a request together with others; alone where its signature does not allow merging.

        Raises StatusError: INVALID_ARGUMENT for more than max_batch_size elements, UNAVAILABLE where too many batches
        wait, DEADLINE_EXCEEDED, CANCELLED where the caller hung up, and what the model raises.
        """
        size = can_be_batched(servable, name, inputs)
        if size is None:
            return run_alone(servable, name, inputs, wanted, caller)
        if size > self._parameters.max_batch_size:
            raise invalid_argument(
                f"Task size {size} is larger than maximum input batch size {self._parameters.max_batch_size}"
            )
        task = Task(servable, name, inputs, size, wanted, caller)
        shapes = tuple((alias, *inputs[alias].shape[1:]) for alias in sorted(inputs))
        self._enqueue((id(servable), name, shapes), task)
        try:
            return task.answer.result(caller.time_remaining())
        except TimeoutError:
            raise StatusError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded while waiting for a batch"
            ) from None
        except CancelledError:
            raise StatusError(grpc.StatusCode.CANCELLED, "the caller is gone") from None

    def _enqueue(self, kind: Hashable, task: Task) -> None:
        most = self._parameters.max_execution_batch_size
        with self._changed:
            queue = self._queues.setdefault(kind, deque())
            room = most - queue[-1].size if queue else 0
            # Only what is too large for any batch is split, and fills up the open one.
            parts = task.split(room if room > 0 and task.size > most else most, most)
            new = len(parts) - (parts[0].size <= room)
            if len(queue) + new > self._parameters.max_enqueued_batches and queue:
                raise StatusError(
                    grpc.StatusCode.UNAVAILABLE,
                    "The batch scheduling queue to which this task was submitted is full",
                )
            for part in parts:
                if not queue or queue[-1].size + part.size > most:
                    queue.append(_Batch(time.monotonic()))
                queue[-1].parts.append(part)
                queue[-1].size += part.size
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while (batch := self._next_batch()) is None:
                    self._changed.wait(self._patience())
            # Work whose caller has gone is dropped, and not half of it begun.
            parts = [part for part in batch.parts if self._is_wanted(part.task)]
            if not parts:
                continue
            try:
                self._run(parts)
            except Exception as error:  # noqa: BLE001 - this thread must go on, and no caller may wait in vain
                for part in parts:
                    part.task.fail(from_exception(error))

    def _run(self, parts: list[Part]) -> None:
        begin = time.monotonic()
        ran = run_batch(parts, self._parameters.allowed_batch_sizes)
        with self._changed:
            for part in parts:
                part.task.part_done()
        if ran:
            seconds = time.monotonic() - begin
            self._on_batch(parts[0].task.servable.model, sum(part.size for part in parts), ran, seconds)

    def _next_batch(self) -> _Batch | None:
        """Take the next batch that may run; the kinds take turns."""
        now = time.monotonic()
        for kind, queue in self._queues.items():
            first = queue[0]
            full = len(queue) > 1 or first.size >= self._parameters.max_execution_batch_size
            if full or now >= first.opened + self._timeout:
                queue.popleft()
                if queue:
                    self._queues.move_to_end(kind)
                    self._changed.notify()
                else:
                    del self._queues[kind]
                return first
        return None

    def _patience(self) -> float | None:
        """Seconds until the oldest open batch may run."""
        opened = min((queue[0].opened for queue in self._queues.values()), default=None)
        return None if opened is None else max(0.0, opened + self._timeout - time.monotonic())

    @staticmethod
    def _is_wanted(task: Task) -> bool:
        if not task.caller.is_waiting():
            task.answer.cancel()
        return not task.answer.done()
