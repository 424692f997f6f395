"""All served models: what is configured, which model and version a request means. TensorFlow Serving's ServerCore."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
from tensorflow_serving.apis import get_model_status_pb2

from serving.lifecycle.model import LoadOptions, Model, VersionState
from serving.lifecycle.model_config import ModelConfig
from serving.predict.servable import Servable
from serving.status import StatusError, invalid_argument

_AVAILABLE = get_model_status_pb2.ModelVersionStatus.State.AVAILABLE


class Models:
    """The models of the current configuration, and what is known of earlier ones."""

    def __init__(self, options: LoadOptions, *, allow_version_labels_for_unavailable_models: bool) -> None:
        self._options = options
        self._allow_unavailable = allow_version_labels_for_unavailable_models
        self._reloading = threading.Lock()  # one configuration after the other
        self._models: dict[str, Model] = {}
        self._configs: Mapping[str, ModelConfig] = {}
        self._labels: Mapping[str, Mapping[str, int]] = {}
        self._starting = True

    def start(self, configs: Sequence[ModelConfig]) -> None:
        """Serve the first configuration; return once each of its models serves or is found broken.

        Raises StatusError as `configure`.
        """
        self.configure(configs)
        for config in configs:
            self._models[config.name].wait_until_settled(None)
        self._starting = False

    def configure(self, configs: Sequence[ModelConfig]) -> list[str]:
        """Serve from now on what `configs` says, and nothing else; return the names that are new.

        Does not wait for anything to load. Raises StatusError, and changes nothing: INVALID_ARGUMENT for a base path
        that does not exist, FAILED_PRECONDITION for a label of a version that is not AVAILABLE.
        """
        for config in configs:
            if not config.base_path.is_dir():
                raise invalid_argument(f"Could not find base path {config.base_path} for servable {config.name}")
        labels = {config.name: self._check_labels(config) for config in configs}
        new = [config.name for config in configs if config.name not in self._configs]
        old = self._configs
        self._configs, self._labels = {config.name: config for config in configs}, labels
        for config in configs:
            if config.name not in self._models:
                self._models[config.name] = Model(config.name, self._options)
            if old.get(config.name) != config:
                self._models[config.name].configure(config)
        for name in set(old) - set(self._configs):
            self._models[name].configure(None)
        self._options.on_changed()
        return new

    def are_configured(self, configs: Sequence[ModelConfig]) -> bool:
        """Whether `configs` is what the last `configure` was given."""
        return {config.name: config for config in configs} == self._configs

    def reload(self, configs: Sequence[ModelConfig], seconds: float | None = None) -> None:
        """Change the configuration and wait, at most so many seconds, until it is in force.

        Raises StatusError: as `configure`; UNKNOWN if a new model has no version that can be loaded; DEADLINE_EXCEEDED.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        with self._reloading:
            new = self.configure(configs)
            for config in configs:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if not self._models[config.name].wait_until_settled(left):
                    text = f"model {config.name} did not load in time; it goes on loading"
                    raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, text)
            failed = [text for name in new if (text := self._why_not_ready(name))]
            if failed:
                text = "".join(f"{{{each}}}, " for each in failed)
                raise StatusError(
                    grpc.StatusCode.UNKNOWN, f"{len(failed)} servable(s) did not become available: {{{text}}}"
                )

    @contextmanager
    def servable(self, spec: Any) -> Iterator[Servable]:  # noqa: ANN401 - generated classes have no types
        """Hold the servable that a ModelSpec means; errors as in model_servers/server_core.cc.

        Raises StatusError: INVALID_ARGUMENT for a spec without a name or with an unknown label, else as Model.servable;
        UNAVAILABLE for an unknown model while the first ones are loaded, since the original answers nobody before.
        """
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        version = self.version(spec)
        model = self._models.get(spec.name)
        if model is None and self._starting:
            raise StatusError(grpc.StatusCode.UNAVAILABLE, "the server is starting; try again")
        if model is None:
            wanted = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        with model.servable(version) as servable:
            yield servable

    def version(self, spec: Any) -> int | None:  # noqa: ANN401 - generated classes have no types
        """Return the version that a ModelSpec names by number or label; None for the newest.

        Raises StatusError INVALID_ARGUMENT for an unknown label.
        """
        if spec.version_label:
            try:
                return self._labels[spec.name][spec.version_label]
            except KeyError:
                raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}") from None
        return int(spec.version.value) if spec.HasField("version") else None

    def states(self, name: str) -> dict[int, VersionState]:
        """Return the state of every version of a model that was ever seen; empty for an unknown model."""
        model = self._models.get(name)
        return model.states() if model else {}

    def knows(self, name: str) -> bool:
        """Whether a model of that name is, or was, configured."""
        return name in self._models

    def all_states(self) -> dict[str, dict[int, VersionState]]:
        """Return the same for every model."""
        return {name: model.states() for name, model in list(self._models.items())}

    def are_ready(self) -> bool:
        """Whether each configured model has a version that serves."""
        return all(self._models[name].is_ready() for name in self._configs)

    def stop(self) -> None:
        """Load no further versions."""
        for model in list(self._models.values()):
            model.stop()

    def _check_labels(self, config: ModelConfig) -> Mapping[str, int]:
        states = self.states(config.name)
        for label, version in config.labels.items():
            assigned = self._labels.get(config.name, {}).get(label, version)
            if self._allow_unavailable and assigned == version:
                continue
            if version not in states or states[version].state != _AVAILABLE:
                raise StatusError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {config.name}, which is not currently "
                    "available for inference",
                )
        return config.labels

    def _why_not_ready(self, name: str) -> str:
        if self._models[name].is_ready():
            return ""
        errors = {version: state.error for version, state in self.states(name).items() if state.error}
        if not errors:
            return f"{{name: {name}}} due to error: no version under {self._configs[name].base_path}"
        newest = max(errors)
        return f"{{name: {name} version: {newest}}} due to error: {errors[newest].message}"
