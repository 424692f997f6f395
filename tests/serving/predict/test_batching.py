"""--enable_batching: many small requests run as few, and nobody gets another's answer or error."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import tensorflow as tf

from tests.serving.conftest import wait_at_gate

if TYPE_CHECKING:
    from tensorflow_serving.apis import predict_pb2

    from tests.serving.conftest import Gate, RunServe, Server, Start


def make_model() -> tuple[tf.Module, dict[str, Any]]:
    """A model whose answers tell how it was run."""

    def size(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"size": tf.fill(tf.shape(text), tf.size(text)), "same": text}

    def decode(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"pixels": tf.map_fn(tf.io.decode_png, image_bytes, fn_output_signature=tf.uint8)}

    def total(numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"total": tf.reduce_sum(numbers)}

    def times(numbers: tf.Tensor, factor: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"product": numbers * factor}

    def rows(table: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sums": tf.reduce_sum(table, axis=1), "size": tf.fill(tf.shape(table)[:1], tf.shape(table)[0])}

    vector = {"text": tf.string, "image_bytes": tf.string, "gate": tf.string, "numbers": tf.float32}

    def entry(function: Callable[..., Any], *names: str) -> Any:  # noqa: ANN401 - TensorFlow has no types
        specs = [tf.TensorSpec([None], vector[name], name=name) for name in names if name in vector]
        specs += [tf.TensorSpec([], tf.float32, name="factor")] if "factor" in names else []
        specs += [tf.TensorSpec([None, None], tf.float32, name="table")] if "table" in names else []
        return tf.function(function, input_signature=specs).get_concrete_function()

    return tf.Module(), {
        "serving_default": entry(size, "text"),
        "decode": entry(decode, "image_bytes"),
        "slow": entry(wait_at_gate, "gate"),
        "total": entry(total, "numbers"),
        "times": entry(times, "numbers", "factor"),
        "rows": entry(rows, "table"),
    }


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batching")
    module, signatures = make_model()
    tf.saved_model.save(module, str(folder / "base" / "1"), signatures=signatures)
    return folder / "base"


def start_with(start: "Start", base_path: Path, name: str, parameters: str) -> "Server":
    path = base_path.parent / name
    path.write_text(parameters)
    return start(base_path, "--enable_batching=true", f"--batching_parameters_file={path}")


@pytest.fixture(scope="module")
def patient(start_module: "Start", base_path: Path) -> "Server":
    """Batches of 8, which wait long."""
    return start_with(
        start_module,
        base_path,
        "patient",
        "max_batch_size { value: 8 } batch_timeout_micros { value: 1000000 } max_enqueued_batches { value: 100 }"
        "num_batch_threads { value: 2 }",
    )


@pytest.fixture(scope="module")
def narrow(start_module: "Start", base_path: Path) -> "Server":
    """One thread, one request at a time, one that waits; larger requests run in parts."""
    return start_with(
        start_module,
        base_path,
        "narrow",
        "max_batch_size { value: 10 } enable_large_batch_splitting { value: true } allowed_batch_sizes: [2, 4]"
        "max_execution_batch_size { value: 4 } max_enqueued_batches { value: 3 } num_batch_threads { value: 1 }",
    )


def together(
    server: "Server",
    requests: Sequence[dict[str, Any]],
    *,
    signature: str = "",
    output_filter: tuple[str, ...] = (),
) -> list["Future[predict_pb2.PredictResponse]"]:
    """Send requests at once, a thread each; wait for all."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return [
            pool.submit(server.predict, request, signature=signature, output_filter=output_filter)
            for request in requests
        ]


def test_concurrent_requests_run_as_one(patient: "Server") -> None:
    """Requests that come together run in one batch, and each gets its own rows, of the outputs that it asked for."""
    texts = [[b"a"], [b"b", b"c"], [b"d"], [b"e", b"f", b"g"], [b"h"]]
    responses = [future.result() for future in together(patient, [{"text": text} for text in texts])]
    assert [list(response.outputs["same"].string_val) for response in responses] == texts
    assert [set(response.outputs["size"].int_val) for response in responses] == [{8}] * 5
    filtered = together(patient, [{"text": [b"x"]}] * 8, output_filter=("same",))
    assert [sorted(future.result().outputs) for future in filtered] == [["same"]] * 8


def test_a_batch_waits_no_longer_than_its_timeout(patient: "Server") -> None:
    """A lonely request runs when its batch is as old as batch_timeout_micros."""
    begin = time.monotonic()
    assert patient.predict({"text": [b"lonely"]}).outputs["size"].int_val == [1]
    assert 0.9 < time.monotonic() - begin < 10


def test_callers_without_a_deadline(patient: "Server") -> None:
    """A caller that sets no deadline is answered like any other."""
    assert patient.predict({"text": [b"x"] * 8}, timeout=None).outputs["size"].int_val == [8] * 8


def test_corrupt_image_fails_only_its_own_request(patient: "Server") -> None:
    """Where a model fails for a corrupt image, the other callers of the same batch get their answers."""
    png = tf.io.encode_png(tf.zeros([2, 2, 1], tf.uint8)).numpy()
    futures = together(
        patient, [{"image_bytes": [png if n != 3 else b"corrupt"]} for n in range(8)], signature="decode"
    )
    errors = [future.exception() for future in futures]
    assert [n for n, error in enumerate(errors) if error] == [3]
    assert isinstance(errors[3], grpc.RpcError)
    assert errors[3].code() == grpc.StatusCode.INVALID_ARGUMENT


def test_requests_of_other_shapes_do_not_meet(patient: "Server") -> None:
    """Tables of different widths run in batches of their own."""
    tables = [[[1.0] * width] for width in (2, 3, 2, 3, 2, 3)]
    responses = [future.result() for future in together(patient, [{"table": t} for t in tables], signature="rows")]
    assert [response.outputs["sums"].float_val[0] for response in responses] == [2, 3, 2, 3, 2, 3]
    assert {response.outputs["size"].int_val[0] for response in responses} == {3}


def test_signatures_that_cannot_be_merged(patient: "Server") -> None:
    """A signature with a scalar input or output, and an empty request, are answered as without batching."""
    products = together(patient, [{"numbers": [2.0], "factor": float(n)} for n in range(4)], signature="times")
    assert [future.result().outputs["product"].float_val for future in products] == [[0], [2], [4], [6]]
    totals = together(patient, [{"numbers": [float(n), 1.0]} for n in range(4)], signature="total")
    assert [future.result().outputs["total"].float_val for future in totals] == [[1], [2], [3], [4]]
    assert patient.predict({"text": tf.constant([], tf.string)}).outputs["same"].tensor_shape.dim[0].size == 0


def test_too_large_a_request(patient: "Server", narrow: "Server") -> None:
    """More elements than max_batch_size are INVALID_ARGUMENT, in TensorFlow Serving's words."""
    for server, most in ((patient, 8), (narrow, 10)):
        with pytest.raises(grpc.RpcError) as caught:
            server.predict({"text": [b"x"] * (most + 1)})
        assert (caught.value.code(), caught.value.details()) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            f"Task size {most + 1} is larger than maximum input batch size {most}",
        )


def test_large_requests_run_in_parts(narrow: "Server") -> None:
    """With enable_large_batch_splitting no execution is larger than max_execution_batch_size, and none is odd."""
    texts = [bytes([n]) for n in range(9)]
    response = narrow.predict({"text": texts})
    assert list(response.outputs["same"].string_val) == texts
    assert list(response.outputs["size"].int_val) == [4, 4, 4, 4, 4, 4, 4, 4, 2]


def test_full_queue_and_dropped_work(narrow: "Server", gate: "Gate") -> None:
    """A full queue is UNAVAILABLE at once; requests whose callers gave up while they waited are never run."""
    codes: list[grpc.StatusCode] = []

    def call(timeout: float, path: str) -> None:
        try:
            narrow.predict({"gate": [path] * 4}, signature="slow", timeout=timeout)
        except grpc.RpcError as error:
            codes.append(error.code())

    first = threading.Thread(target=call, args=(60, gate.path))
    first.start()
    time.sleep(0.3)
    waiting = [threading.Thread(target=call, args=(1, gate.never)) for _ in range(6)]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    assert sorted(code.name for code in codes) == ["DEADLINE_EXCEEDED"] * 3 + ["UNAVAILABLE"] * 3
    # If any other was run, it would wait at its gate, and everything after it for the only thread.
    gate.open()
    first.join()
    assert narrow.predict({"text": [b"next"]}).outputs["size"].int_val == [2]
    assert len(codes) == 6


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ("max_batch_size: 8", "Invalid protobuf file: "),
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1, not 0"),
        ("pad_variable_length_inputs: true", "pad_variable_length_inputs is not supported"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: 4", "allowed_batch_sizes must ascend and end with"),
        ("max_execution_batch_size { value: 8 }", "needs enable_large_batch_splitting"),
        ("batch_timeout_micros { value: -1 }", "must not be negative"),
    ],
)
def test_bad_parameters_are_refused(
    base_path: Path, tmp_path: Path, run_serve: "RunServe", parameters: str, reason: str
) -> None:
    """A parameter that makes no sense, or is not supported, ends the server at the start, by its name."""
    path = tmp_path / "batching.config"
    path.write_text(parameters)
    flags = [f"--model_base_path={base_path}", f"--batching_parameters_file={path}"]
    result = run_serve(*flags, "--enable_batching")
    assert result.returncode == 2
    assert reason in result.stderr
    assert "--enable_batching" in run_serve(*flags).stderr
