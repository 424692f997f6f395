"""gRPC's health service and server reflection."""

import threading

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

# Reflection finds the services' descriptors where these modules have put them.
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
_DESCRIBED = (prediction_service_pb2.DESCRIPTOR, model_service_pb2.DESCRIPTOR)


class Health:
    """Answers grpc.health.v1.Health for the server as a whole, named by nothing, and for each of its services.

    SERVING only while every configured model has a version that serves.
    """

    def __init__(self, server: grpc.Server) -> None:
        """Register with an unstarted server, not serving yet; reflection as well."""
        self._servicer = health.HealthServicer()
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
            status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
            for name in ("", *SERVICES):
                self._servicer.set(name, status)

    def shut_down(self) -> None:
        """Say NOT_SERVING, for good."""
        self._servicer.enter_graceful_shutdown()
