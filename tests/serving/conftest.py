"""SavedModels to serve and real digits-serve processes to serve them."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

if TYPE_CHECKING:
    from tests.serving.original import Original

READY_SECONDS = 120.0
# A server is to be as quiet as users get to see it, whatever is set for the tests.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


def wait_at_gate(gate: tf.Tensor) -> dict[str, tf.Tensor]:
    """An entry point whose requests last until the gate of their first row opens, at next to no cost."""
    looks = tf.data.Dataset.from_tensors(gate[0]).repeat()
    spec = looks.element_spec
    each = tf.raw_ops.SleepDataset(
        input_dataset=tf.data.experimental.to_variant(looks),
        sleep_microseconds=tf.constant(10_000, tf.int64),
        output_types=[spec.dtype],
        output_shapes=[spec.shape],
    )
    looks = tf.data.experimental.from_variant(each, spec)
    in_vain = looks.take_while(lambda path: tf.size(tf.io.matching_files(path)) == 0)
    return {"looks": tf.fill(tf.shape(gate), in_vain.reduce(0, lambda count, _: count + 1))}


class Gate:
    """What requests of `wait_at_gate` wait for: a file."""

    def __init__(self, folder: Path) -> None:
        self._path, self._never = folder / "gate", folder / "never"
        self.path, self.never = str(self._path), str(self._never)
        """Its name in requests, and that of another one, which opens when the test is over."""

    def open(self) -> None:
        """Let pass who waits, and who comes."""
        self._path.touch()

    def open_all(self) -> None:
        """Let everybody pass: a server that is stopped waits for its requests."""
        self._path.touch()
        self._never.touch()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate that is closed; to be asked for after `start`, as it is to open before the server is stopped."""
    gate = Gate(tmp_path)
    yield gate
    gate.open_all()


def make_lengths() -> Any:  # noqa: ANN401 - TensorFlow has no types
    """Make a small model that is quick to load, with an entry point that takes as long as one wants (`Gate`)."""
    module = tf.Module()
    module.factor = tf.Variable(3, dtype=tf.int64)

    def lengths(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        length = tf.cast(tf.strings.length(image_bytes), tf.int64)
        return {"length": length, "tripled": length * module.factor, "same": image_bytes}

    module.lengths = tf.function(lengths, input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    module.slow = tf.function(wait_at_gate, input_signature=[tf.TensorSpec([None], tf.string, name="gate")])
    return module


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with the signatures of `make_lengths`."""
    folder = tmp_path_factory.mktemp("lengths") / "saved_model"
    module = make_lengths()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.lengths, "slow": module.slow})
    return folder


Publish = Callable[[Path, Path, int], Path]


@pytest.fixture(scope="session")
def publish() -> Publish:
    return _publish


def _publish(source: Path, base_path: Path, version: int) -> Path:
    """Copy a SavedModel to base_path/version, whole from the first moment."""
    base_path.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, base_path / "copying")
    return (base_path / "copying").rename(base_path / str(version))


class Server:
    """A digits-serve process, its log so far, and stubs to call it."""

    def __init__(self, *flags: str, address: str, stdin: int | None = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "serving.cli", *flags],
            stdin=stdin,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        self.log: list[str] = []
        self._new_lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(address, options=options)
        prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.prediction = prediction
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))
            self._new_lines.put(line)
        self._new_lines.put("")  # the process is gone

    def wait_for(self, text: str, seconds: float = READY_SECONDS) -> str:
        """Wait for a log line that was not looked at yet and contains `text`."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._new_lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"no {text!r} in the log: {self.log}")
            if not line:
                pytest.fail(f"the server ended without {text!r} in the log: {self.log}")
            if text in line:
                return line

    def predict(
        self,
        inputs: dict[str, Any],
        *,
        signature: str = "",
        version: int | None = None,
        label: str = "",
        output_filter: tuple[str, ...] = (),
        name: str = "toy",
        timeout: float | None = 30.0,
    ) -> predict_pb2.PredictResponse:
        """Call Predict; inputs are TensorProtos or whatever makes one."""
        request = predict_pb2.PredictRequest(output_filter=output_filter)
        request.model_spec.name = name
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        if label:
            request.model_spec.version_label = label
        for alias, value in inputs.items():
            proto = value if hasattr(value, "tensor_shape") else tf.make_tensor_proto(value)
            request.inputs[alias].CopyFrom(proto)
        return self.prediction.Predict(request, timeout=timeout)

    def states(self, name: str = "toy") -> dict[int, tuple[str, str]]:
        """Return version: (state, error message) as GetModelStatus tells."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        response = self.models.GetModelStatus(request, timeout=30.0, wait_for_ready=True)
        state_name = get_model_status_pb2.ModelVersionStatus.State.Name
        return {
            entry.version: (state_name(entry.state), entry.status.error_message)
            for entry in response.model_version_status
        }

    def reload(self, config: str, timeout: float | None = 30.0) -> tuple[int, str]:
        """Call HandleReloadConfigRequest with a config in text form; return error code and message."""
        request = model_management_pb2.ReloadConfigRequest()
        text_format.Parse(config, request.config)
        status = self.models.HandleReloadConfigRequest(request, timeout=timeout).status
        return status.error_code, status.error_message

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the process; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=30.0)
        self._reader.join(timeout=10.0)
        self.channel.close()
        return code


def model_entry(name: str, base_path: Path, more: str = "") -> str:
    """One model of a ModelServerConfig in text form."""
    return f'config {{ name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" {more} }}'


def model_list(*entries: str) -> str:
    """A ModelServerConfig in text form."""
    return f"model_config_list {{ {' '.join(entries)} }}"


Start = Callable[..., Server]


@pytest.fixture(scope="module")
def start_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start servers that live as long as the test module."""
    with ExitStack() as stack:
        yield _starter(stack, tmp_path_factory)


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start servers that live as long as the test."""
    with ExitStack() as stack:
        yield _starter(stack, tmp_path_factory)


def _starter(stack: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Start:
    def start(base_path: Path, *flags: str, ready: str = " AVAILABLE") -> Server:
        socket_path = tmp_path_factory.mktemp("s") / "grpc"
        server = Server(
            f"--model_base_path={base_path}",
            "--model_name=toy",
            "--port=0",
            f"--grpc_socket_path={socket_path}",
            "--file_system_poll_wait_seconds=0.1",
            *flags,
            address=f"unix:{socket_path}",
        )
        stack.callback(server.stop)
        server.wait_for(ready)
        return server

    return start


RunServer = Callable[..., Server]


def runner(stack: ExitStack) -> RunServer:
    """Start servers with flags all of one's own, which are stopped with the stack."""

    def run_server(*flags: str, address: str) -> Server:
        server = Server(*flags, address=address)
        stack.callback(server.stop)
        return server

    return run_server


@pytest.fixture
def run_server() -> Iterator[RunServer]:
    """Start servers with flags all of one's own; they live as long as the test."""
    with ExitStack() as stack:
        yield runner(stack)


Originals = Callable[..., "Original"]


@pytest.fixture
def original(run_server: RunServer, tmp_path: Path) -> Originals:
    """Start servers as scripts for tensorflow_model_server do, all on one socket path."""
    from tests.serving.original import Original  # noqa: PLC0415 - it imports from here

    return lambda *flags: Original(run_server, tmp_path / "tf-serving.sock", *flags)


RunServe = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run_serve() -> RunServe:
    return _run_serve


def _run_serve(*flags: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    """Run digits-serve to its end; for flags that it refuses."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "serving.cli", *flags],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**ENVIRONMENT, "COLUMNS": "200", "NO_COLOR": "1"},
    )
