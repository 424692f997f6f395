"""Classify and Regress over REST: examples as JSON objects, results as lists."""

import base64
import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tensorflow_serving.apis import input_pb2

from serving.rest.read_examples import fill_input
from serving.status import StatusError
from tests.serving.examples_model import write_examples_model
from tests.serving.rest.test_rest import Answer, Ask, free_port, http

if TYPE_CHECKING:
    from tests.serving.conftest import Start


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "access.jsonl"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, start_module: "Start", log: Path) -> int:
    """The REST port of a server with the model of examples."""
    port = free_port()
    folder = tmp_path_factory.mktemp("examples")
    (folder / "monitoring.config").write_text("prometheus_config { enable: true }")
    base_path = write_examples_model(folder / "toy" / "1").parent
    start_module(
        base_path,
        f"--rest_api_port={port}",
        f"--access_log={log}",
        f"--monitoring_config_file={folder / 'monitoring.config'}",
    )
    return port


@pytest.fixture(scope="module")
def ask(port: int) -> Ask:
    def ask(method: str, body: object, model: str = "toy") -> Answer:
        return http(f"http://127.0.0.1:{port}/v1/models/{model}:{method}", body, "POST")

    return ask


def test_regress(ask: Ask) -> None:
    """`examples` gives `results`, a number for each; features are lists or single values."""
    body = {"examples": [{"x": 0.2}, {"x": [4.0], "offset": 0.5}]}
    assert ask("regress", body) == (200, {"results": [2.1, 2.5]})
    assert ask("regress", body | {"signature_name": "flat"}, "toy/versions/1") == (200, {"results": [2.1, 2.5]})


def test_classify(ask: Ask) -> None:
    """`examples` gives `results`, for each a list of pairs of label and score."""
    examples = [{"x": 0.1, "name": "one"}, {"x": 2.5, "name": {"b64": base64.b64encode("zwö".encode()).decode()}}]
    expected = [[["one", 0.1], ["other", -0.1]], [["zwö", 2.5], ["other", -2.5]]]
    assert ask("classify", {"signature_name": "classify", "examples": examples}) == (200, {"results": expected})
    expected = [[["", 0.1], ["", -0.1]], [["", 2.5], ["", -2.5]]]
    assert ask("Classify", {"signature_name": "scores", "examples": examples}) == (200, {"results": expected})


def test_a_context_is_shared(ask: Ask) -> None:
    """Features of `context` are those of every example that has none of that name."""
    body = {"context": {"offset": 10.0}, "examples": [{"x": 2.0}, {"x": 2.0, "offset": 20.0}]}
    assert ask("regress", body) == (200, {"results": [11.0, 21.0]})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "JSON Parse error: The document is empty"),
        ({"signature_name": 3, "examples": []}, "'signature_name' key must be a string value."),
        ({}, "When method is classify, key 'examples' is expected and was not found"),
        ({"examples": {"x": 1.0}}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1.0]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [True]}, "Example must be JSON object but got JSON True"),
        ({"examples": [{"x": 1.0}, None]}, "Example must be JSON object but got JSON Null"),
        ({"context": [], "examples": [{"x": 1.0}]}, "Example must be JSON object but got JSON Array"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1.0]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": {"y": 1.0}}]}, "Feature: x has element with unexpected JSON type: Object"),
        ({"examples": [{"x": [1.0, 2]}]}, "Unexpected element type in feature: x expecting type: float"),
        ({"examples": [{"x": [1, "a"]}]}, "Unexpected element type in feature: x expecting type: int64"),
        ({"examples": [{"x": ["a", 1.0]}]}, "Unexpected element type in feature: x expecting type: bytes"),
        ({"examples": [{"x": 2**63}]}, "Feature: x has uint64_t element. Only int64_t is supported."),
        ({"examples": [{"x": 2**64}]}, "Feature: x has a number that is too large"),
        ({"examples": [{"x": {"b64": "!"}}]}, "Unable to base64 decode"),
        ({"examples": [{"x": 1}]}, "Data types don't match"),
        ({"examples": [{}]}, "Feature: x (data type: float) is required"),
        ({"signature_name": "none", "examples": [{"x": 1.0}]}, "No signature was found with the name: none"),
        ({"signature_name": "wide", "examples": [{"x": 1.0}]}, "Expected output Tensor shape to be either"),
    ],
    ids=str,
)
def test_bad_bodies(ask: Ask, body: object, text: str) -> None:
    """What makes no request is 400 with an `error` that says why."""
    status, answer = ask("regress", body)
    assert status == 400
    assert text in answer["error"]


def test_the_body_is_read_first(ask: Ask) -> None:
    """Of an unknown model, a bad body is told all the same; a good one is 404."""
    assert ask("regress", {}, "nobody")[0] == 400
    assert ask("regress", {"examples": [{"x": 1.0}]}, "nobody") == (
        404,
        {"error": "Servable not found for request: Latest(nobody)"},
    )


def test_features_keep_their_kind() -> None:
    """Whole numbers and truth values are int64, numbers with a point floats, text and base64 bytes; [] is none."""
    source = input_pb2.Input()
    features: dict[str, Any] = {"i": [1, -(2**63), True], "f": [1.0, -2.5e3], "b": ["a", {"b64": "AP8="}], "none": []}
    fill_input({"examples": [features]}, source)
    (example,) = source.example_list.examples
    feature = example.features.feature
    assert list(feature["i"].int64_list.value) == [1, -(2**63), 1]
    assert list(feature["f"].float_list.value) == [1.0, -2500.0]
    assert list(feature["b"].bytes_list.value) == [b"a", b"\x00\xff"]
    assert feature["none"].WhichOneof("kind") is None
    with pytest.raises(StatusError):
        fill_input({"examples": [{"i": [1, 2.0]}]}, input_pb2.Input())


def test_metrics_and_access_log(ask: Ask, port: int, log: Path) -> None:
    """Both tell Classify and Regress from Predict, and how many examples there were."""
    assert ask("regress", {"examples": [{"x": 1.0}] * 3})[0] == 200
    call = json.loads(log.read_text().splitlines()[-1])
    told = {
        name: call[name] for name in ("entrypoint", "method", "model", "version", "signature", "elements", "status")
    }
    assert told == {
        "entrypoint": "REST",
        "method": "Regress",
        "model": "toy",
        "version": 1,
        "signature": "serving_default",
        "elements": 3,
        "status": "OK",
    }
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/monitoring/prometheus/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    for name in (
        ':tensorflow:serving:request_latency_count{API="Regress",entrypoint="REST",model_name="toy"}',
        ':tensorflow:serving:runtime_latency_count{API="Regress",model_name="toy",runtime="TF2"}',
    ):
        assert any(line.startswith(name) for line in lines)
