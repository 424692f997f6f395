"""gRPC's health service and server reflection."""

import asyncio
import threading
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

# Reflection finds the services' descriptors where these modules have put them.
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

from serving.grpc_api.loop import LoopThread

SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
_DESCRIBED = (prediction_service_pb2.DESCRIPTOR, model_service_pb2.DESCRIPTOR)
_Status = health_pb2.HealthCheckResponse


class Health:
    """Answers grpc.health.v1.Health for the server as a whole, named by nothing, and for each of its services.

    SERVING only while every configured model has a version that serves.
    """

    def __init__(self, server: grpc.aio.Server, loop: LoopThread) -> None:
        """Register with an unstarted server, not serving yet; reflection as well."""
        self._servicer = _Servicer()
        self._loop = loop
        self._lock = threading.Lock()
        self._ready: bool | None = None
        self.set_ready(ready=False)
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)
        names = [file.services_by_name[name].full_name for file in _DESCRIBED for name in file.services_by_name]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)

    def set_ready(self, *, ready: bool) -> None:
        """Say from now on whether requests are welcome; those who watch are told of changes."""
        with self._lock:
            if ready == self._ready:
                return
            self._ready = ready
            self._loop.run(self._set(_Status.SERVING if ready else _Status.NOT_SERVING))

    def shut_down(self) -> None:
        """Say NOT_SERVING, for good."""
        self._loop.run(self._servicer.enter_graceful_shutdown())

    async def _set(self, status: int) -> None:
        for name in ("", *SERVICES):
            await self._servicer.set(name, status)


class _Servicer(health.aio.HealthServicer):  # type: ignore[name-defined,misc] # the library has no types
    """The library's forgets everybody who watches a service as soon as one of them leaves."""

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:  # noqa: ANN401, N802 - as gRPC has it
        condition = self._server_watchers.setdefault(request.service, asyncio.Condition())
        last = None
        async with condition:
            while True:
                status = self._server_status.get(request.service, _Status.SERVICE_UNKNOWN)
                if status != last:
                    await context.write(_Status(status=status))
                last = status
                await condition.wait()
