"""Paths and methods of the REST API, as in TensorFlow Serving's model_servers/http_rest_api_handler.cc."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving.lifecycle.describe import get_model_metadata, get_model_status
from serving.lifecycle.models import Models
from serving.observability.observe import Call
from serving.predict.execute import Run, run_and_wait
from serving.predict.inference.requests import CLASSIFY, REGRESS, Method, count_examples, write_result
from serving.predict.inference.requests import read_request as read_inference_request
from serving.predict.predict import DEFAULT_SIGNATURE, read_request
from serving.rest.read_examples import fill_input
from serving.rest.read_json import fill_inputs, parse_body
from serving.rest.write_json import by_column, by_row, of_classifications, of_regressions
from serving.status import StatusError, from_exception, invalid_argument

_MODEL = r"(?i)/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
_METHOD = re.compile(_MODEL + r":(classify|regress|predict)")
_RESOURCE = re.compile(_MODEL + r"(/metadata)?")
_LARGEST_VERSION = 2**63 - 1

_Code = grpc.StatusCode
HTTP_STATUS = {
    _Code.OK: 200,
    _Code.CANCELLED: 499,
    _Code.UNKNOWN: 500,
    _Code.INVALID_ARGUMENT: 400,
    _Code.DEADLINE_EXCEEDED: 504,
    _Code.NOT_FOUND: 404,
    _Code.ALREADY_EXISTS: 409,
    _Code.PERMISSION_DENIED: 403,
    _Code.UNAUTHENTICATED: 401,
    _Code.RESOURCE_EXHAUSTED: 429,
    _Code.FAILED_PRECONDITION: 400,
    _Code.ABORTED: 409,
    _Code.OUT_OF_RANGE: 400,
    _Code.UNIMPLEMENTED: 501,
    _Code.INTERNAL: 500,
    _Code.UNAVAILABLE: 503,
    _Code.DATA_LOSS: 500,
}


@dataclass(frozen=True)
class Request:
    """What came in, by HTTP."""

    method: str
    path: str
    body: bytes
    deadline: float
    """By the monotonic clock."""
    is_waiting: Callable[[], bool]


def answer_json(error: StatusError) -> bytes:
    """Write the body of an answer other than OK."""
    return json.dumps({"error": error.message}).encode()


class Handler:
    """Answers REST requests for `models`; signatures are run by `run`."""

    def __init__(self, models: Models, run: Run) -> None:
        self._models = models
        self._run = run

    def handle(self, request: Request, call: Call) -> bytes:
        """Return the JSON of an OK answer; `call` learns what was asked of which model.

        Raises StatusError: INVALID_ARGUMENT for a malformed request, and what the RPCs of the same name raise.
        """
        try:
            return json.dumps(self._dispatch(request, call), indent=4).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise from_exception(error) from error

    def _dispatch(self, request: Request, call: Call) -> dict[str, Any]:
        method = _METHOD.fullmatch(request.path)
        resource = _RESOURCE.fullmatch(request.path)
        if request.method == "POST" and method:
            call.method = method[4].capitalize()
            if call.method == "Predict":
                return self._predict(request, method, call)
            if call.method == "Classify":
                return of_classifications(self._infer(CLASSIFY, request, method, call))
            return of_regressions(self._infer(REGRESS, request, method, call))
        if request.method == "GET" and resource:
            call.method = "GetModelMetadata" if resource[4] else "GetModelStatus"
            return self._metadata(resource, call) if resource[4] else self._status(resource, call)
        raise invalid_argument(f"Malformed request: {request.method} {request.path}")

    def _predict(self, http: Request, match: "re.Match[str]", call: Call) -> dict[str, Any]:
        request = predict_pb2.PredictRequest()
        _fill_spec(request.model_spec, match)
        call.read_request(request)
        document = parse_body(http.body)
        request.model_spec.signature_name = document.get("signature_name", "")
        with self._models.servable(request.model_spec) as servable:
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            if name not in servable.signatures:
                raise invalid_argument(f'Serving signature name: "{name}" not found in signature def')
            is_row_form = fill_inputs(document, servable.signatures[name].definition, request)
            call.read_request(request)
            seconds = max(0.0, http.deadline - time.monotonic())
            outputs = run_and_wait(self._run, read_request(servable, request), http.is_waiting, seconds)
        call.version, call.signature = servable.version, name
        return by_row(outputs) if is_row_form else by_column(outputs)

    def _infer(self, method: Method, http: Request, match: "re.Match[str]", call: Call) -> Any:  # noqa: ANN401 - generated classes have no types
        request = method.request()
        _fill_spec(request.model_spec, match)
        call.read_request(request)
        document = parse_body(http.body)
        request.model_spec.signature_name = call.signature = document.get("signature_name", "")
        fill_input(document, request.input)
        with self._models.servable(request.model_spec) as servable:
            work = read_inference_request(method, servable, request)
            call.elements = count_examples(work)
            seconds = max(0.0, http.deadline - time.monotonic())
            outputs = run_and_wait(self._run, work, http.is_waiting, seconds)
        call.version, call.signature = servable.version, work.name
        return write_result(method, work, outputs)

    def _status(self, match: "re.Match[str]", call: Call) -> dict[str, Any]:
        request = get_model_status_pb2.GetModelStatusRequest()
        _fill_spec(request.model_spec, match)
        call.read_request(request)
        return _to_dict(get_model_status(self._models, request))

    def _metadata(self, match: "re.Match[str]", call: Call) -> dict[str, Any]:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        _fill_spec(request.model_spec, match)
        call.read_request(request)
        response = get_model_metadata(self._models, request)
        call.version = response.model_spec.version.value
        answer = _to_dict(response)
        for value in answer["metadata"].values():
            del value["@type"]  # the original writes what is in the Any as if it stood there
        return answer


def _fill_spec(spec: Any, match: "re.Match[str]") -> None:  # noqa: ANN401 - generated classes have no types
    spec.name = match[1]
    if match[2]:
        if int(match[2]) > _LARGEST_VERSION:
            raise invalid_argument(f"Failed to convert version: {match[2]} to numeric.")
        spec.version.value = int(match[2])
    if match[3]:
        spec.version_label = match[3]


def _to_dict(message: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
