"""One call at a time, without the threads that gRPC needs for several."""

from collections.abc import Callable
from typing import Generic, TypeVar

import grpc

Response = TypeVar("Response")


class WaitedCall(Generic[Response]):
    """A call that is sent once its outcome is asked for, by the thread that asks: stands for a `grpc.Future`.

    gRPC starts a thread for a future and hands the answer over from there: of a call of some milliseconds, that is
    a sixth.

    Args:
        send: makes the call and returns the response; raises RpcError.
    """

    def __init__(self, send: Callable[[], Response]) -> None:
        self._send = send
        self._outcome: tuple[Response | None, grpc.RpcError | None] | None = None

    def exception(self) -> grpc.RpcError | None:
        """Wait for the outcome; None if there is a response."""
        return self._wait()[1]

    def result(self) -> Response:
        """Wait for the response. Raises RpcError if there is none."""
        response, error = self._wait()
        if error:
            raise error
        assert response is not None  # noqa: S101 - one of the two is there
        return response

    def cancel(self) -> bool:
        """Nothing is under way while nobody waits."""
        return False

    def _wait(self) -> tuple[Response | None, grpc.RpcError | None]:
        if self._outcome is None:
            try:
                self._outcome = self._send(), None
            except grpc.RpcError as error:
                self._outcome = None, error
        return self._outcome
