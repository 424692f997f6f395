"""Where the server listens: a TCP port, a Unix socket, or both."""

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

import grpc

from exporter.command import UserError
from serving.observability import log

# The kernel's sockaddr_un has 108 bytes, the last one zero.
_LONGEST_SOCKET_PATH = 107


def add_tcp_port(server: grpc.aio.Server, host: str, port: int, credentials: grpc.ServerCredentials | None) -> str:
    """Make an unstarted server listen on host:port, with TLS if there are credentials; return that address.

    Raises UserError where it cannot.
    """
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if credentials:
            server.add_secure_port(address, credentials)
        else:
            server.add_insecure_port(address)
    except RuntimeError:
        raise UserError(f"cannot listen on {address}: {_why_not(host, port, tls=bool(credentials))}") from None
    return address


def listen_for_rest(host: str, port: int) -> socket.socket:
    """Return a socket that listens for HTTP. Raises UserError where it cannot."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = "the port is in use; stop what listens there or choose another --rest_api_port"
        else:
            reason = f"{error.strerror}; check --host and --rest_api_port"
        raise UserError(f"cannot listen on {host}:{port}: {reason}") from None


def _why_not(host: str, port: int, *, tls: bool) -> str:
    """Find the reason that gRPC keeps to itself by trying the same with a plain socket."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
            probe.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "the port is in use; stop what listens there or choose another --port"
        return f"{error.strerror}; check --host and --port"
    if tls:
        return "key and certificate of --ssl_config_file make no pair, or are damaged"
    return "gRPC gives no reason; try again or choose another --port"


def add_unix_socket(server: grpc.aio.Server, path: Path) -> str:
    """Make an unstarted server listen on a Unix socket; return its address, `unix:PATH`.

    A socket that is there already is replaced, as TensorFlow Serving does, in one step; a server that listens on it
    keeps the callers that it has. Raises UserError where the path is another kind of file or too long, or where the
    folder does not allow it.
    """
    # gRPC removes the path that it was given when it stops, whoever has it by then.
    first = path.with_name(f".{os.getpid()}")
    if max(len(os.fsencode(each)) for each in (path, first)) > _LONGEST_SOCKET_PATH:
        raise UserError(
            f"--grpc_socket_path {path} is longer than the {_LONGEST_SOCKET_PATH} bytes a Unix socket may have; "
            "choose a shorter one"
        )
    _check_is_free(path)
    try:
        server.add_insecure_port(f"unix:{first}")
        first.replace(path)
    except (RuntimeError, OSError):
        reason = "its folder does not exist" if not path.parent.is_dir() else "its folder cannot be written to"
        raise UserError(f"cannot listen on --grpc_socket_path {path}: {reason}") from None
    return f"unix:{path}"


def _check_is_free(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise UserError(f"--grpc_socket_path {path} exists and is no socket; choose another path")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            log.event(f"{path} was another server's socket; from now on callers come here")
