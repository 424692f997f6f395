"""Answers on their way from the threads that compute to the coroutines that wait for them."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from serving.predict.execute import Outputs, Run, Task, Work
from serving.status import StatusError, from_exception

Answer = TypeVar("Answer")


class Answers:
    """Belongs to the event loop in which it is made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: deque[tuple[asyncio.Future[Any], Any]] = deque()
        self._woken = False

    async def of(self, run: Run, work: Work, write: Callable[[Outputs], Answer]) -> Answer:
        """Let `run` do the work; return what `write`, called in another thread, makes of the outputs.

        Cancelling this tells `run` that nobody waits any more. Raises StatusError as `run` does, and for what `write`
        raises.
        """
        future: asyncio.Future[Answer] = self._loop.create_future()

        def finish(result: Outputs | StatusError) -> None:
            if not future.cancelled():
                self._post(future, result if isinstance(result, StatusError) else _written(write, result))

        run(Task(work, lambda: not future.cancelled(), finish))
        return await future

    def _post(self, future: "asyncio.Future[Any]", answer: Any) -> None:  # noqa: ANN401 - of any caller's kind
        """Hand an answer over, from any thread."""
        self._ready.append((future, answer))
        # Waking the loop is a system call: once for all the answers of a batch.
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # first: what is posted from now on is either seen below, or wakes the loop again
        while self._ready:
            future, answer = self._ready.popleft()
            if future.done():
                continue
            if isinstance(answer, StatusError):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def _written(write: Callable[[Outputs], Answer], outputs: Outputs) -> Answer | StatusError:
    try:
        return write(outputs)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
        return from_exception(error)
