"""A server run as scripts for tensorflow_model_server run it, and a model as TensorFlow 1 wrote them."""

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

from tests.serving.rest.test_rest import free_port

if TYPE_CHECKING:
    from tests.serving.conftest import RunServer, Server

VERSION = "00000123"


def write_affine(folder: Path, offset: float) -> Path:
    """Write y = x / 2 + offset as TensorFlow 1 did, fed in the middle of a graph that parses tf.Example; the folder."""
    v1 = tf.compat.v1
    utils, constants = v1.saved_model, v1.saved_model.signature_constants
    builder = utils.Builder(str(folder / VERSION))
    with v1.Session(graph=tf.Graph()) as session:
        slope, shift = (v1.get_variable(n, initializer=value) for n, value in (("slope", 0.5), ("shift", offset)))
        examples = v1.placeholder(tf.string, [None], name="examples")
        x = tf.identity(v1.parse_example(examples, {"x": v1.FixedLenFeature([1], tf.float32)})["x"], name="x")
        y = tf.identity(slope * x + shift, name="y")
        info = utils.build_tensor_info
        session.run(v1.global_variables_initializer())
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signature_def_map={
                "serving_default": utils.build_signature_def(
                    {"x": info(x)}, {"y": info(y)}, constants.PREDICT_METHOD_NAME
                ),
                "regress": utils.build_signature_def(
                    {"inputs": info(examples)}, {"outputs": info(y)}, constants.REGRESS_METHOD_NAME
                ),
            },
        )
    builder.save()
    return folder


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
        deadline = time.monotonic() + 60
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
