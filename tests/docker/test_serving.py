"""The official image's service: its health check, against real HTTP answers."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.conftest import ROOT


@contextmanager
def _rest(code: int, body: str) -> Iterator[tuple[int, list[str]]]:
    """A REST API with one answer; gives its port and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()


def _version(number: int, state: str) -> str:
    return f'  {{\n   "version": "{number}",\n   "state": "{state}",\n   "status": {{ "error_code": "OK" }}\n  }}'


def _status(*states: str) -> str:
    versions = ",\n".join(_version(number, state) for number, state in enumerate(states, 1))
    return f'{{\n "model_version_status": [\n{versions}\n ]\n}}\n'


def _healthy(port: int) -> bool:
    script = ROOT / "docker" / "serving-health.sh"
    result = subprocess.run(["bash", script, "digits", str(port)], check=False, capture_output=True, timeout=20)  # noqa: S607
    return result.returncode == 0


@pytest.mark.parametrize(
    ("code", "body", "healthy"),
    [
        (200, _status("AVAILABLE"), True),
        (200, _status("END", "AVAILABLE"), True),
        (200, _status("AVAILABLE").replace(" ", "").replace("\n", ""), True),
        (200, _status("LOADING"), False),
        (200, _status("END", "START"), False),
        (404, '{ "error": "Could not find any versions of model digits" }', False),
        (500, "", False),
    ],
)
def test_healthy_means_available(code: int, body: str, healthy: bool) -> None:  # noqa: FBT001 - a table
    """Only a model with an AVAILABLE version is healthy, whatever else the server answers."""
    with _rest(code, body) as (port, asked):
        assert _healthy(port) is healthy
        assert asked == ["/v1/models/digits"]


def test_nobody_listening_is_not_healthy() -> None:
    """A server that has not opened its port yet is not healthy."""
    with _rest(200, "") as (port, _):
        pass
    assert not _healthy(port)
