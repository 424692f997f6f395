"""The official image's service: its health check, against real HTTP answers, and how its flags have versions loaded."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

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


@contextmanager
def _stand_in(folder: Path, *left_out: str) -> Iterator[int]:
    """The stand-in with the flags that compose.yaml gives the image, but for some; gives its REST port."""
    with _rest(200, "") as (port, _):
        pass
    (folder / "models.config").write_text(f'base_path: "{folder / "digits"}"')
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["serving"]
    flags = [flag.replace("/etc/digits/models.config", str(folder / "models.config")) for flag in service["command"]]
    flags = [re.sub("/etc/digits", str(ROOT / "serving"), flag) for flag in flags if not flag.startswith(left_out)]
    process = subprocess.Popen(
        [sys.executable, ROOT / "tests" / "docker" / "stand_in.py", f"--rest_api_port={port}", *flags],
        env=os.environ | {"LOADING_SECONDS": "0.2"},
    )
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def _states(port: int) -> dict[str, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/digits", timeout=10) as response:
            return {each["version"]: each["state"] for each in json.load(response)["model_version_status"]}
    except urllib.error.URLError:  # not listening yet
        return {}


def _wait_for(port: int, version: str, state: str) -> None:
    deadline = time.monotonic() + 30
    while _states(port).get(version) != state:
        assert time.monotonic() < deadline, _states(port)
        time.sleep(0.05)


@pytest.mark.parametrize(("left_out", "state"), [(("no flag",), "AVAILABLE"), (("--num_load_threads",), None)])
def test_a_broken_version_keeps_no_later_one_out(tmp_path: Path, left_out: tuple[str], state: str | None) -> None:
    """While an empty version folder waits a minute for its next try, the next version is loaded: by its own thread."""
    for version in ("1", "6"):
        (tmp_path / "digits" / version).mkdir(parents=True)
    (tmp_path / "digits" / "1" / "saved_model.pb").write_bytes(b"a model")
    with _stand_in(tmp_path, *left_out) as port:
        _wait_for(port, "1", "AVAILABLE")
        _wait_for(port, "6", "LOADING")
        (tmp_path / "digits" / "7").mkdir()
        (tmp_path / "digits" / "7" / "saved_model.pb").write_bytes(b"a model")
        if state:
            _wait_for(port, "7", state)
        else:
            time.sleep(2)
        assert _states(port) == {"1": "AVAILABLE", "6": "LOADING"} | ({"7": state} if state else {})
