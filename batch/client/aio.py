"""The client for services on asyncio."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from batch.client.client import BaseClient, Image, Prediction
from batch.client.exchange import Steps
from batch.client.fields import NumberPrediction
from batch.client.waited_call import WaitedCall

if TYPE_CHECKING:
    import grpc

    from batch.client import wire_pb2 as wire

Result = TypeVar("Result")


class AsyncClient(BaseClient):
    """Asks a model about images, from one event loop and any number of its tasks.

    ```python
    async with AsyncClient("localhost:8500") as client:
        predictions = await client.predict([Path("a.png"), png])
    ```
    """

    async def predict(self, images: Iterable[Image], *, probabilities: bool = False) -> list[Prediction]:
        """Predict the digit in each image. As `Client.predict`; if the task is cancelled, so are its requests."""
        return await wait_async(self._predict(images, probabilities=probabilities))

    async def predict_one(self, image: Image, *, probabilities: bool = False) -> Prediction:
        """Predict the digit in one image. As `predict`."""
        return (await self.predict([image], probabilities=probabilities))[0]

    async def predict_numbers(
        self,
        images: Iterable[Image],
        digits: int | Sequence[int] = 0,
        *,
        alternatives: bool = False,
        boxes: bool = False,
    ) -> list[NumberPrediction]:
        """Read the digits in each image of a field. As `Client.predict_numbers`, and cancelled as `predict`."""
        return await wait_async(self._predict_numbers(images, digits, alternatives=alternatives, boxes=boxes))

    async def status(self) -> dict[int, str]:
        """The state of each version of the model. As `Client.status`."""
        return await asyncio.to_thread(self._status)

    async def close(self) -> None:
        """Close all connections. Calls under way fail."""
        await asyncio.to_thread(self._endpoint.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def wait_async(steps: Steps[Result]) -> Result:
    """Make the steps in this event loop, and return what comes of them. Raises what they raise."""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as done:
                result: Result = done.value
                return result
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif callable(step):
                await asyncio.to_thread(step)
            elif isinstance(step, WaitedCall):
                await asyncio.to_thread(step.exception)
            else:
                await _end_of(step)
    finally:
        # Cancelled: what is under way is, too.
        steps.close()


async def _end_of(call: "grpc.Future[wire.PredictResponse]") -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def tell(_: object) -> None:
        # In a thread of gRPC's; the loop may be closed by now.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(ended.set)

    call.add_done_callback(tell)
    await ended.wait()
