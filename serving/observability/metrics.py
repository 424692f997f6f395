"""Prometheus metrics under TensorFlow Serving's names."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import prometheus_client
from prometheus_client.core import GaugeMetricFamily, Metric
from tensorflow_serving.apis import get_model_status_pb2

from serving.observability.observe import Call

_PREFIX = ":tensorflow:serving:"
_MICROSECONDS = tuple(10 * 1.8**n for n in range(33))  # as the original's, from 10 us on
_WAITS = tuple(100 * 1.2**n for n in range(52))  # the same, from 100 us to about a second
_SIZES = tuple(2.0**n for n in range(14))
_State = get_model_status_pb2.ModelVersionStatus.State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Version(Protocol):
    """What metrics read of one version."""

    @property
    def state(self) -> int:
        """A ModelVersionStatus.State."""


class Models(Protocol):
    """What metrics read of the served models."""

    def knows(self, name: str) -> bool:
        """Whether a model of that name is, or was, configured."""

    def all_states(self) -> Mapping[str, Mapping[int, Version]]:
        """Return the state of every version, by model."""


class Metrics:
    """Counts and measures requests, executions and batches; an observer."""

    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._models: Models | None = None
        self._registry = registry = prometheus_client.CollectorRegistry()
        self._requests = prometheus_client.Counter(
            f"{_PREFIX}request_count", "Requests by model and outcome.", ["model_name", "status"], registry=registry
        )
        self._latency = _histogram(
            registry, "request_latency", "Microseconds from request to answer.", "model_name", "API", "entrypoint"
        )
        self._runtime = _histogram(
            registry, "runtime_latency", "Microseconds in TensorFlow.", "model_name", "API", "runtime"
        )
        self._warmup = _histogram(
            registry, "model_warmup_latency", "Microseconds of warming up.", "model_name", "status"
        )
        self._batch = _histogram(
            registry, "batching_session:processed_batch_size", "Elements of a batch.", "model_name", buckets=_SIZES
        )
        self._padding = _histogram(
            registry, "batching_session:padding_size", "Elements added to a batch.", "model_name", buckets=_SIZES
        )
        self._wait = _histogram(
            registry,
            "batching_session:queuing_latency",
            "Microseconds in the queue for a batch.",
            "model_name",
            buckets=_WAITS,
        )

    def watch(self, models: Models) -> None:
        """Report the state of every version of these models, too."""
        self._models = models
        self._registry.register(_States(models))

    def __call__(self, call: Call) -> None:
        """Count a request that has ended."""
        # A label for each name that anybody may think of would fill the memory.
        model = call.model if self._models and self._models.knows(call.model) else ""
        self._requests.labels(model, call.status.name).inc()
        self._latency.labels(model, call.method, call.entrypoint).observe(call.seconds * 1e6)

    def ran(self, model: str, api: str, seconds: float) -> None:
        """Note an execution of a signature."""
        self._runtime.labels(model, api, "TF2").observe(seconds * 1e6)

    def warmed_up(self, model: str, status: str, seconds: float) -> None:
        """Note a replay of warm-up requests."""
        self._warmup.labels(model, status).observe(seconds * 1e6)

    def waited(self, model: str, seconds: float) -> None:
        """Note that a request, or a part of one, has got its turn to be computed in a batch."""
        self._wait.labels(model).observe(seconds * 1e6)

    def batched(self, model: str, api: str, elements: int, padded: int, seconds: float) -> None:
        """Note a batch that ran at once."""
        self.ran(model, api, seconds)
        self._batch.labels(model).observe(elements)
        self._padding.labels(model).observe(padded - elements)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        # The library ends the names of counters in _total, which the original's do not have.
        text = prometheus_client.generate_latest(self._registry)
        return re.sub(rb"(:tensorflow:serving:[a-z_:]+_count)_total\b", rb"\1", text)


class _States:
    """A collector of the present states."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            f"{_PREFIX}servable_state",
            "1 for the state that a version is in.",
            labels=["model_name", "version", "state"],
        )
        for name, states in self._models.all_states().items():
            for version, state in states.items():
                family.add_metric([name, str(version), _State.Name(state.state)], 1)
        yield family


def _histogram(registry: Any, name: str, text: str, *labels: str, buckets: tuple[float, ...] = _MICROSECONDS) -> Any:  # noqa: ANN401 - kinds of the library
    return prometheus_client.Histogram(f"{_PREFIX}{name}", text, labels, buckets=buckets, registry=registry)
