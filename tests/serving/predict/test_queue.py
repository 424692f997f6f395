"""Requests that wait for a thread: how many may, and what becomes of those whose callers give up."""

import json
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tests.serving.rest.test_rest import free_port

if TYPE_CHECKING:
    from tests.serving.conftest import Gate, Publish, Server, Start

MOST_WAITING = 1000
ONE_THREAD = "--grpc_max_threads=1", "--tensorflow_session_parallelism=1"


@pytest.fixture
def base_path(saved_model: Path, publish: "Publish", tmp_path: Path) -> Path:
    publish(saved_model, tmp_path / "base", 1)
    return tmp_path / "base"


def slow_request(gate: str) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(model_spec={"name": "toy", "signature_name": "slow"})
    request.inputs["gate"].CopyFrom(tf.make_tensor_proto([gate]))
    return request


def keep_busy(server: "Server", gate: "Gate") -> threading.Thread:
    """Let the only thread run a request until the gate opens."""
    grpc.channel_ready_future(server.channel).result(timeout=30)  # calls overtake each other while it connects
    first = threading.Thread(target=lambda: server.prediction.Predict(slow_request(gate.path), 60))
    first.start()
    time.sleep(0.5)
    return first


def test_requests_given_up_are_never_run(base_path: Path, tmp_path: Path, start: "Start", gate: "Gate") -> None:
    """Those whose callers gave up while they waited for a thread cost nothing; the log tells how they ended."""
    port, log = free_port(), tmp_path / "access.jsonl"
    (tmp_path / "monitoring.config").write_text("prometheus_config { enable: true }")
    server = start(
        base_path,
        *ONE_THREAD,
        f"--rest_api_port={port}",
        f"--monitoring_config_file={tmp_path / 'monitoring.config'}",
        f"--access_log={log}",
    )
    first = keep_busy(server, gate)
    late = [server.prediction.Predict.future(slow_request(gate.never), 1) for _ in range(3)]
    gone = [server.prediction.Predict.future(slow_request(gate.never), 60) for _ in range(3)]
    time.sleep(0.2)
    for call in gone:
        call.cancel()
    assert [call.exception().code() for call in late] == [grpc.StatusCode.DEADLINE_EXCEEDED] * 3
    gate.open()
    first.join()
    assert server.predict({"image_bytes": [b"next"]}).outputs["length"].int64_val == [4]
    counted = ':tensorflow:serving:runtime_latency_count{API="Predict",model_name="toy",runtime="TF2"} 2.0'
    deadline = time.monotonic() + 10
    # An answer may be on its way before it is counted.
    while counted not in (lines := _metrics(port)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert counted in lines, "\n".join(lines)
    codes = Counter(json.loads(line)["status"] for line in log.read_text().splitlines())
    assert codes == {"OK": 2, "DEADLINE_EXCEEDED": 3, "CANCELLED": 3}


def _metrics(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/monitoring/prometheus/metrics", timeout=10) as page:
        text: str = page.read().decode()
    return text.splitlines()


def test_too_many_requests(base_path: Path, start: "Start", gate: "Gate") -> None:
    """More requests than may wait are RESOURCE_EXHAUSTED at once, and the server goes on."""
    server = start(base_path, *ONE_THREAD)
    first = keep_busy(server, gate)
    calls = [server.prediction.Predict.future(slow_request(gate.path), 60) for _ in range(MOST_WAITING + 50)]
    # Not always the last ones: calls may overtake each other on their way.
    deadline = time.monotonic() + 30
    while sum(call.done() for call in calls) < 50 and time.monotonic() < deadline:
        time.sleep(0.05)
    refused = [call for call in calls if call.done()]
    assert {call.code() for call in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(refused) == 50
    for call in calls:
        call.cancel()
    gate.open()
    first.join()
    assert server.predict({"image_bytes": [b"next"]}).outputs["length"].int64_val == [4]
