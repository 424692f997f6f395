"""Ports that speak something else than what they are spoken to in: told at once, not after --timeout."""

import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import unused_port

from batch.client.protocol import mismatch
from batch.client.security import Security
from tests.batch.conftest import ScriptedServer
from tests.conftest import RunBatch

Serve = Callable[[str], str]
_LONG = ("--timeout", "600")  # which no test waits for


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of our own."""
    return trustme.CA()


@pytest.fixture
def serve(authority: trustme.CA) -> Iterator[Serve]:
    """Start a server that speaks `http`, `https`, `grpc`, `grpc over tls`, or nothing; returns its address."""
    with ExitStack() as stack:
        certificate = authority.issue_cert("localhost")

        def start(kind: str) -> str:
            if kind.startswith("grpc"):
                pem = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
                credentials = grpc.ssl_server_credentials([pem]) if "tls" in kind else None
                scripted = ScriptedServer("localhost:0", credentials)
                stack.callback(scripted.stop)
                return f"localhost:{scripted.port}"
            if kind == "nothing":
                silent = stack.enter_context(socket.create_server(("localhost", 0)))
                return f"localhost:{silent.getsockname()[1]}"
            server = http.server.ThreadingHTTPServer(("localhost", 0), http.server.SimpleHTTPRequestHandler)
            if kind == "https":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                certificate.configure_cert(context)
                server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            for end in (server.server_close, thread.join, server.shutdown):
                stack.callback(end)
            return f"localhost:{server.server_port}"

        yield start


@pytest.fixture
def scan(tmp_path: Path, authority: trustme.CA) -> Path:
    """A file to ask about, and the authority's certificate beside it."""
    (tmp_path / "scan.png").write_bytes(b"\7")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    return tmp_path / "scan.png"


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("http", [], "speaks HTTP/1, not gRPC: it is a REST or web port; name the gRPC port, which is usually 8500"),
        ("https", [], "speaks HTTP/1 over TLS, not gRPC"),
        ("http", ["--tls-ca", "ca.pem"], "speaks HTTP/1 without TLS, not gRPC"),
        ("https", ["--tls-ca", "ca.pem"], "speaks HTTP/1 over TLS, not gRPC"),
        ("grpc over tls", [], "speaks TLS: add --tls-ca FILE, or --tls"),
        ("grpc", ["--tls-ca", "ca.pem"], "speaks no TLS: leave out --tls and --tls-ca"),
        ("grpc over tls", ["--tls-ca", "other.pem"], "has a certificate that is not trusted"),
    ],
)
def test_the_wrong_port_is_told_at_once(
    serve: Serve, scan: Path, digits_batch: RunBatch, kind: str, options: list[str], words: str
) -> None:
    """One line names the address, what it speaks and what to do; --check says the same."""
    address = serve(kind)
    for command in (["scan.png", "--out", "out.csv"], ["--check"]):
        result = digits_batch(*command, "--server", address, *options, *_LONG)
        assert result.returncode == 3
        assert f"digits-batch: {address} {words}" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_rest_port_of_aiohttp(scan: Path, digits_batch: RunBatch) -> None:
    """As a server that answers HTTP/2's first bytes in its own way."""
    port = unused_port()
    ready = threading.Event()

    async def announce(_app: web.Application) -> None:
        ready.set()

    app = web.Application()
    app.on_startup.append(announce)
    options = {"host": "localhost", "port": port, "handle_signals": False, "print": None}
    threading.Thread(target=web.run_app, args=(app,), kwargs=options, daemon=True).start()
    assert ready.wait(60)
    result = digits_batch("scan.png", "--out", "out.csv", "--server", f"localhost:{port}", *_LONG)
    assert "speaks HTTP/1, not gRPC" in result.stderr


@pytest.mark.parametrize(
    ("kind", "tls", "found"),
    [("grpc", False, ""), ("grpc over tls", True, ""), ("nothing", False, ""), ("nothing", True, "")],
)
def test_nothing_is_said_of_what_may_yet_come_right(
    serve: Serve, authority: trustme.CA, kind: str, *, tls: bool, found: str
) -> None:
    """A server that is spoken to rightly, or says nothing yet, is waited for."""
    security = Security(tls=tls, ca=authority.cert_pem.bytes() if tls else None)
    assert mismatch(serve(kind), security) == found


def test_nobody_listens_yet() -> None:
    """A port that will be there later is looked at again then."""
    assert mismatch(f"localhost:{unused_port()}", Security()) is None
    assert mismatch("dns:///localhost:99999", Security()) is None
    assert mismatch("unix:/tmp/a.sock", Security()) == ""
