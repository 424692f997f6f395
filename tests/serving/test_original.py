"""What scripts and clients written for TensorFlow Serving count on: its flags, its files, its answers."""

import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
)

from tests.serving.conftest import model_entry, model_list, runner
from tests.serving.old_models import write_affine
from tests.serving.original import VERSION, Original, of_model

if TYPE_CHECKING:
    from tests.serving.conftest import Originals, RunServe


@pytest.fixture(scope="module")
def half_plus_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_affine(tmp_path_factory.mktemp("half_plus_two") / VERSION, 2.0).parent


@pytest.fixture(scope="module")
def half_plus_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_affine(tmp_path_factory.mktemp("half_plus_three") / VERSION, 3.0).parent


@pytest.fixture(scope="module")
def server(half_plus_two: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    """A server of half plus two for the tests that only ask."""
    with ExitStack() as stack:
        socket = tmp_path_factory.mktemp("s") / "tf-serving.sock"
        yield Original(runner(stack), socket, *of_model(half_plus_two))


def test_predict_over_tcp_and_socket(server: Original) -> None:
    """As soon as a missing model is told to be missing, the others answer, by TCP and socket, filtered or not."""
    assert server.predict() == (3.0, 123, "serving_default")
    assert server.predict(output_filter=("y",), signature="serving_default") == (3.0, 123, "serving_default")
    assert server.predict(address=f"unix:{server.socket}") == (3.0, 123, "serving_default")
    # Its signature says [-1, 1], but the graph takes anything.
    assert server.predict(shape=(1, 1)) == (3.0, 123, "serving_default")


def test_rest(server: Original) -> None:
    """REST answers rows and columns, states and signatures, in the original's very JSON."""
    path = "/v1/models/default"
    assert server.get(f"{path}:predict", {"instances": [2.0, 3.0, 4.0]}) == {"predictions": [3.0, 3.5, 4.0]}
    assert server.get(f"{path}:predict", {"inputs": [2.0, 3.0, 4.0]}) == {"outputs": [3.0, 3.5, 4.0]}
    assert server.get(f"{path}/versions/123:predict", {"inputs": {"x": [[2.0]]}}) == {"outputs": [[3.0]]}
    status = {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert server.get(path) == {"model_version_status": [status]}
    metadata = server.get(f"{path}/metadata")
    assert metadata["model_spec"] == {"name": "default", "signature_name": "", "version": "123"}
    assert list(metadata["metadata"]) == ["signature_def"]
    assert list(metadata["metadata"]["signature_def"]) == ["signature_def"]
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    shape = {"dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}], "unknown_rank": False}
    assert signatures["serving_default"] == {
        "inputs": {"x": {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": "x:0"}},
        "outputs": {"y": {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": "y:0"}},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    assert signatures["regress"]["inputs"]["inputs"]["dtype"] == "DT_STRING"


def test_metadata_and_status(server: Original) -> None:
    """GetModelMetadata names signatures by TensorFlow 1, and GetModelStatus has one version, without an error."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "default"
    packed = server.server.prediction.GetModelMetadata(request, 5.0).metadata["signature_def"]
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert packed.Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["x"].name == "x:0"
    assert server.server.states("default") == {123: ("AVAILABLE", "")}
    status = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "default"})
    (entry,) = server.server.models.GetModelStatus(status, 5.0).model_version_status
    assert entry.HasField("status")
    assert entry.status.error_code == 0


def test_flags(half_plus_two: Path, tmp_path: Path, original: "Originals") -> None:
    """Batching, channel arguments, metrics, and flags that ask for what is so anyway are taken together."""
    (tmp_path / "batching.txt").write_text(
        "max_batch_size { value: 128 } batch_timeout_micros { value: 0 } max_enqueued_batches { value: 1000000 } "
        "num_batch_threads { value: 8 }"
    )
    (tmp_path / "monitoring.txt").write_text(
        'prometheus_config: { enable: true, path: "/monitoring/prometheus/metrics" }'
    )
    server = original(
        *of_model(half_plus_two),
        "--enable_batching",
        f"--batching_parameters_file={tmp_path / 'batching.txt'}",
        "--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb",
        f"--monitoring_config_file={tmp_path / 'monitoring.txt'}",
        "--use_tflite_model=false",
        "--flush_filesystem_caches=true",
        "--tensorflow_session_parallelism=2",
        "--tensorflow_intra_op_parallelism=1",
        "--saved_model_tags=serve",
        "--enable_model_warmup=true",
    )
    assert server.predict() == (3.0, 123, "serving_default")
    with urllib.request.urlopen(f"http://localhost:{server.rest}/monitoring/prometheus/metrics", timeout=10) as page:
        assert b"# TYPE :tensorflow:serving:request_count counter" in page.read()


@pytest.mark.parametrize(
    "flag", ["--use_tflite_model=true", "--platform_config_file=x", "--per_process_gpu_memory_fraction=0.5"]
)
def test_what_cannot_be_honoured(half_plus_two: Path, run_serve: "RunServe", flag: str) -> None:
    """A flag of the original's that asks for what this server cannot do is refused by name."""
    result = run_serve(f"--model_base_path={half_plus_two}", flag)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert flag.partition("=")[0] in line


def test_bad_config_file(tmp_path: Path, run_serve: "RunServe") -> None:
    """The end that a malformed file puts to the server is worded as the original's, in which scripts look for it."""
    path = tmp_path / "bad_model_config.txt"
    path.write_text("improperly formatted file")
    result = run_serve("--port=0", f"--grpc_socket_path={tmp_path / 's'}", f"--model_config_file={path}")
    assert result.returncode != 0
    assert f"Invalid protobuf file: '{path}'" in result.stderr
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in result.stderr


def test_config_file_is_polled_or_not(
    half_plus_two: Path, half_plus_three: Path, tmp_path: Path, original: "Originals"
) -> None:
    """A changed file takes effect within a second of its poll; with a period of 0, never."""
    two, three = (
        f'model_config_list: {{ config: {{ name: "{name}", base_path: "{path}", model_platform: "tensorflow" }} }}'
        for name, path in (("half_plus_two", half_plus_two), ("half_plus_three", half_plus_three))
    )
    files = tmp_path / "polled.txt", tmp_path / "once.txt"
    for file in files:
        file.write_text(two)
    polled, once = (
        original(f"--model_config_file={file}", f"--model_config_file_poll_wait_seconds={period}")
        for file, period in zip(files, (1, 0), strict=True)
    )
    for server in (polled, once):
        assert server.predict(name="half_plus_two") == (3.0, 123, "serving_default")
    for file in files:
        file.write_text(three)
    polled.server.wait_for("configured from")
    assert polled.predict(name="half_plus_three") == (4.0, 123, "serving_default")
    assert once.predict(name="half_plus_two") == (3.0, 123, "serving_default")


def test_two_models_and_a_reload(
    half_plus_two: Path, half_plus_three: Path, tmp_path: Path, original: "Originals"
) -> None:
    """A file with two models serves both; HandleReloadConfigRequest replaces them, labels included."""
    file = tmp_path / "good.txt"
    entries = model_entry("two", half_plus_two), model_entry("three", half_plus_three)
    file.write_text(model_list(*entries))
    server = original(f"--model_config_file={file}")
    assert [server.predict(name=name)[0] for name in ("two", "three")] == [3.0, 4.0]
    labelled = model_entry("three", half_plus_three, "version_labels { key: 'stable' value: 123 }")
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(model_list(labelled), request.config)
    with grpc.insecure_channel(server.address) as channel:
        status = model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, 10.0).status
    assert (status.error_code, status.error_message) == (0, "")
    assert server.get("/v1/models/three/labels/stable:predict", {"instances": [[2.0]]}) == {"predictions": [[4.0]]}
    assert server.get("/v1/models/three/labels/canary:predict", {"instances": [[2.0]]}) == {
        "error": "Unrecognized servable version label: canary"
    }
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(name="two")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_socket_changes_hands(half_plus_two: Path, half_plus_three: Path, original: "Originals") -> None:
    """A second server on the same socket path takes it over; the first goes on by TCP, and takes nothing with it."""
    first, second = original(*of_model(half_plus_two)), original(*of_model(half_plus_three))
    socket = f"unix:{second.socket}"
    assert first.predict(address=socket)[0] == 4.0
    assert first.predict()[0] == 3.0
    assert first.server.stop() == 0
    assert second.predict(address=socket)[0] == 4.0
    assert any("was another server's socket" in line for line in second.server.log)
    assert second.server.stop() == 0
    assert not second.socket.exists()


def test_a_model_that_does_not_load(half_plus_two: Path, tmp_path: Path, original: "Originals") -> None:
    """A damaged model is told of by status and errors; the server and its other models go on."""
    (tmp_path / "bad" / VERSION).mkdir(parents=True)
    (tmp_path / "bad" / VERSION / "saved_model.pb").write_bytes(b"damaged")
    file = tmp_path / "models.txt"
    file.write_text(model_list(model_entry("bad", tmp_path / "bad"), model_entry("default", half_plus_two)))
    server = original(f"--model_config_file={file}")
    assert server.predict()[0] == 3.0
    (state, message) = server.server.states("bad")[123]
    assert state == "END"
    assert message
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(name="bad")
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "Servable not" in server.get("/v1/models/bad:predict", {"instances": [1.0]})["error"]
