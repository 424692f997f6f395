"""What lies around the JSON of a REST request: compression, and calls by web pages."""

import gzip
import http.client
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.serving.rest.test_rest import free_port

if TYPE_CHECKING:
    from tests.serving.conftest import Publish, Start

PREDICT = "/v1/models/toy:predict"
BODY = json.dumps({"instances": ["four"] * 50}).encode()
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


@pytest.fixture(scope="module")
def base_path(saved_model: Path, publish: "Publish", tmp_path_factory: pytest.TempPathFactory) -> Path:
    base_path = tmp_path_factory.mktemp("http")
    publish(saved_model, base_path, 1)
    return base_path


@pytest.fixture(scope="module")
def port(base_path: Path, start_module: "Start") -> int:
    """A server that web pages may call, and that got its base path as a URI."""
    port = free_port()
    start_module(
        f"file://localhost{base_path}",
        f"--rest_api_port={port}",
        "--rest_api_enable_cors_support=true",
        "--max_request_bytes=100000",
    )
    return port


def ask(
    port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """Ask; return status, body, and what the answer has of CORS."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    return response.status, content, {name: value for name, value in response.getheaders() if name in CORS}


@pytest.mark.parametrize("members", [1, 2])
def test_compressed_bodies(port: int, members: int) -> None:
    """A gzip of one member or several is taken as what it holds."""
    half = len(BODY) // 2
    body = b"".join(gzip.compress(part) for part in ([BODY] if members == 1 else [BODY[:half], BODY[half:]]))
    status, content, _ = ask(port, "POST", PREDICT, body, {"Content-Encoding": "gzip"})
    assert status == 200
    assert [row["length"] for row in json.loads(content)["predictions"]] == [4] * 50


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(BODY)[:-20], gzip.compress(BODY)[:-1], gzip.compress(BODY) + b"more", BODY],
    ids=["text", "cut short", "no whole checksum", "more after it", "JSON"],
)
def test_broken_compression(port: int, body: bytes) -> None:
    """What is no whole gzip is 400, with an `error` in JSON that says so."""
    status, content, _ = ask(port, "POST", PREDICT, body, {"Content-Encoding": "gzip"})
    assert status == 400
    assert json.loads(content)["error"].startswith(
        "the body is no gzip, as its Content-Encoding says, or not all of it"
    )


def test_a_wrong_checksum(port: int) -> None:
    """A gzip whose bytes were changed on the way is refused."""
    body = bytearray(gzip.compress(BODY))
    body[-5] ^= 1
    assert ask(port, "POST", PREDICT, bytes(body), {"Content-Encoding": "gzip"})[0] == 400


def test_compression_hides_no_large_body(port: int) -> None:
    """The limit of a request counts what it holds, not what was sent."""
    body = gzip.compress(b" " * 100_001)
    assert len(body) < 1000
    status, content, _ = ask(port, "POST", PREDICT, body, {"Content-Encoding": "gzip"})
    assert status == 413
    assert "larger than --max_request_bytes" in json.loads(content)["error"]


def test_other_encodings_are_not_looked_at(port: int) -> None:
    """A body under another Content-Encoding is read as it is."""
    assert ask(port, "POST", PREDICT, BODY, {"Content-Encoding": "identity"})[0] == 200
    assert ask(port, "POST", PREDICT, b"x", {"Content-Encoding": "br"})[0] == 400


def test_web_pages_may_call(port: int) -> None:
    """Every answer, of errors too, lets pages of any origin read it; a preflight needs an origin."""
    origin = {"Origin": "https://forms.example"}
    assert ask(port, "POST", PREDICT, BODY, origin)[::2] == (200, CORS)
    assert ask(port, "GET", "/v1/models/toy", headers=origin)[::2] == (200, CORS)
    assert ask(port, "POST", PREDICT, b"{", origin)[::2] == (400, CORS)
    assert ask(port, "OPTIONS", PREDICT, headers=origin) == (200, b"", CORS)
    assert ask(port, "OPTIONS", PREDICT) == (400, b"", CORS)


def test_web_pages_may_not_call_unasked(base_path: Path, start: "Start") -> None:
    """Without the flag no answer has the headers that let a page read it."""
    port = free_port()
    start(base_path, f"--rest_api_port={port}", "--rest_api_enable_cors_support=false")
    origin = {"Origin": "https://forms.example"}
    assert ask(port, "POST", PREDICT, BODY, origin)[::2] == (200, {})
    assert ask(port, "OPTIONS", PREDICT, headers=origin) == (200, b"", {})
