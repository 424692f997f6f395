"""The client of a server: `Client` and `AsyncClient` for other services, and what digits-batch does with the same code.

Install the thin client (`pip install digits`); it needs no TensorFlow.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch.client.aio import AsyncClient
    from batch.client.client import Client, Image, Prediction
    from batch.client.endpoint import ServerError
    from batch.client.fields import Box, NumberPrediction
    from batch.client.security import Security, read_security
    from exporter.command import UserError

__all__ = [
    "AsyncClient",
    "Box",
    "Client",
    "Image",
    "NumberPrediction",
    "Prediction",
    "Security",
    "ServerError",
    "UserError",
    "read_security",
]

_PLACES = {
    "AsyncClient": "batch.client.aio",
    "Box": "batch.client.fields",
    "Client": "batch.client.client",
    "Image": "batch.client.client",
    "NumberPrediction": "batch.client.fields",
    "Prediction": "batch.client.client",
    "Security": "batch.client.security",
    "ServerError": "batch.client.endpoint",
    "UserError": "exporter.command",
    "read_security": "batch.client.security",
}


def __getattr__(name: str) -> object:
    # Late, as command lines import light parts of this package, and gRPC takes a tenth of a second.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value: object = getattr(import_module(_PLACES[name]), name)
    return value
