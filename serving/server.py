"""The server's life: listen, load TensorFlow and the model, serve, drain, stop."""

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.command import UserError, quiet_tensorflow

# Before grpc is imported: it would explain a port in use in four lines of its own, before ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

from serving import log
from serving.listen import add_tcp_port, add_unix_socket
from serving.model_config import ModelConfig, read_model_config_file
from serving.settings import Settings
from serving.stop import STDIN_EOF, StopRequests
from serving.versions import check_base_path

if TYPE_CHECKING:
    from serving.config_watch import ConfigWatch
    from serving.models import Models
    from serving.servable import Servable

_DRAIN_SECONDS = 30.0
# Whoever would have read the answers is gone.
_ORPHAN_DRAIN_SECONDS = 0.5
# RPCs that may wait for a thread; more are answered RESOURCE_EXHAUSTED.
_WAITING_RPCS = 1000
_FAILED = "failure to start"
_OPTIONS = [
    ("grpc.so_reuseport", 0),  # a second server on the port is refused instead of taking half of the connections
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


def serve(settings: Settings) -> None:
    """Serve until a signal, or the end of standard input, says stop; then drain.

    Needs the main thread, for signals. Raises UserError for what the user can put right: a base path that cannot be
    served, an address that cannot be listened on.
    """
    configs = _read_configs(settings)
    # Listening comes first, so that a port in use is told at once and not after seconds of importing TensorFlow.
    server = grpc.server(
        ThreadPoolExecutor(settings.grpc_max_threads, "predict"),
        options=_OPTIONS,
        maximum_concurrent_rpcs=settings.grpc_max_threads + _WAITING_RPCS,
    )
    addresses = _listen(server, settings)

    stop = StopRequests()
    stop.on_signals()
    if settings.exit_on_stdin_eof:
        stop.on_stdin_eof()
    start = _Start(server, settings, configs, " and ".join(addresses), stop)
    try:
        reason = stop.wait()
        if start.error:
            raise start.error
        log.event(f"draining: {reason}")
        start.stop_watching()
        server.stop(_ORPHAN_DRAIN_SECONDS if reason == STDIN_EOF else _DRAIN_SECONDS).wait()
    finally:
        _remove_socket(settings.grpc_socket_path, with_folder=settings.exit_on_stdin_eof)
    log.event("stopped")
    # TensorFlow may still be loading a model, or running a request that outlasted the drain; neither can be cancelled.
    os._exit(0)


class _Start(threading.Thread):
    """Imports TensorFlow, starts the server and the model, while the main thread already waits for requests to stop."""

    def __init__(
        self,
        server: grpc.Server,
        settings: Settings,
        configs: tuple[ModelConfig, ...],
        addresses: str,
        stop: StopRequests,
    ) -> None:
        super().__init__(name="start", daemon=True)
        self.error: Exception | None = None
        self._models: Models | None = None
        self._config_watch: ConfigWatch | None = None
        self._server = server
        self._settings = settings
        self._configs = configs
        self._addresses = addresses
        self._stop_requests = stop
        self.start()

    def run(self) -> None:
        try:
            self._run()
        except ImportError as error:
            self._fail(UserError(f"TensorFlow cannot be imported: {error}; reinstall 'digits[serve]'"))
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self._fail(error)

    def _run(self) -> None:
        quiet_tensorflow()
        from serving.batching.scheduler import BatchScheduler  # noqa: PLC0415 - imports TensorFlow, which takes seconds
        from serving.config_watch import ConfigWatch  # noqa: PLC0415 - the same
        from serving.execute import run_alone  # noqa: PLC0415 - the same
        from serving.model import LoadOptions  # noqa: PLC0415 - the same
        from serving.models import Models  # noqa: PLC0415 - the same
        from serving.services import add_services  # noqa: PLC0415 - the same
        from serving.status import StatusError  # noqa: PLC0415 - the same

        settings = self._settings
        options = LoadOptions(
            file_system_poll_wait_seconds=settings.file_system_poll_wait_seconds,
            enable_model_warmup=settings.enable_model_warmup,
            max_num_load_retries=settings.max_num_load_retries,
            load_retry_interval_micros=settings.load_retry_interval_micros,
            num_load_threads=threading.BoundedSemaphore(settings.num_load_threads),
            on_available=self._log_available,
            on_unloaded=lambda _name, _version: None,
        )
        self._models = models = Models(
            options,
            allow_version_labels_for_unavailable_models=settings.allow_version_labels_for_unavailable_models,
        )
        run = BatchScheduler(settings.batching, lambda *_: None) if settings.batching else run_alone
        add_services(self._server, models, run)
        self._server.start()
        try:
            models.configure(self._configs)
        except StatusError as error:
            raise UserError(f"--model_config_file {settings.model_config_file}: {error.message}") from None
        if settings.model_config_file and settings.model_config_file_poll_wait_seconds:
            self._config_watch = ConfigWatch(
                settings.model_config_file,
                models,
                self._configs,
                poll_wait_seconds=settings.model_config_file_poll_wait_seconds,
            )
            self._config_watch.start()

    def stop_watching(self) -> None:
        """Load no further versions."""
        if self._config_watch:
            self._config_watch.stop()
        if self._models:
            self._models.stop()

    def _log_available(self, name: str, servable: "Servable") -> None:
        log.event(f"{name} version {servable.version} AVAILABLE, gRPC on {self._addresses}")

    def _fail(self, error: Exception) -> None:
        self.error = error
        self._stop_requests.request(_FAILED)


def _read_configs(settings: Settings) -> tuple[ModelConfig, ...]:
    """Return the models to start with. Raises UserError for a file or base paths that cannot be served."""
    if not settings.model_config_file:
        check_base_path(settings.model_base_path)
        return (ModelConfig(settings.model_name, settings.model_base_path),)
    return read_model_config_file(settings.model_config_file)


def _listen(server: grpc.Server, settings: Settings) -> list[str]:
    addresses = []
    if settings.port:
        addresses.append(add_tcp_port(server, settings.host, settings.port))
    if settings.grpc_socket_path:
        addresses.append(add_unix_socket(server, settings.grpc_socket_path))
    if not addresses:
        raise UserError("nowhere to listen: --port 0 means no TCP; give a --port or a --grpc_socket_path")
    return addresses


def _remove_socket(path: Path | None, *, with_folder: bool) -> None:
    """Unlink the socket; `with_folder`, also the folder that a parent made for it, unless something else lies there."""
    if path:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        if with_folder:
            with contextlib.suppress(OSError):
                path.parent.rmdir()
