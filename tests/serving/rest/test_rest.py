"""The REST API, as curl sees it, from a real server process."""

import base64
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tensorflow as tf

from tests.serving.conftest import model_entry, model_list, wait_at_gate

if TYPE_CHECKING:
    from tests.serving.conftest import Gate, Publish, Server, Start

Answer = tuple[int, Any]
Ask = Callable[..., Answer]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def http(url: str, body: object = None, method: str | None = None) -> Answer:
    """Ask; bytes are sent as they are, anything else as JSON. Return status and parsed answer."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - the same
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def base_path(saved_model: Path, publish: "Publish", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 3 and 5: signatures of `make_lengths` and some more."""
    base_path = tmp_path_factory.mktemp("rest")
    publish(saved_model, base_path, 3)

    def add(left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": left + right, "right": right}

    def echo(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y_bytes": tf.identity(x)}

    matrix = tf.TensorSpec([None, 2], tf.float32)
    signatures = {
        "serving_default": tf.function(lambda x: {"y": x / 2 + 2}).get_concrete_function(
            tf.TensorSpec([None], tf.float32, name="x")
        ),
        "add": tf.function(add).get_concrete_function(left=matrix, right=matrix),
        "echo": tf.function(echo).get_concrete_function(tf.TensorSpec([None], tf.string, name="x")),
        "slow": tf.function(wait_at_gate).get_concrete_function(tf.TensorSpec([None], tf.string, name="gate")),
    }
    tf.saved_model.save(tf.Module(), str(base_path / "5"), signatures=signatures)
    return base_path


@pytest.fixture(scope="module")
def served(start_module: "Start", base_path: Path) -> tuple["Server", str]:
    """A server with REST, and the URL of its API."""
    port = free_port()
    config = base_path.parent / "rest.config"
    labels = "version_labels { key: 'stable' value: 3 }"
    config.write_text(model_list(model_entry("toy", base_path, f"model_version_policy {{ all {{}} }} {labels}")))
    server = start_module(
        base_path,
        f"--model_config_file={config}",
        "--allow_version_labels_for_unavailable_models",
        f"--rest_api_port={port}",
        "--rest_api_timeout_in_ms=3000",
        "--max_request_bytes=1000000",
        "--web=false",
    )
    server.wait_for("version 3 AVAILABLE")
    return server, f"http://127.0.0.1:{port}/v1/models"


@pytest.fixture
def ask(served: tuple["Server", str]) -> Ask:
    def ask(path: str, body: object = None, method: str | None = None) -> Answer:
        return http(served[1] + path, body, method)

    return ask


def test_rows(ask: Ask) -> None:
    """`instances` gives `predictions`, a row for each: plain values for one output, objects for several."""
    assert ask("/toy:predict", {"instances": [1.0, 2, 5]}) == (200, {"predictions": [2.5, 3.0, 4.5]})
    assert ask("/toy:predict", {"instances": [{"x": 1.0}]}) == (200, {"predictions": [2.5]})
    instances = [{"left": [1, 2], "right": [0.1, 0.25]}, {"left": [3, 4], "right": [0, 0]}]
    status, answer = ask("/toy/versions/5:predict", {"signature_name": "add", "instances": instances})
    assert status == 200
    assert [row["right"] for row in answer["predictions"]] == [[0.1, 0.25], [0, 0]]
    assert answer["predictions"][1] == {"sum": [3.0, 4.0], "right": [0.0, 0.0]}


def test_columns(ask: Ask) -> None:
    """`inputs` gives `outputs`: the plain value of one output, or an object of them."""
    assert ask("/toy:predict", {"inputs": [1.0, 2, 5]}) == (200, {"outputs": [2.5, 3.0, 4.5]})
    assert ask("/toy:predict", {"inputs": {"x": [1.0]}}) == (200, {"outputs": [2.5]})
    inputs = {"left": [[1, 2]], "right": [[3, 4]]}
    assert ask("/toy:predict", {"signature_name": "add", "inputs": inputs}) == (
        200,
        {"outputs": {"sum": [[4.0, 6.0]], "right": [[3.0, 4.0]]}},
    )


def test_bytes(ask: Ask) -> None:
    """Bytes travel as {"b64": ...}, in rows and columns; text as it is; outputs named *_bytes come back so."""
    raw = b"\x89PNG\x00\xff\xfe"
    b64 = {"b64": base64.b64encode(raw).decode()}
    rows = {"signature_name": "echo", "instances": [b64, "text", {"b64": ""}]}
    texts = [b64, {"b64": base64.b64encode(b"text").decode()}, {"b64": ""}]
    assert ask("/toy:predict", rows) == (200, {"predictions": texts})
    assert ask("/toy:predict", {"signature_name": "echo", "inputs": {"x": [b64]}}) == (200, {"outputs": [b64]})
    status, answer = ask("/toy/versions/3:predict", {"instances": [{"image_bytes": b64}]})
    assert status == 200
    assert answer["predictions"][0]["length"] == len(raw)


def test_base64_as_it_is_written_elsewhere(ask: Ask) -> None:
    """Lines as MIME and Ruby break them, blanks, and padding that is left out are taken."""
    raw = bytes(range(256))
    lines = base64.encodebytes(raw).decode()
    assert lines.count("\n") > 3
    for text in (lines, lines.replace("\n", "\r\n"), f" {lines}\t", lines.replace("=", " ="), lines.replace("=", "")):
        rows = {"signature_name": "echo", "instances": [{"b64": text}]}
        assert ask("/toy:predict", rows) == (200, {"predictions": [{"b64": base64.b64encode(raw).decode()}]})


def test_versions_and_labels(ask: Ask) -> None:
    """A version may be named by number or label, and the path's case does not matter."""
    body = {"instances": ["four"]}
    for path in ("/toy/versions/3:predict", "/toy/labels/stable:predict", "/toy/VERSIONS/3:Predict"):
        status, answer = ask(path, body)
        assert (status, answer["predictions"][0]["length"]) == (200, 4)


def test_status(ask: Ask) -> None:
    """GET of a model tells the state of its versions, of one that is named by number just that."""
    status, answer = ask("/toy")
    assert status == 200
    entry = {"version": "5", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert sorted(answer["model_version_status"], key=lambda each: each["version"])[1] == entry
    assert ask("/toy/versions/5") == (200, {"model_version_status": [entry]})
    for label in ("stable", "none"):  # as in TensorFlow Serving, labels choose no version here
        assert ask(f"/toy/labels/{label}") == (status, answer)
    assert ask("/nobody") == (404, {"error": "Could not find any versions of model nobody"})


def test_metadata(ask: Ask) -> None:
    """GET of /metadata tells the signatures."""
    status, answer = ask("/toy/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "toy", "signature_name": "", "version": "5"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error: "),
        (b"[1]", "Is not object"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [1.0], "inputs": [1.0]}, "expecting only one of 'inputs' or 'instances' keys to exist"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": 1.0}, "Excepting 'instances' to be an list/array"),
        ({"instances": ["text"]}, 'JSON Value: "text" Type: String is not of expected type: float'),
        ({"instances": [1.0, [2.0]]}, "Encountered list at unexpected level: 1 expected < 1"),
        ({"instances": [[1.0], [2.0, 3.0]]}, "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
        ({"instances": [{"z": 1.0}]}, "keys must be equal to: x"),
        ({"instances": [[1.0]]}, "input x has shape [1, 1], the signature expects [-1]"),
        ({"inputs": {"z": 1.0}}, "Missing named input: x in 'inputs' object."),
        ({"signature_name": 3, "inputs": 1}, "'signature_name' key must be a string value."),
        ({"signature_name": "none", "instances": [1]}, 'Serving signature name: "none" not found in signature def'),
        ({"signature_name": "add", "instances": [1]}, "instances is a plain list, but expecting list of objects"),
        ({"signature_name": "echo", "instances": [{"b64": "!"}]}, "Unable to base64 decode"),
        ({"signature_name": "echo", "instances": [{"b64": "-_-_"}]}, "Unable to base64 decode"),
        ({"signature_name": "echo", "instances": [{"b64": "QUI= ="}]}, "Unable to base64 decode"),
        ({"signature_name": "echo", "instances": [{"b64": "QUJDQ"}]}, "Unable to base64 decode"),
        (rb'{"signature_name": "echo", "instances": ["\ud800"]}', "The surrogate pair in string is invalid"),
    ],
    ids=str,
)
def test_bad_bodies(ask: Ask, body: object, text: str) -> None:
    """What makes no request is 400 with an `error` that says why."""
    status, answer = ask("/toy:predict", body, "POST")
    assert status == 400
    assert text in answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("POST", "/nobody:predict", 404, "Servable not found for request: Latest(nobody)"),
        ("POST", "/toy/versions/9:predict", 404, "Servable not found for request: Specific(toy, 9)"),
        ("POST", "/toy/labels/none:predict", 400, "Unrecognized servable version label: none"),
        ("POST", "/toy:regress", 400, "key 'examples' is expected and was not found"),
        ("POST", "/toy:guess", 400, "Malformed request: POST /v1/models/toy:guess"),
        ("GET", "/toy:predict", 400, "Malformed request: GET /v1/models/toy:predict"),
        ("GET", "", 400, "Malformed request: GET /v1/models"),
        ("DELETE", "/toy", 400, "Malformed request: DELETE /v1/models/toy"),
    ],
)
def test_bad_paths(ask: Ask, method: str, path: str, status: int, text: str) -> None:
    """Unknown models and versions are 404, malformed requests 400, each with an `error`."""
    code, answer = ask(path, {"instances": [1.0]} if method == "POST" else None, method)
    assert code == status
    assert text in answer["error"]


def test_the_page_can_be_turned_off(served: tuple["Server", str]) -> None:
    """With --web=false, `/` and the page's files are paths like any other that is no part of the API."""
    root = served[1].removesuffix("/v1/models")
    for path in ("/", "/web/main.js"):
        assert http(root + path) == (400, {"error": f"Malformed request: GET {path}"})


def test_limits(ask: Ask, gate: "Gate") -> None:
    """A request that takes too long is 504 after the timeout; one that is too large is 413; others go on."""
    begin = time.monotonic()
    assert ask("/toy:predict", {"signature_name": "slow", "instances": [gate.never]}) == (
        504,
        {"error": "Timed out waiting for notification"},
    )
    assert time.monotonic() - begin < 10
    assert ask("/toy:predict", b" " * 1_000_001)[0] == 413
    assert ask("/toy:predict", {"instances": [1.0]})[0] == 200
