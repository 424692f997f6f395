"""The server's life: listen, start, drain, stop."""

import contextlib
import os
from pathlib import Path

import grpc

from exporter.command import UserError
from serving.command.settings import Settings
from serving.grpc_api.listen import add_tcp_port, add_unix_socket, listen_for_rest
from serving.grpc_api.loop import LoopThread
from serving.lifecycle.model_config import ModelConfig, read_model_config_file
from serving.lifecycle.versions import check_base_path
from serving.observability import log
from serving.start import Start
from serving.stop import STDIN_EOF, StopRequests

_DRAIN_SECONDS = 30.0
# Whoever would have read the answers is gone.
_ORPHAN_DRAIN_SECONDS = 0.5
# RPCs that may wait for a thread; more are answered RESOURCE_EXHAUSTED.
_WAITING_RPCS = 1000
_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.so_reuseport", 0),  # a second server on the port is refused instead of taking half of the connections
    ("grpc.max_send_message_length", -1),
]


def serve(settings: Settings) -> None:
    """Serve until a signal, or the end of standard input, says stop; then drain.

    Needs the main thread, for signals. Raises UserError for what the user can put right: a base path that cannot be
    served, an address that cannot be listened on.
    """
    configs = _read_configs(settings)
    # The user's arguments come last: they overrule ours.
    options = dict([*_OPTIONS, ("grpc.max_receive_message_length", settings.max_request_bytes)])
    options.update(settings.grpc_channel_arguments)
    # Listening comes first, so that a port in use is told at once and not after seconds of importing TensorFlow.
    loop = LoopThread()
    server = loop.run(_make_server([*options.items()], settings.grpc_max_threads + _WAITING_RPCS))
    addresses = _listen(server, settings)
    socket = _identity(settings.grpc_socket_path)
    http = listen_for_rest(settings.host, settings.rest_api_port) if settings.rest_api_port else None
    if http:
        addresses.append(f"REST on {settings.host}:{settings.rest_api_port}")

    stop = StopRequests()
    stop.on_signals()
    if settings.exit_on_stdin_eof:
        stop.on_stdin_eof()
    start = Start(server, loop, http, settings, configs, " and ".join(addresses), stop)
    start.start()
    try:
        reason = stop.wait()
        if start.error:
            raise start.error
        start.drain(reason, _ORPHAN_DRAIN_SECONDS if reason == STDIN_EOF else _DRAIN_SECONDS)
    finally:
        if socket == _identity(settings.grpc_socket_path):  # and not another server's by now
            _remove_socket(settings.grpc_socket_path, with_folder=settings.exit_on_stdin_eof)
    log.event("stopped")
    # TensorFlow may still be loading a model, or running a request that outlasted the drain; neither can be cancelled.
    os._exit(0)


async def _make_server(options: list[tuple[str, int | str]], most_rpcs: int) -> grpc.aio.Server:
    # One thread takes requests in and hands answers out; a thread for each that waits would cost more than it does.
    return grpc.aio.server(options=options, maximum_concurrent_rpcs=most_rpcs)


def _read_configs(settings: Settings) -> tuple[ModelConfig, ...]:
    """Return the models to start with. Raises UserError for a file or base paths that cannot be served."""
    if not settings.model_config_file:
        check_base_path(settings.model_base_path)
        return (ModelConfig(settings.model_name, settings.model_base_path),)
    return read_model_config_file(settings.model_config_file)


def _listen(server: grpc.aio.Server, settings: Settings) -> list[str]:
    addresses = []
    if settings.port:
        addresses.append(add_tcp_port(server, settings.host, settings.port, settings.credentials))
    if settings.grpc_socket_path:
        addresses.append(add_unix_socket(server, settings.grpc_socket_path))
    if not addresses:
        raise UserError("nowhere to listen: --port 0 means no TCP; give a --port or a --grpc_socket_path")
    return addresses


def _identity(path: Path | None) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        if path:
            status = path.stat()
            return status.st_dev, status.st_ino
    return None


def _remove_socket(path: Path | None, *, with_folder: bool) -> None:
    """Unlink the socket; `with_folder`, also the folder that a parent made for it, unless something else lies there."""
    if path:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        if with_folder:
            with contextlib.suppress(OSError):
                path.parent.rmdir()
