"""How the server follows the versions under its base path."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.lifecycle.versions import find_versions, fingerprint, local_folder
from tests.serving.conftest import model_entry, model_list

if TYPE_CHECKING:
    from tests.serving.conftest import Gate, Publish, RunServe, Server, Start


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def ask(server: "Server", version: int | None = None) -> int:
    """Predict; return the version that answered."""
    response = server.predict({"image_bytes": [b"four"]}, version=version)
    assert response.outputs["length"].int64_val == [4]
    return int(response.model_spec.version.value)


class Load:
    """Threads that call Predict without a pause and keep what they get."""

    def __init__(self, server: "Server", threads: int) -> None:
        self.versions: list[int] = []
        self.failures: list[str] = []
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        while not self._stop.is_set():
            try:
                self.versions.append(ask(self._server))
            except grpc.RpcError as error:
                self.failures.append(str(error))


def test_new_version_takes_over_under_load(
    saved_model: Path, tmp_path: Path, publish: "Publish", start: "Start"
) -> None:
    """A new version replaces the old one while clients call without a pause, and not one call fails."""
    publish(saved_model, tmp_path, 1)
    server = start(tmp_path)
    with Load(server, threads=4) as load:
        eventually(lambda: len(load.versions) > 100)
        publish(saved_model, tmp_path, 2)
        server.wait_for("version 2 AVAILABLE")
        publish(saved_model, tmp_path, 10)
        server.wait_for("version 10 AVAILABLE")
        enough = len(load.versions) + 100
        eventually(lambda: len(load.versions) > enough)
    assert load.failures == []
    assert set(load.versions) == {1, 2, 10}
    eventually(lambda: server.states() == {1: ("END", ""), 2: ("END", ""), 10: ("AVAILABLE", "")})
    with pytest.raises(grpc.RpcError) as caught:
        ask(server, version=2)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "Servable not found for request: Specific(toy, 2)"


def test_request_under_way_finishes_on_the_old_version(
    saved_model: Path, tmp_path: Path, publish: "Publish", start: "Start", gate: "Gate"
) -> None:
    """A long request keeps its version loaded, UNLOADING, until it is answered; then the version is END."""
    publish(saved_model, tmp_path, 1)
    server = start(tmp_path)
    answers: list[predict_pb2.PredictResponse] = []
    slow = threading.Thread(
        target=lambda: answers.append(server.predict({"gate": [gate.path]}, signature="slow", timeout=60))
    )
    slow.start()
    time.sleep(0.5)
    publish(saved_model, tmp_path, 2)
    server.wait_for("version 2 AVAILABLE")
    eventually(lambda: server.states()[1] == ("UNLOADING", ""))
    assert not answers
    gate.open()
    slow.join()
    assert answers[0].model_spec.version.value == 1
    eventually(lambda: server.states()[1] == ("END", ""))


def test_broken_version_is_reported_and_mended(
    saved_model: Path, tmp_path: Path, publish: "Publish", start: "Start"
) -> None:
    """A half-written version is reported with its error and never served; once whole, it takes over."""
    publish(saved_model, tmp_path, 1)
    server = start(tmp_path)
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "variables").mkdir()
    server.wait_for("version 2 failed to load")
    state, message = server.states()[2]
    assert state == "END"
    assert "SavedModel file does not exist" in message
    assert ask(server) == 1
    with pytest.raises(grpc.RpcError) as caught:
        ask(server, version=2)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "version 2 failed to load" in (caught.value.details() or "")

    shutil.copy(saved_model / "saved_model.pb", tmp_path / "2")
    server.wait_for("version 2 failed to load")  # its variables are still missing
    shutil.copytree(saved_model / "variables", tmp_path / "2" / "variables", dirs_exist_ok=True)
    server.wait_for("version 2 AVAILABLE")
    assert ask(server) == 2
    attempts = len([line for line in server.log if "version 2 loading" in line])
    assert attempts <= 5, "tried again only when files had changed"


def test_broken_version_keeps_no_later_one_out(
    saved_model: Path, tmp_path: Path, publish: "Publish", start: "Start"
) -> None:
    """A version that waits for its next try holds nothing up, though one version is loaded at a time."""
    publish(saved_model, tmp_path / "base", 1)
    config = tmp_path / "models.config"
    config.write_text(model_list(model_entry("toy", tmp_path / "base", "model_version_policy { all {} }")))
    server = start(tmp_path / "base", f"--model_config_file={config}", "--num_load_threads=0")
    (tmp_path / "base" / "6").mkdir()
    server.wait_for("version 6 failed to load")
    publish(saved_model, tmp_path / "base", 7)
    server.wait_for("version 7 AVAILABLE", seconds=30.0)  # the next try of version 6 is a minute away
    assert [state for state, _ in server.states().values()] == ["AVAILABLE", "END", "AVAILABLE"]
    assert ask(server) == 7


def test_versions_come_and_go(saved_model: Path, tmp_path: Path, publish: "Publish", start: "Start") -> None:
    """The server starts without a version, serves the newest, and goes back when that is deleted."""
    server = start(tmp_path, ready="waits for a version under")
    with pytest.raises(grpc.RpcError) as caught:
        server.prediction.Predict(
            predict_pb2.PredictRequest(model_spec={"name": "toy"}), wait_for_ready=True, timeout=30
        )
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "no version under" in (caught.value.details() or "")
    for version in (1, 2, 3):
        publish(saved_model, tmp_path, version)
        server.wait_for(f"version {version} AVAILABLE")
    (tmp_path / "3").rename(tmp_path / "withdrawn")
    server.wait_for("version 2 AVAILABLE")
    assert ask(server) == 2
    eventually(lambda: server.states() == {1: ("END", ""), 2: ("AVAILABLE", ""), 3: ("END", "")})
    (tmp_path / "withdrawn").rename(tmp_path / "00003")
    server.wait_for("version 3 AVAILABLE")
    assert ask(server) == 3


def write_warmup(version: Path, *records: bytes) -> None:
    folder = version / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for record in records:
            writer.write(record)


def warmup_record(**inputs: object) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "another name"
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return bytes(log.SerializeToString())


def test_warmup(saved_model: Path, tmp_path: Path, publish: "Publish", start: "Start") -> None:
    """A version with good warm-up records serves; one bad record keeps a version from serving, and says why."""
    staging, base_path = tmp_path / "staging", tmp_path / "base"
    base_path.mkdir()

    def publish_with(version: int, *records: bytes) -> None:
        write_warmup(publish(saved_model, staging, version), *records)
        (staging / str(version)).rename(base_path / str(version))

    publish_with(1, warmup_record(image_bytes=[b"x"]), warmup_record(image_bytes=[b"x", b"y"]))
    server = start(base_path)
    bad = {
        2: (warmup_record(image_bytes=[b"x"]), warmup_record(images=[b"x"])),
        3: (b"\xff\xff\xff",),
        4: (b"",),
        5: (warmup_record(image_bytes=[b"x"]),) * 1001,
    }
    reasons = {
        2: "input tensor alias not found in signature: images",
        3: "Failed to parse warmup record",
        4: "Unsupported log_type for warmup",
        5: "Number of warmup records exceeds the maximum (1000)",
    }
    for version, records in bad.items():
        publish_with(version, *records)
        assert reasons[version] in server.wait_for(f"version {version} failed to load")
        assert reasons[version] in server.states()[version][1]
    publish(saved_model, staging, 6)
    (staging / "6" / "assets.extra").mkdir()
    (staging / "6" / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no TFRecord at all")
    (staging / "6").rename(base_path / "6")
    assert "verify your warmup data is in TFRecord format" in server.wait_for("version 6 failed to load")
    assert ask(server) == 1


def test_warmup_switched_off(saved_model: Path, tmp_path: Path, publish: "Publish", start: "Start") -> None:
    """With --enable_model_warmup=false records are not looked at; a broken newest version hides no older one."""
    write_warmup(publish(saved_model, tmp_path, 1), b"\xff\xff\xff")
    (tmp_path / "2").mkdir()
    server = start(tmp_path, "--enable_model_warmup=false")
    assert ask(server) == 1
    assert [state for state, _ in server.states().values()] == ["AVAILABLE", "END"]


def test_which_folders_are_versions(tmp_path: Path) -> None:
    """Folders named by a positive integer count, with leading zeros too; nothing else does."""
    for name in ("1", "00000123", "0", "-3", "+4", "1.5", "five", "7x", "٣", " 8", str(2**63), ".9", "tmp-12"):
        (tmp_path / name).mkdir()
    (tmp_path / "44").write_text("a file")
    assert find_versions(tmp_path) == {1: tmp_path / "1", 123: tmp_path / "00000123"}


@pytest.mark.parametrize(
    ("base_path", "folder"),
    [
        ("/models/digits", "/models/digits"),
        ("models", "models"),
        ("file:///models/digits", "/models/digits"),
        ("file://host/models", "/models"),
        ("/odd/name:with//slashes", "/odd/name:with//slashes"),
    ],
)
def test_base_paths(base_path: str, folder: str) -> None:
    """A base path is a path, or a URI of a file."""
    assert local_folder(base_path) == Path(folder)


@pytest.mark.parametrize("scheme", ["gs", "s3", "hdfs", "https", "ram"])
def test_other_file_systems_are_refused_by_name(scheme: str, run_serve: "RunServe") -> None:
    """A base path on a file system that this server cannot read is refused in one line that names it."""
    with pytest.raises(ValueError, match=f"File system scheme '{scheme}' not implemented"):
        local_folder(f"{scheme}://bucket/models")
    if scheme == "gs":
        result = run_serve(f"--model_base_path={scheme}://bucket/models")
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert line.startswith("digits-serve: --model_base_path: File system scheme 'gs' not implemented")


def test_fingerprint_sees_every_change(tmp_path: Path) -> None:
    """A version folder that gains, loses or rewrites a file is told from its earlier self."""
    seen = {fingerprint(tmp_path)}
    (tmp_path / "variables").mkdir()
    for change in (
        lambda: (tmp_path / "saved_model.pb").write_text("a"),
        lambda: (tmp_path / "saved_model.pb").write_text("ab"),
        lambda: (tmp_path / "variables" / "index").write_text(""),
        (tmp_path / "saved_model.pb").unlink,
    ):
        change()
        assert fingerprint(tmp_path) not in seen
        seen.add(fingerprint(tmp_path))
    assert fingerprint(tmp_path) in seen
