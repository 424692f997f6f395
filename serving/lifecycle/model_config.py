"""Which models are served: TensorFlow Serving's ModelServerConfig, checked, and the text file that holds it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from tensorflow_serving.config import model_server_config_pb2

from exporter.command import UserError
from serving.config_file import read_config_file
from serving.lifecycle.versions import local_folder
from serving.status import StatusError, invalid_argument

_PLATFORM = "tensorflow"
_TYPES = model_server_config_pb2.ModelType


@dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions on disk are served: the `latest` ones, those named by `specific`, or all."""

    latest: int | None = 1
    """How many of the newest; None: no such limit."""
    specific: frozenset[int] | None = None
    """Only these; None: any."""

    def choose(self, found: Collection[int]) -> list[int]:
        """List the versions that may be served, the newest first; at most `latest` of those that load are."""
        return sorted((v for v in found if self.specific is None or v in self.specific), reverse=True)


@dataclass(frozen=True)
class ModelConfig:
    """One model: where its versions lie, which are served, and names for some of them."""

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)
    """Label: version."""


def read_model_config_file(path: Path) -> tuple[ModelConfig, ...]:
    """Read --model_config_file, a ModelServerConfig in protobuf's text form.

    Raises UserError if it cannot be read, is no such message, or asks for what StatusError is raised for below.
    """
    message = read_config_file(path, "--model_config_file", model_server_config_pb2.ModelServerConfig())
    try:
        return from_message(message)
    except StatusError as error:
        raise UserError(f"--model_config_file {path}: {error.message}") from None


def from_message(message: model_server_config_pb2.ModelServerConfig) -> tuple[ModelConfig, ...]:
    """Check a ModelServerConfig as model_servers/server_core.cc does; an empty one has no models.

    Raises StatusError: FAILED_PRECONDITION for a custom_model_config, INVALID_ARGUMENT for what cannot be served.
    """
    if message.HasField("custom_model_config"):
        raise StatusError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "Cannot transition to requested config. It is only legal to transition from one ModelConfigList to "
            "another.",
        )
    configs: dict[str, ModelConfig] = {}
    for entry in message.model_config_list.config:
        if entry.name in configs:
            raise invalid_argument(f"Illegal to list model {entry.name} multiple times in config list")
        configs[entry.name] = _one_model(entry)
    return tuple(configs.values())


def _one_model(entry: model_server_config_pb2.ModelConfig) -> ModelConfig:
    if not entry.name:
        raise invalid_argument("a model in the config list has no name")
    _check_platform(entry)
    if entry.HasField("logging_config"):
        raise invalid_argument(f"Model {entry.name} has a logging_config, which this server does not honour")
    try:
        path = local_folder(entry.base_path)
    except ValueError as error:
        raise invalid_argument(
            f"Could not find base path {entry.base_path} for servable {entry.name} with error {error}"
        ) from None
    if not path.is_absolute():
        raise invalid_argument(
            f"Expected model {entry.name} to have an absolute path or URI; got base_path()={entry.base_path}"
        )
    labels = dict(sorted(entry.version_labels.items()))
    return ModelConfig(entry.name, path, _policy(entry), labels)


def _check_platform(entry: model_server_config_pb2.ModelConfig) -> None:
    if entry.model_platform and entry.model_type != _TYPES.MODEL_TYPE_UNSPECIFIED:
        raise invalid_argument("Illegal setting both ModelServerConfig::model_type (deprecated) and model_platform.")
    if not entry.model_platform and entry.model_type == _TYPES.MODEL_TYPE_UNSPECIFIED:
        raise invalid_argument("Illegal setting neither ModelServerConfig::model_type (deprecated) nor model_platform.")
    platform = entry.model_platform or _TYPES.Name(entry.model_type).lower()
    if platform != _PLATFORM:
        raise invalid_argument(f"Model {entry.name} requests unsupported platform {platform}")


def _policy(entry: model_server_config_pb2.ModelConfig) -> VersionPolicy:
    policy = entry.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return VersionPolicy(latest=None)
    if choice == "specific":
        if not policy.specific.versions:
            raise invalid_argument(
                f"Model {entry.name}: a specific version policy needs at least one of specific.versions"
            )
        return VersionPolicy(latest=None, specific=frozenset(policy.specific.versions))
    # Zero is what the original takes for the default.
    return VersionPolicy(latest=policy.latest.num_versions or 1)
