"""What is waited for before the first image, and what is not."""

import itertools
from pathlib import Path

import grpc
import pytest

from batch.client.endpoint import Endpoint
from batch.client.tensors import Target
from exporter.command import UserError
from tests.batch.conftest import ScriptedServer
from tests.conftest import ROOT, RunBatch


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with one file, which the scripted server reads as a 5."""
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.png").write_bytes(bytes([5]))
    return folder


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED]
)
def test_a_busy_server_is_waited_for(
    scripted: ScriptedServer, scans: Path, digits_batch: RunBatch, code: grpc.StatusCode
) -> None:
    """A server that has no thread for the first questions either is asked again, within --timeout."""
    calls = itertools.count()

    def be_busy(context: grpc.ServicerContext) -> None:
        # The first two calls of each of the two questions.
        if next(calls) % 3 < 2:
            context.abort(code, "Server Threadpool Exhausted")

    scripted.on_other_calls = be_busy
    result = digits_batch(scans, "--out", "out.csv", "--server", scripted.address, "--timeout", "20")
    assert result.returncode == 0, result.stderr
    assert (scans.parent / "out.csv").read_text().splitlines()[1].endswith("scans/a.png,5,0.5000,,1")
    assert next(calls) > 4


def test_a_server_that_stays_busy(scripted: ScriptedServer, scans: Path, digits_batch: RunBatch) -> None:
    """After --timeout, what it says is told, and the exit code is 3."""

    def be_busy(context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")

    scripted.on_other_calls = be_busy
    result = digits_batch(scans, "--out", "out.csv", "--server", scripted.address, "--timeout", "1")
    assert result.returncode == 3
    assert "gave up after 1 s" in result.stderr
    assert "Server Threadpool Exhausted" in result.stderr


def test_an_unloaded_version_is_not_waited_for(scripted: ScriptedServer, scans: Path, digits_batch: RunBatch) -> None:
    """A version that was unloaded does not come back: that is told at once, not after --timeout."""
    scripted.version = 2
    result = digits_batch(
        scans, "--out", "out.csv", "--server", scripted.address, "--timeout", "600", "--model-version", "1"
    )
    assert result.returncode == 2
    assert "has unloaded version 1 of model digits" in result.stderr
    endpoint = Endpoint([scripted.address])
    try:
        assert endpoint.wait_until_available(Target("digits", "serving_default"), 5) == 2
        with pytest.raises(UserError, match="unloaded version 1"):
            endpoint.wait_until_available(Target("digits", "serving_default", version=1), 600)
    finally:
        endpoint.close()


def test_the_included_version_is_warmed_up_for_these_requests(scripted: ScriptedServer) -> None:
    """Its warm-up requests ask for the outputs that digits-batch asks for, with and without probabilities."""
    import tensorflow as tf  # noqa: PLC0415 - slow
    from tensorflow_serving.apis import prediction_log_pb2  # noqa: PLC0415 - imports TensorFlow

    from exporter.contract import OUTPUTS  # noqa: PLC0415 - as above
    from exporter.warmup import WARMUP_FILE  # noqa: PLC0415 - imports TensorFlow

    target = Target("digits", "serving_default")
    endpoint = Endpoint([scripted.address])
    try:
        asked = {
            frozenset(endpoint.offer(target, 5, probabilities=probabilities).outputs) for probabilities in (False, True)
        }
    finally:
        endpoint.close()
    records = tf.data.TFRecordDataset(str(ROOT / "serving/models/digits/1" / WARMUP_FILE)).as_numpy_iterator()
    requests = [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]
    warmed = {
        frozenset(request.output_filter or OUTPUTS)
        for request in requests
        if request.model_spec.signature_name == target.signature
    }
    assert asked <= warmed
