"""A server run as scripts for tensorflow_model_server run it."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.serving.conftest import READY_SECONDS
from tests.serving.rest.test_rest import free_port

if TYPE_CHECKING:
    from tests.serving.conftest import RunServer, Server

VERSION = "00000123"


class Original:
    """A server started as scripts for tensorflow_model_server start it: on ports and a socket, with its flags."""

    def __init__(self, run_server: "RunServer", socket: Path, *flags: str) -> None:
        self.port, self.rest, self.socket = free_port(), free_port(), socket
        self.address = f"localhost:{self.port}"
        self.server: Server = run_server(
            f"--port={self.port}",
            f"--rest_api_port={self.rest}",
            "--rest_api_timeout_in_ms=5000",
            f"--grpc_socket_path={socket}",
            *flags,
            address=self.address,
        )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Ask for a model that there is none of until the answer is that there is none."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                self.predict(name="intentionally missing")
            except grpc.RpcError as error:
                if "Servable" in (error.details() or ""):
                    return
            time.sleep(0.02)
        pytest.fail(f"not ready in time: {self.server.log}")

    def predict(
        self,
        *,
        name: str = "default",
        signature: str = "",
        shape: tuple[int, ...] = (1,),
        output_filter: tuple[str, ...] = (),
        address: str = "",
    ) -> tuple[float, int, str]:
        """Send x = 2 in a new connection; return y, and the version and signature that the answer names."""
        request = predict_pb2.PredictRequest(output_filter=output_filter)
        request.model_spec.name, request.model_spec.signature_name = name, signature
        x = request.inputs["x"]
        x.dtype = tf.float32.as_datatype_enum
        x.float_val.append(2.0)
        for size in shape:
            x.tensor_shape.dim.add(size=size)
        with grpc.insecure_channel(address or self.address) as channel:
            response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, 5.0)
        (y,) = response.outputs["y"].float_val
        spec = response.model_spec
        assert spec.name == name
        return y, spec.version.value, spec.signature_name

    def get(self, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        """GET, or POST a body; return the JSON, of errors as well."""
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(f"http://localhost:{self.rest}{path}", data, timeout=10) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            return json.load(error)


def of_model(base_path: Path) -> tuple[str, str]:
    return "--model_name=default", f"--model_base_path={base_path}"
