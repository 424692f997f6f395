"""PredictionService and ModelService: which model a call means, and what each method answers.

Methods that are not here are answered UNIMPLEMENTED by gRPC itself.
"""

from collections.abc import Callable
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from serving import log
from serving.execute import Caller, Run
from serving.model import VersionState
from serving.model_config import from_message
from serving.models import Models
from serving.observe import Call, Observers, UnderWay
from serving.predict import predict
from serving.status import StatusError, answer, invalid_argument

_SIGNATURE_DEF = "signature_def"
_LONGEST_DEADLINE_SECONDS = 1e6


def add_services(server: grpc.Server, models: Models, run: Run, observers: Observers, under_way: UnderWay) -> None:
    """Register tensorflow.serving.PredictionService and ModelService, answering for `models`, with a server.

    Predict requests are run by `run`; `observers` are told of each call, and `under_way` counts them.
    """

    def method(name: str, request_type: Any, call: Callable[[Any, grpc.ServicerContext], Any]) -> Any:  # noqa: ANN401 - generated classes have no types
        def handle(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401 - the same
            with under_way:
                return answer(
                    context, lambda: _observed(name, request, context, lambda: call(request, context), observers)
                )

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=request_type.FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )

    methods = {
        "PredictionService": {
            "Predict": (predict_pb2.PredictRequest, lambda request, context: _predict(models, run, request, context)),
            "GetModelMetadata": (
                get_model_metadata_pb2.GetModelMetadataRequest,
                lambda request, _: get_model_metadata(models, request),
            ),
        },
        "ModelService": {
            "GetModelStatus": (
                get_model_status_pb2.GetModelStatusRequest,
                lambda request, _: get_model_status(models, request),
            ),
            "HandleReloadConfigRequest": (
                model_management_pb2.ReloadConfigRequest,
                lambda request, context: _handle_reload_config(models, request, _seconds_left(context)),
            ),
        },
    }
    for service, entries in methods.items():
        handlers = {name: method(name, request_type, call) for name, (request_type, call) in entries.items()}
        generic = grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", handlers)
        server.add_generic_rpc_handlers((generic,))


def _observed(
    method: str,
    request: Any,  # noqa: ANN401 - generated classes have no types
    context: grpc.ServicerContext,
    answer_it: Callable[[], Any],
    observers: Observers,
) -> Any:  # noqa: ANN401 - the same
    """Answer a request; tell the observers how it went."""
    call = Call("GRPC", method, context.peer())
    call.read_request(request)
    try:
        response = answer_it()
    except StatusError as error:
        call.end(observers, error.code)
        raise
    except Exception:
        call.end(observers, grpc.StatusCode.UNKNOWN)
        raise
    call.read_response(response)
    call.end(observers)
    return response


def _predict(
    models: Models, run: Run, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
) -> predict_pb2.PredictResponse:
    _check_model_spec(request)
    with models.servable(request.model_spec) as servable:
        return predict(servable, request, run, Caller(context.is_active, lambda: _seconds_left(context)))


def get_model_metadata(
    models: Models, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Tell a version's signatures, as in servables/tensorflow/get_model_metadata_impl.cc."""
    _check_model_spec(request)
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != _SIGNATURE_DEF:
            raise invalid_argument(f"Metadata field {field} is not supported")
    with models.servable(request.model_spec) as servable:
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = servable.version
        response.metadata[_SIGNATURE_DEF].Pack(servable.signature_defs)
        return response


def get_model_status(
    models: Models, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """Tell the state of one version or of all, as in model_servers/get_model_status_impl.cc."""
    _check_model_spec(request)
    spec = request.model_spec
    states = models.states(spec.name)
    version = models.version(spec)
    if version is not None:
        if version not in states:
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"Could not find version {version} of model {spec.name}")
        states = {version: states[version]}
    if not states:
        raise StatusError(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, state in states.items():
        _add_version_status(response, version, state)
    return response


def _add_version_status(
    response: get_model_status_pb2.GetModelStatusResponse, version: int, state: VersionState
) -> None:
    entry = response.model_version_status.add(version=version, state=state.state)
    entry.status.SetInParent()  # a healthy version has a status, too: OK
    if state.error:
        entry.status.error_code = state.error.code.value[0]
        entry.status.error_message = state.error.message


def _handle_reload_config(
    models: Models, request: model_management_pb2.ReloadConfigRequest, seconds: float | None
) -> model_management_pb2.ReloadConfigResponse:
    """Change what is served, as in model_servers/model_service_impl.cc: a failure is told in the response's status."""
    response = model_management_pb2.ReloadConfigResponse()
    response.status.SetInParent()
    try:
        if not request.HasField("config") or request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerCore config must be a ModelConfigList; it is only legal to transition from one to another."
            )
        models.reload(from_message(request.config), seconds)
    except StatusError as error:
        log.event(f"HandleReloadConfigRequest failed: {error.message}")
        response.status.error_code = error.code.value[0]
        response.status.error_message = error.message
    return response


def _check_model_spec(request: Any) -> None:  # noqa: ANN401 - generated classes have no types
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")


def _seconds_left(context: grpc.ServicerContext) -> float | None:
    """Time until the caller's deadline; None without one, which gRPC tells as some billions of years."""
    seconds = context.time_remaining()
    return None if seconds is None or seconds > _LONGEST_DEADLINE_SECONDS else max(0.0, seconds)
