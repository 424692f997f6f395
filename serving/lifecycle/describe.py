"""What GetModelStatus, GetModelMetadata and HandleReloadConfigRequest answer, for gRPC and REST alike."""

from typing import Any

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_management_pb2

from serving.lifecycle.model import VersionState
from serving.lifecycle.model_config import from_message
from serving.lifecycle.models import Models
from serving.observability import log
from serving.status import StatusError, invalid_argument

_SIGNATURE_DEF = "signature_def"


def get_model_metadata(
    models: Models, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Tell a version's signatures, as in servables/tensorflow/get_model_metadata_impl.cc."""
    check_model_spec(request)
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
    """Tell the state of one version or of all, as in model_servers/get_model_status_impl.cc.

    As there, only a number names one version: a label is not looked at.
    """
    check_model_spec(request)
    spec = request.model_spec
    states = models.states(spec.name)
    if spec.HasField("version"):
        version = int(spec.version.value)
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


def handle_reload_config(
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


def check_model_spec(request: Any) -> None:  # noqa: ANN401 - generated classes have no types
    """Raise StatusError INVALID_ARGUMENT for a request that names no model."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
