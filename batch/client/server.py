"""Where requests go: a server the user names, one that listens already, or the built-in one."""

import importlib.util
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from batch.client.address import LONGEST_SOCKET_PATH
from batch.client.endpoint import Endpoint, ServerError
from batch.client.security import Security
from batch.client.tensors import Target
from batch.disk.logs import last_line
from exporter.command import UserError, how_to_install
from exporter.contract import DEFAULT_PORT, MODEL_NAME

_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 10.0
_SOCKET = "grpc.sock"
_SHORT = "/tmp"  # noqa: S108 - the folder made in it is private
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")


@contextmanager
def find_server(
    named: Sequence[str], security: Security, target: Target, timeout: float, notify: Callable[[str], None]
) -> Iterator[Endpoint]:
    """Open the named servers; else localhost:8500 if something listens there; else start the built-in server.

    Waits until the model is AVAILABLE. The built-in server is stopped on leaving, and by itself if this process dies.

    Raises:
        UserError: as `Endpoint.wait_until_available`, or the built-in server cannot be had.
        ServerError: likewise.
    """
    addresses = listening(named)
    if addresses:
        endpoint = Endpoint(addresses, security)
        if security.metadata and not security.tls and any(not _is_local(one.address) for one in endpoint.replicas):
            notify("the metadata of the calls travels unencrypted; --tls-ca or --tls encrypts it")
        try:
            endpoint.wait_until_available(target, timeout)
            yield endpoint
        finally:
            endpoint.close()
    else:
        with _built_in_server(target, notify) as endpoint:
            yield endpoint


def listening(named: Sequence[str]) -> Sequence[str]:
    """The named servers; else localhost:8500 if something listens there; else none."""
    return named or ([f"localhost:{DEFAULT_PORT}"] if _listens("localhost", DEFAULT_PORT) else [])


def has_built_in_server() -> bool:
    """Whether the built-in server is installed."""
    return all(importlib.util.find_spec(module) is not None for module in ("tensorflow", "tensorflow_serving"))


def included_model() -> Path:
    """The folder of the newest version of the included model, which the built-in server has."""
    spec = importlib.util.find_spec("serving")
    assert spec is not None  # noqa: S101 - it is in the same wheel
    assert spec.submodule_search_locations  # noqa: S101 - it is a package
    versions = Path(spec.submodule_search_locations[0], "models", MODEL_NAME)
    return max((path for path in versions.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


def _is_local(address: str) -> bool:
    return address.startswith(("unix:", "localhost:", "127.", "[::1]:"))


@contextmanager
def _built_in_server(target: Target, notify: Callable[[str], None]) -> Iterator[Endpoint]:
    if not has_built_in_server():
        raise UserError(
            f"nothing listens on localhost:{DEFAULT_PORT} and the built-in server is not installed: "
            f"name a server with --server HOST:PORT, or {how_to_install('serve')}"
        )
    if target.model != MODEL_NAME:
        raise UserError(
            f"nothing listens on localhost:{DEFAULT_PORT}, and the built-in server has no model {target.model!r}, only "
            f"{MODEL_NAME!r}: name a server with --server HOST:PORT"
        )
    notify(f"nothing listens on localhost:{DEFAULT_PORT}: starting the built-in server on a private socket")
    folder = _private_folder()
    path = folder / _SOCKET
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-P", "-m", "serving.cli", "--port=0", f"--grpc_socket_path={path}"]
        # The server lives as long as this end of the pipe is open, which not even SIGKILL can prevent from closing.
        # A session of its own: Ctrl-C is for this process, which then stops the server.
        server = subprocess.Popen(
            [*command, "--exit_on_stdin_eof"], stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )

        def give_up() -> None:
            if server.poll() is not None:
                raise ServerError(f"the built-in server ended with code {server.returncode}: {last_line(log.fileno())}")

        endpoint = Endpoint([f"unix:{path}"])
        try:
            endpoint.wait_until_available(target, _START_TIMEOUT_S, give_up)
            yield endpoint
        finally:
            endpoint.close()
            _stop(server)
            path.unlink(missing_ok=True)
            if folder.exists():
                folder.rmdir()


def _private_folder() -> Path:
    """A new folder for a socket: in TMPDIR, or in /tmp if that makes a path that a socket, or gRPC, does not take."""
    try:
        parent = tempfile.gettempdir()
    except OSError:
        parent = _SHORT  # its own reason is told below
    is_short = len(os.fsencode(parent)) + len("/digits-12345678/") + len(_SOCKET) <= LONGEST_SOCKET_PATH
    try:
        # A name of gRPC's is a URI.
        return Path(tempfile.mkdtemp(prefix="digits-", dir=parent if is_short and _PLAIN.fullmatch(parent) else _SHORT))
    except OSError as error:
        raise UserError(
            f"the built-in server has no folder for its socket: {_SHORT}: {error.strerror}; set TMPDIR to a folder "
            "with a short path, or name a server with --server HOST:PORT"
        ) from None


def _stop(server: "subprocess.Popen[bytes]") -> None:
    if server.stdin is not None:
        server.stdin.close()
    try:
        server.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
