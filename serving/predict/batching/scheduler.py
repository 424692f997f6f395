"""Which requests make a batch and when it runs, after TensorFlow's batching_util/shared_batch_scheduler.h."""

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import grpc

from serving.predict.batching.execution import run_batch, size_to_merge
from serving.predict.batching.parameters import BatchingParameters
from serving.predict.batching.parts import Part, Split
from serving.predict.execute import Run, Task
from serving.status import StatusError, from_exception, invalid_argument

OnBatch = Callable[[str, str, int, int, float], None]
"""Told model, API, elements, padded size and seconds of each batch that ran at once."""
OnTaken = Callable[[str, float], None]
"""Told of each request, or part of one, when its batch is taken: the model, and the seconds that it waited."""
# A small batch beside another of its kind costs a processor nearly as much as a large one, which it becomes if it waits
# for the other to end. Not longer than this, for models that take long.
_LONGEST_HOLD_SECONDS = 0.01


@dataclass
class _Batch:
    opened: float
    """When its first part came, by the monotonic clock."""
    parts: list[Part] = field(default_factory=list)
    size: int = 0


class BatchScheduler:
    """Merges concurrent requests for one version and signature, whose elements have one shape; a Run.

    Of each such kind `max_enqueued_batches` may wait; the last of them is open for more until it is full, or
    `batch_timeout_micros` old and taken. `num_batch_threads` threads run what waits, of all kinds in turn.
    """

    def __init__(self, parameters: BatchingParameters, alone: Run, on_batch: OnBatch, on_taken: OnTaken) -> None:
        """Tasks whose signature or inputs do not allow merging are run by `alone`."""
        self._parameters = parameters
        self._alone = alone
        self._on_batch = on_batch
        self._on_taken = on_taken
        self._timeout = parameters.batch_timeout_micros / 1e6
        self._changed = threading.Condition()  # guards the queues and the results of parts
        self._queues: OrderedDict[Hashable, deque[_Batch]] = OrderedDict()
        self._running: Counter[Hashable] = Counter()
        # One that gives every thread its share is not worth waiting for more.
        self._small = max(1, parameters.max_execution_batch_size // parameters.num_batch_threads)
        for number in range(parameters.num_batch_threads):
            threading.Thread(target=self._work, name=f"batch {number}", daemon=True).start()

    def __call__(self, task: Task) -> None:
        """Let a task wait for its batch.

        Raises StatusError: INVALID_ARGUMENT for more than max_batch_size elements, UNAVAILABLE where too many batches
        wait.
        """
        work = task.work
        size = size_to_merge(work)
        if size is None:
            self._alone(task)
            return
        if size > self._parameters.max_batch_size:
            raise invalid_argument(
                f"Task size {size} is larger than maximum input batch size {self._parameters.max_batch_size}"
            )
        kind = (id(work.servable), work.name, *[each.shape[1:] for each in work.inputs.values()])
        self._enqueue(kind, Split(task, size))

    def _enqueue(self, kind: Hashable, whole: Split) -> None:
        most = self._parameters.max_execution_batch_size
        with self._changed:
            queue = self._queues.setdefault(kind, deque())
            room = most - queue[-1].size if queue else 0
            # Only what is too large for any batch is split, and fills up the open one.
            parts = whole.split(room if room > 0 and whole.size > most else most, most)
            new = len(parts) - (parts[0].size <= room)
            if len(queue) + new > self._parameters.max_enqueued_batches and queue:
                raise StatusError(
                    grpc.StatusCode.UNAVAILABLE,
                    "The batch scheduling queue to which this task was submitted is full",
                )
            before = len(queue)
            for part in parts:
                if not queue or queue[-1].size + part.size > most:
                    queue.append(_Batch(time.monotonic()))
                queue[-1].parts.append(part)
                queue[-1].size += part.size
            # A thread waits for the time at which the open batch may run: nothing new for it, unless that has come.
            if len(queue) > before or self._may_run_from(kind, queue) <= time.monotonic():
                self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while (found := self._next_batch()) is None:
                    self._changed.wait(self._patience())
                kind, batch = found
                self._running[kind] += 1
            try:
                self._run(batch)
            finally:
                with self._changed:
                    self._running[kind] -= 1
                    if not self._running[kind]:
                        del self._running[kind]

    def _run(self, batch: _Batch) -> None:
        # Work whose caller has gone is dropped, and not half of it begun.
        for part in batch.parts:
            if not part.whole.is_wanted():
                part.result = StatusError(grpc.StatusCode.CANCELLED, "the caller is gone")
        parts = [part for part in batch.parts if part.result is None]
        begin = time.monotonic()
        for part in parts:
            self._on_taken(part.work.servable.model, begin - part.whole.queued)
        ran = 0
        try:
            ran = run_batch(parts, self._parameters.allowed_batch_sizes) if parts else 0
        except Exception as error:  # noqa: BLE001 - this thread must go on, and no caller may wait in vain
            for part in parts:
                part.result = from_exception(error)
        with self._changed:
            results = [(part.whole.task, part.whole.result()) for part in batch.parts]
        for task, result in results:
            if result is not None:
                task.finish(result)
        if ran:
            work, size = parts[0].work, sum(part.size for part in parts)
            self._on_batch(work.servable.model, work.api, size, ran, time.monotonic() - begin)

    def _next_batch(self) -> tuple[Hashable, _Batch] | None:
        """Take the next batch that may run; the kinds take turns."""
        now = time.monotonic()
        for kind, queue in self._queues.items():
            if now >= self._may_run_from(kind, queue):
                first = queue.popleft()
                if queue:
                    self._queues.move_to_end(kind)
                else:
                    del self._queues[kind]
                if self._queues:  # another thread shall see whether the next may run as well
                    self._changed.notify()
                return kind, first
        return None

    def _may_run_from(self, kind: Hashable, queue: deque[_Batch]) -> float:
        """Tell the time from which the oldest batch of a kind may run."""
        first = queue[0]
        if len(queue) > 1 or first.size >= self._parameters.max_execution_batch_size:
            return 0.0
        held = kind in self._running and first.size < self._small
        return first.opened + self._timeout + (_LONGEST_HOLD_SECONDS if held else 0.0)

    def _patience(self) -> float | None:
        """Seconds until the first batch may run."""
        times = [self._may_run_from(kind, queue) for kind, queue in self._queues.items()]
        return max(0.0, min(times) - time.monotonic()) if times else None
