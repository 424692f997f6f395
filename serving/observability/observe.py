"""What is known of a request once it is answered; metrics and the access log are made of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc


@dataclass
class Call:
    """One request, gRPC or REST."""

    entrypoint: str
    """`GRPC` or `REST`."""
    method: str
    """Name of the RPC that was called, or that the REST request stands for."""
    peer: str
    """Address of the caller."""
    model: str = ""
    version: int | None = None
    """The version that answered, if one did."""
    signature: str = ""
    elements: int | None = None
    """Size of dimension 0 of the first input; None where there is none."""
    status: grpc.StatusCode = grpc.StatusCode.OK
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def read_request(self, request: Any) -> None:  # noqa: ANN401 - generated classes have no types
        """Take what a request message says of itself."""
        if hasattr(request, "model_spec"):
            self.model = request.model_spec.name
            self.signature = request.model_spec.signature_name
        for tensor in getattr(request, "inputs", {}).values():
            self.elements = tensor.tensor_shape.dim[0].size if tensor.tensor_shape.dim else None
            break

    def end(self, observers: "Observers", status: grpc.StatusCode = grpc.StatusCode.OK) -> None:
        """Note how the request ended, and tell the observers."""
        self.status = status
        self.seconds = time.monotonic() - self.started
        for observe in observers:
            observe(self)


Observers = list[Callable[[Call], None]]
"""Each is told of every call when it has ended; from any thread."""


class UnderWay:
    """Counts the gRPC requests that are being answered, in the event loop's thread, for the drain."""

    def __init__(self) -> None:
        self._count = 0

    def __enter__(self) -> None:
        """One more."""
        self._count += 1

    def __exit__(self, *_: object) -> None:
        """One less."""
        self._count -= 1

    def any(self) -> bool:
        """Whether there are any."""
        return self._count > 0
