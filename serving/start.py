"""Everything behind the ports, put together in a thread: TensorFlow is imported, services are added, models loaded."""

import asyncio
import gc
import socket
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc

from exporter.command import UserError, how_to_install, quiet_tensorflow
from serving.command.settings import Settings
from serving.grpc_api.loop import LoopThread
from serving.lifecycle.model_config import ModelConfig
from serving.observability import log
from serving.observability.access_log import AccessLog
from serving.observability.observe import Observers, UnderWay
from serving.status import StatusError
from serving.stop import StopRequests

if TYPE_CHECKING:
    from serving.grpc_api.health import Health
    from serving.lifecycle.config_watch import ConfigWatch
    from serving.lifecycle.model import LoadOptions
    from serving.lifecycle.models import Models
    from serving.observability.metrics import Metrics
    from serving.predict.execute import Run
    from serving.predict.servable import Servable
    from serving.rest.server import RestServer

FAILED = "failure to start"
# REST requests that may wait for a thread.
_WAITING_REQUESTS = 1000
_LOOK_SECONDS = 0.05
_QUIET_LOOKS = 3


class Start(threading.Thread):
    """Starts the server and its models, while the main thread already waits for requests to stop.

    `http` listens for REST already; None: there is none. `addresses` is for the log.
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        loop: LoopThread,
        http: socket.socket | None,
        settings: Settings,
        configs: Sequence[ModelConfig],
        addresses: str,
        stop: StopRequests,
    ) -> None:
        super().__init__(name="start", daemon=True)
        self.error: Exception | None = None
        self._server = server
        self._loop = loop
        self._http = http
        self._settings = settings
        self._configs = configs
        self._addresses = addresses
        self._stop_requests = stop
        self._models: Models | None = None
        self._config_watch: ConfigWatch | None = None
        self._health: Health | None = None
        self._rest: RestServer | None = None
        self._metrics: Metrics | None = None
        self._under_way = UnderWay()
        self._draining = False

    def run(self) -> None:
        """Start everything; on failure keep `error` and ask the main thread to stop."""
        try:
            self._run()
        except ImportError as error:
            self._fail(UserError(f"TensorFlow cannot be imported: {error}; {how_to_install('serve')}"))
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self._fail(error)

    def _run(self) -> None:
        _import_tensorflow()
        # These import TensorFlow, which takes seconds.
        from serving.grpc_api.health import Health  # noqa: PLC0415 - the same
        from serving.lifecycle.models import Models  # noqa: PLC0415 - the same
        from serving.observability.metrics import Metrics  # noqa: PLC0415 - the same

        settings = self._settings
        _set_up_tensorflow(settings.tensorflow_intra_op_parallelism, settings.tensorflow_inter_op_parallelism)
        if settings.metrics_path:
            self._metrics = Metrics()
        self._models = models = Models(
            self._load_options(),
            allow_version_labels_for_unavailable_models=settings.allow_version_labels_for_unavailable_models,
        )
        observers: Observers = [self._metrics] if self._metrics else []
        if settings.access_log:
            observers.append(AccessLog(settings.access_log))
        if self._metrics:
            self._metrics.watch(models)
        run = self._make_run()
        self._health = Health(self._server, self._loop)
        self._loop.run(self._serve(models, run, observers))
        if self._http:
            self._rest = self._make_rest(models, run, observers)
            self._loop.run(self._rest.start(self._http))
        # What is imported by now stays for good; looking for garbage in it stops all requests for a tenth of a second.
        gc.freeze()
        try:
            models.start(self._configs)
        except StatusError as error:
            raise UserError(f"--model_config_file {settings.model_config_file}: {error.message}") from None
        self._watch_config(models)

    def drain(self, reason: str, seconds: float) -> None:
        """Turn health off, load nothing more, and let what is under way finish, so many seconds at most."""
        self._draining = True
        if self._health:
            self._health.shut_down()
        if self._config_watch:
            self._config_watch.stop()
        if self._models:
            self._models.stop()
        self._loop.run(self._stop(reason, seconds))

    async def _stop(self, reason: str, seconds: float) -> None:
        stopping = asyncio.ensure_future(self._server.stop(seconds))
        await asyncio.sleep(0)  # it has begun: nobody new is let in
        log.event(f"draining: {reason}")
        if self._rest:
            await self._rest.stop(seconds)
        quiet = 0
        # Those who watch the health service would keep their calls open for ever: only requests are waited for.
        while quiet < _QUIET_LOOKS and not stopping.done():
            await asyncio.sleep(_LOOK_SECONDS)
            quiet = 0 if self._under_way.any() else quiet + 1
        await self._server.stop(_LOOK_SECONDS)

    async def _serve(self, models: "Models", run: "Run", observers: Observers) -> None:
        from serving.grpc_api.services import add_services  # noqa: PLC0415 - the same
        from serving.predict.answers import Answers  # noqa: PLC0415 - imports TensorFlow

        add_services(self._server, models, run, Answers(), observers, self._under_way)
        await self._server.start()

    def _load_options(self) -> "LoadOptions":
        from serving.lifecycle.model import LoadOptions  # noqa: PLC0415 - imports TensorFlow

        settings = self._settings
        return LoadOptions(
            file_system_poll_wait_seconds=settings.file_system_poll_wait_seconds,
            enable_model_warmup=settings.enable_model_warmup,
            max_num_load_retries=settings.max_num_load_retries,
            load_retry_interval_micros=settings.load_retry_interval_micros,
            num_load_threads=threading.BoundedSemaphore(settings.num_load_threads),
            on_available=self._log_available,
            on_changed=self._update_health,
            on_warmed_up=self._metrics.warmed_up if self._metrics else lambda *_: None,
        )

    def _make_run(self) -> "Run":
        from serving.predict.batching.scheduler import BatchScheduler  # noqa: PLC0415 - imports TensorFlow
        from serving.predict.execute import RunAlone  # noqa: PLC0415 - the same

        settings, metrics = self._settings, self._metrics
        alone = RunAlone(settings.grpc_max_threads, metrics.ran if metrics else lambda *_: None)
        if not settings.batching:
            return alone
        if not metrics:
            return BatchScheduler(settings.batching, alone, lambda *_: None, lambda *_: None)
        return BatchScheduler(settings.batching, alone, metrics.batched, metrics.waited)

    def _make_rest(self, models: "Models", run: "Run", observers: Observers) -> "RestServer":
        from serving.rest.handler import Handler  # noqa: PLC0415 - imports TensorFlow
        from serving.rest.server import RestServer, RestSettings  # noqa: PLC0415 - the same

        settings = self._settings
        return RestServer(
            RestSettings(
                timeout_seconds=settings.rest_api_timeout_in_ms / 1000,
                threads=settings.rest_api_num_threads,
                most_waiting=_WAITING_REQUESTS,
                enable_cors_support=settings.rest_api_enable_cors_support,
                max_request_bytes=settings.max_request_bytes,
                web=settings.web,
                metrics_path=settings.metrics_path,
                metrics_text=self._metrics.text if self._metrics else lambda: b"",
            ),
            Handler(models, run),
            observers,
        )

    def _watch_config(self, models: "Models") -> None:
        from serving.lifecycle.config_watch import ConfigWatch  # noqa: PLC0415 - imports TensorFlow

        path, seconds = self._settings.model_config_file, self._settings.model_config_file_poll_wait_seconds
        if path and seconds:
            self._config_watch = ConfigWatch(path, models, poll_wait_seconds=seconds)
            self._config_watch.start()

    def _log_available(self, name: str, servable: "Servable") -> None:
        log.event(f"{name} version {servable.version} AVAILABLE, gRPC on {self._addresses}")

    def _update_health(self) -> None:
        if self._models and self._health and not self._draining:
            self._health.set_ready(ready=self._models.are_ready())

    def _fail(self, error: Exception) -> None:
        self.error = error
        self._stop_requests.request(FAILED)


def _import_tensorflow() -> None:
    """Import TensorFlow without Keras, which it would import for its optimisers: a quarter of a server's start."""
    hidden = "keras" not in sys.modules
    if hidden:
        sys.modules["keras"] = None  # type: ignore[assignment] # TensorFlow takes the ImportError for a missing Keras
    try:
        quiet_tensorflow()
        import tensorflow as tf  # noqa: F401, PLC0415 - quiet_tensorflow leaves it to us where its chatter is wanted
    finally:
        if hidden:
            del sys.modules["keras"]


def _set_up_tensorflow(intra_op: int, inter_op: int) -> None:
    """Let TensorFlow compute with so many threads, 0: as many as it likes, and say nothing of what is well."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    tf.get_logger().setLevel("ERROR")  # it warns those who train, and of functions that TensorFlow 1 had
    tf.config.threading.set_intra_op_parallelism_threads(intra_op)
    tf.config.threading.set_inter_op_parallelism_threads(inter_op)
