"""A scripted server: real gRPC on a socket, answering as a test says."""

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from batch.client import wire_pb2 as wire
from batch.client.tensors import AVAILABLE, DT_FLOAT, DT_INT32, DT_INT64, DT_STRING, END
from exporter.contract import NO_READING

Answer = Callable[..., wire.PredictResponse]
Script = Callable[[int, wire.PredictRequest, grpc.ServicerContext], object]

SERVING_DEFAULT = {"digit": DT_INT64, "confidence": DT_FLOAT, "error": DT_STRING, "probabilities": DT_FLOAT}


def answer(request: wire.PredictRequest, *, version: int = 1) -> wire.PredictResponse:
    """What a model says that reads the last byte of each image as its digit, modulo 10, with confidence 0.5."""
    images = request.inputs["image_bytes"].string_val
    response = wire.PredictResponse()
    response.model_spec.version.value = version
    digits, confidences, errors = (response.outputs[name] for name in ("digit", "confidence", "error"))
    for tensor, dtype in ((digits, DT_INT64), (confidences, DT_FLOAT), (errors, DT_STRING)):
        tensor.dtype = dtype
        tensor.tensor_shape.dim.add().size = len(images)
    digits.int64_val.extend(image[-1] % 10 if image else 0 for image in images)
    confidences.float_val.extend(0.5 for _ in images)
    errors.string_val.extend(b"" for _ in images)
    if "probabilities" in request.output_filter:
        shares = response.outputs["probabilities"]
        shares.dtype = DT_FLOAT
        shares.tensor_shape.dim.add().size = len(images)
        shares.tensor_shape.dim.add().size = 10
        for digit in digits.int64_val:
            shares.float_val.extend(0.5 if place == digit else 0.5 / 9 for place in range(10))
    return response


NUMBERS = {
    "text": DT_STRING,
    "confidence": DT_FLOAT,
    "alternatives": DT_STRING,
    "alternative_confidence": DT_FLOAT,
    "count": DT_INT32,
    "boxes": DT_FLOAT,
    "error": DT_STRING,
}


def numbers_answer(request: wire.PredictRequest, *, version: int = 1) -> wire.PredictResponse:
    """What a model says that takes the last line of an image for its readings, separated by blanks, the best first.

    They have confidences 0.75, 0.125, 0.0625 and so on. A reading that is alone has a second one with one more zero.
    With expected digits, readings are cut to so many; shorter ones are none. Digit number i is at 10 i, 20 pixels high
    and 10 wide.
    """
    images = request.inputs["image_bytes"].string_val
    found: list[list[bytes]] = []
    for image, digits in zip(images, request.inputs["digits"].int_val, strict=True):
        readings = image.rsplit(b"\n", 1)[-1].split()
        found.append([reading[:digits] if digits else reading for reading in readings if len(reading) >= digits])
    texts = [readings[0] if readings else b"" for readings in found]
    found = [[*readings, readings[0] + b"0"] if len(readings) == 1 else readings for readings in found]
    shares = [[0.75, *(0.5**number for number in range(3, 7))][: len(readings)] for readings in found]
    boxes = np.zeros([len(texts), 32, 4], np.float32)
    for text, row in zip(texts, boxes, strict=True):
        row[: len(text)] = [[0, 10 * place, 20, 10 * place + 10] for place in range(len(text))]
    values: dict[str, tuple[list[int], Any]] = {
        "text": ([], texts),
        "confidence": ([], [0.75 if text else 0 for text in texts]),
        "alternatives": ([5], [each for readings in found for each in (*readings, *[b""] * (5 - len(readings)))]),
        "alternative_confidence": ([5], [each for row in shares for each in (*row, *[0.0] * (5 - len(row)))]),
        "count": ([], [len(text) for text in texts]),
        "boxes": ([32, 4], boxes.ravel().tolist()),
        "error": ([], [b"" if text else NO_READING.encode() for text in texts]),
    }
    response = wire.PredictResponse()
    response.model_spec.version.value = version
    for name in request.output_filter:
        shape, content = values[name]
        tensor = response.outputs[name]
        tensor.dtype = NUMBERS[name]
        for size in (len(texts), *shape):
            tensor.tensor_shape.dim.add().size = size
        field = {DT_STRING: "string_val", DT_FLOAT: "float_val", DT_INT32: "int_val"}[tensor.dtype]
        getattr(tensor, field).extend(content)
    return response


class ScriptedServer:
    """Answers Predict by a script, and everything else as a server with model `digits` does."""

    def __init__(self, address: str, credentials: grpc.ServerCredentials | None = None) -> None:
        self.address = address
        self.calls = 0
        self.version = 1
        self.sizes: list[int] = []
        self.script: Script = lambda _number, _request, _context: None
        self.answer: Answer = answer
        """Of the request and by keyword its `version`."""
        self.signatures = wire.SignatureDefMap()
        self.offer("serving_default", {"image_bytes": DT_STRING}, SERVING_DEFAULT)
        self.on_other_calls: Callable[[grpc.ServicerContext], object] = lambda _context: None
        """Called at each GetModelStatus and GetModelMetadata."""
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        handlers: dict[str, tuple[Callable[..., Any], Any]] = {
            "/tensorflow.serving.PredictionService/Predict": (self._predict, wire.PredictRequest),
            "/tensorflow.serving.PredictionService/GetModelMetadata": (self._metadata, wire.GetModelMetadataRequest),
            "/tensorflow.serving.ModelService/GetModelStatus": (self._status, wire.GetModelStatusRequest),
        }
        for path, (method, request) in handlers.items():
            service, name = path[1:].split("/")
            handler = grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=request.FromString,
                response_serializer=lambda response: response.SerializeToString(),
            )
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        self._server.start()

    def offer(self, signature: str, inputs: dict[str, int], outputs: dict[str, int]) -> None:
        """Show a signature, its tensors with their dtypes."""
        for name, dtype in inputs.items():
            self.signatures.signature_def[signature].inputs[name].dtype = dtype
        for name, dtype in outputs.items():
            self.signatures.signature_def[signature].outputs[name].dtype = dtype

    def stop(self) -> None:
        """Stop at once."""
        self._server.stop(None).wait()

    def _predict(self, request: wire.PredictRequest, context: grpc.ServicerContext) -> wire.PredictResponse:
        with self._lock:
            number = self.calls
            self.calls += 1
            self.sizes.append(len(request.inputs["image_bytes"].string_val))
        self.script(number, request, context)
        if request.model_spec.HasField("version") and request.model_spec.version.value != self.version:
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(digits, 1)")
        return self.answer(request, version=self.version)

    def _status(
        self, request: wire.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> wire.GetModelStatusResponse:
        self.on_other_calls(context)
        if request.model_spec.name != "digits":
            context.abort(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {request.model_spec.name}")
        versions = [wire.ModelVersionStatus(version=self.version, state=AVAILABLE)]
        # TensorFlow Serving goes on listing versions that it has unloaded.
        versions += [wire.ModelVersionStatus(version=old, state=END) for old in range(1, self.version)]
        if request.model_spec.HasField("version"):
            versions = [each for each in versions if each.version == request.model_spec.version.value]
        return wire.GetModelStatusResponse(model_version_status=versions)

    def _metadata(
        self, _request: wire.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> wire.GetModelMetadataResponse:
        self.on_other_calls(context)
        response = wire.GetModelMetadataResponse()
        response.metadata["signature_def"].value = self.signatures.SerializeToString()
        return response


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[ScriptedServer]:
    """A scripted server on a Unix socket."""
    server = ScriptedServer(f"unix:{tmp_path}/scripted.sock")
    yield server
    server.stop()


@pytest.fixture
def reader(scripted: ScriptedServer) -> ScriptedServer:
    """The scripted server, with a model that also has the signature `numbers`; it answers that one alone."""
    scripted.offer("numbers", {"image_bytes": DT_STRING, "digits": DT_INT32}, NUMBERS)
    scripted.answer = numbers_answer
    return scripted
