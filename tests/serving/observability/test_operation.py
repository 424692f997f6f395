"""What operators look at: metrics, health, reflection, the access log."""

import json
import os
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.serving.conftest import model_entry, model_list
from tests.serving.rest.test_rest import free_port, http

if TYPE_CHECKING:
    from tests.serving.conftest import Publish, RunServe, Server, Start

SERVICE = "tensorflow.serving.PredictionService"


def health(server: "Server", service: str = "") -> str:
    stub = health_pb2_grpc.HealthStub(server.channel)
    response = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))


@pytest.fixture
def base_path(saved_model: Path, publish: "Publish", tmp_path: Path) -> Path:
    publish(saved_model, tmp_path / "base", 1)
    return tmp_path / "base"


def test_metrics_and_access_log(base_path: Path, tmp_path: Path, start: "Start") -> None:
    """Prometheus reads counts, latencies, batch sizes and states; the log has a JSON object for each request."""
    port = free_port()
    (tmp_path / "monitoring.config").write_text('prometheus_config { enable: true path: "/metrics" }')
    (tmp_path / "batching.config").write_text("max_batch_size { value: 4 } allowed_batch_sizes: 4")
    log = tmp_path / "access.jsonl"
    server = start(
        base_path,
        f"--rest_api_port={port}",
        f"--monitoring_config_file={tmp_path / 'monitoring.config'}",
        "--enable_batching",
        f"--batching_parameters_file={tmp_path / 'batching.config'}",
        f"--access_log={log}",
    )
    server.predict({"image_bytes": [b"x", b"y", b"z"]})
    assert http(f"http://127.0.0.1:{port}/v1/models/toy:predict", {"instances": ["x"]})[0] == 200
    with pytest.raises(grpc.RpcError):
        server.predict({"image_bytes": [b"x"]}, version=9)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    for line in (
        "# TYPE :tensorflow:serving:request_count counter",
        ':tensorflow:serving:request_count{model_name="toy",status="OK"} 2.0',
        ':tensorflow:serving:request_count{model_name="toy",status="NOT_FOUND"} 1.0',
        ':tensorflow:serving:request_latency_count{API="Predict",entrypoint="REST",model_name="toy"} 1.0',
        ':tensorflow:serving:runtime_latency_count{API="Predict",model_name="toy",runtime="TF2"} 2.0',
        ':tensorflow:serving:batching_session:processed_batch_size_sum{model_name="toy"} 4.0',
        ':tensorflow:serving:batching_session:padding_size_sum{model_name="toy"} 4.0',
        ':tensorflow:serving:batching_session:queuing_latency_count{model_name="toy"} 2.0',
        ':tensorflow:serving:batching_session:queuing_latency_bucket{le="+Inf",model_name="toy"} 2.0',
        ':tensorflow:serving:model_warmup_latency_count{model_name="toy",status="OK"} 1.0',
        ':tensorflow:serving:servable_state{model_name="toy",state="AVAILABLE",version="1"} 1.0',
    ):
        assert line in text.splitlines()
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    told = [(call["entrypoint"], call["method"], call["version"], call["elements"], call["status"]) for call in calls]
    assert told == [
        ("GRPC", "Predict", 1, 3, "OK"),
        ("REST", "Predict", 1, 1, "OK"),
        ("GRPC", "Predict", None, 1, "NOT_FOUND"),
    ]
    assert all(call["milliseconds"] > 0 and call["peer"] and call["model"] == "toy" for call in calls)


def test_health_follows_the_models(base_path: Path, tmp_path: Path, start: "Start") -> None:
    """Health is SERVING only while every configured model serves, for the server and for each service."""
    empty = tmp_path / "empty"
    empty.mkdir()
    server = start(empty, ready="waits for a version under")
    assert (health(server), health(server, SERVICE)) == ("NOT_SERVING", "NOT_SERVING")
    os.rename(base_path / "1", empty / "1")  # noqa: PTH104 - one step, as a publisher does
    server.wait_for("version 1 AVAILABLE")
    deadline = time.monotonic() + 10
    while health(server) != "SERVING" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (health(server), health(server, SERVICE)) == ("SERVING", "SERVING")
    both = model_list(model_entry("toy", empty), model_entry("other", base_path))
    assert server.reload(both)[0] != 0
    assert health(server) == "NOT_SERVING"
    with pytest.raises(grpc.RpcError) as caught:
        health(server, "no.such.Service")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_watching_health(base_path: Path, tmp_path: Path, start: "Start") -> None:
    """Who watches the health service is told of changes, also after another who watched has left."""
    server = start(base_path)
    stub = health_pb2_grpc.HealthStub(server.channel)
    leaving, staying = (stub.Watch(health_pb2.HealthCheckRequest(), timeout=30) for _ in range(2))
    assert [next(watcher).status for watcher in (leaving, staying)] == [health_pb2.HealthCheckResponse.SERVING] * 2
    leaving.cancel()
    empty = tmp_path / "empty"
    empty.mkdir()
    server.reload(model_list(model_entry("toy", base_path), model_entry("none", empty)))
    assert next(staying).status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_reflection(base_path: Path, start: "Start") -> None:
    """Tools that know no .proto file find the services and their messages by reflection."""
    server = start(base_path)
    database = ProtoReflectionDescriptorDatabase(server.channel)
    assert {SERVICE, "tensorflow.serving.ModelService", "grpc.health.v1.Health"} <= set(database.get_services())
    predict = DescriptorPool(database).FindServiceByName(SERVICE).FindMethodByName("Predict")
    assert [field.name for field in predict.input_type.fields] == [
        "model_spec",
        "inputs",
        "output_filter",
        *[field.name for field in predict.input_type.fields[3:]],
    ]


def test_monitoring_needs_a_port(base_path: Path, tmp_path: Path, run_serve: "RunServe") -> None:
    """Metrics without REST, a malformed file and an unwritable log are refused by the flag's name."""
    path = tmp_path / "monitoring.config"
    path.write_text("prometheus_config { enable: true }")
    flags = (f"--model_base_path={base_path}", "--port=0", f"--grpc_socket_path={tmp_path / 'grpc'}")
    assert "give a --rest_api_port" in run_serve(*flags, f"--monitoring_config_file={path}").stderr
    path.write_text("nonsense")
    result = run_serve(*flags, f"--monitoring_config_file={path}", f"--rest_api_port={free_port()}")
    assert "--monitoring_config_file: Invalid protobuf file" in result.stderr
    assert "--access_log" in run_serve(*flags, f"--access_log={tmp_path}").stderr
