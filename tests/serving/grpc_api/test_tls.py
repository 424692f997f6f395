"""TLS, mutual TLS, limits and the drain."""

import queue
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
import trustme
from google.protobuf import text_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from serving.config_pb2 import SSLConfig
from tests.serving.rest.test_rest import free_port

if TYPE_CHECKING:
    from tests.serving.conftest import Gate, Publish, RunServe, Start


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def base_path(saved_model: Path, publish: "Publish", tmp_path: Path) -> Path:
    publish(saved_model, tmp_path / "base", 1)
    return tmp_path / "base"


def ssl_config(path: Path, authority: trustme.CA, *, client_verify: bool) -> Path:
    """Write an SSLConfig as users do: PEM texts in a text file."""
    certificate = authority.issue_cert("localhost")
    config = SSLConfig(
        server_key=certificate.private_key_pem.bytes().decode(),
        server_cert=certificate.cert_chain_pems[0].bytes().decode(),
        custom_ca=authority.cert_pem.bytes().decode() if client_verify else "",
        client_verify=client_verify,
    )
    path.write_text(text_format.MessageToString(config))
    return path


def status(channel: grpc.Channel) -> str:
    """Ask for the model's state; return it, or the code of the failure."""
    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "toy"})
    try:
        with channel:
            answer = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=10)
    except grpc.RpcError as error:
        return str(error.code().name)
    state = answer.model_version_status[0].state
    return str(get_model_status_pb2.ModelVersionStatus.State.Name(state))


@pytest.mark.parametrize("mutual", [False, True], ids=["TLS", "mutual TLS"])
def test_tls(base_path: Path, tmp_path: Path, start: "Start", authority: trustme.CA, *, mutual: bool) -> None:
    """With --ssl_config_file the port speaks TLS only, and with client_verify only to clients of the authority."""
    port = free_port()
    path = ssl_config(tmp_path / "ssl.config", authority, client_verify=mutual)
    start(base_path, f"--port={port}", f"--ssl_config_file={path}")
    ca = authority.cert_pem.bytes()
    mine = authority.issue_cert("client@example.org")
    key, chain = mine.private_key_pem.bytes(), mine.cert_chain_pems[0].bytes()
    known, unknown = grpc.ssl_channel_credentials(ca, key, chain), grpc.ssl_channel_credentials(ca)
    address = f"localhost:{port}"
    assert status(grpc.secure_channel(address, known)) == "AVAILABLE"
    assert status(grpc.secure_channel(address, unknown)) == ("UNAVAILABLE" if mutual else "AVAILABLE")
    assert status(grpc.insecure_channel(address)) == "UNAVAILABLE"


def test_bad_flags_are_refused(base_path: Path, tmp_path: Path, run_serve: "RunServe", authority: trustme.CA) -> None:
    """Names of files where PEM texts belong, client_verify without an authority, and odd arguments are refused."""
    path = tmp_path / "ssl.config"
    flags = (f"--model_base_path={base_path}", f"--port={free_port()}")
    ssl_config(path, authority, client_verify=True)
    for text, reason in (
        ('server_key: "/etc/key.pem"', "server_key must hold PEM text"),
        (path.read_text().replace("custom_ca", "# "), "client_verify needs custom_ca"),
        ("server_key", "Invalid protobuf file"),
    ):
        path.write_text(text)
        result = run_serve(*flags, f"--ssl_config_file={path}")
        assert result.returncode == 2
        assert reason in result.stderr
        assert "PRIVATE KEY" not in result.stderr
    assert "'grpc.x' is not of the form" in run_serve(*flags, "--grpc_channel_arguments=grpc.x").stderr


def test_limits(base_path: Path, start: "Start") -> None:
    """A request above --max_request_bytes, or above what the channel arguments say, is RESOURCE_EXHAUSTED."""
    limited = start(base_path, "--max_request_bytes=100000")
    argued = start(base_path, "--grpc_channel_arguments=grpc.max_receive_message_length=100000,grpc.lb_policy_name=x")
    for server in (limited, argued):
        assert server.predict({"image_bytes": [b"x" * 90_000]}).outputs["length"].int64_val == [90_000]
        with pytest.raises(grpc.RpcError) as caught:
            server.predict({"image_bytes": [b"x" * 100_000]})
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_health_is_off_before_the_drain_ends(base_path: Path, start: "Start", gate: "Gate") -> None:
    """SIGTERM turns health off at once, the request under way is answered, and watchers do not hold the server up."""
    server = start(base_path)
    answers: list[object] = []
    slow = threading.Thread(target=lambda: answers.append(server.predict({"gate": [gate.path]}, signature="slow")))
    states: queue.Queue[int] = queue.Queue()

    def watch() -> None:
        try:
            for response in health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest()):
                states.put(response.status)
        except grpc.RpcError:
            pass

    watching = threading.Thread(target=watch)
    watching.start()
    while states.get(timeout=10) != health_pb2.HealthCheckResponse.SERVING:
        pass
    slow.start()
    time.sleep(0.5)
    server.process.send_signal(signal.SIGTERM)
    assert states.get(timeout=10) == health_pb2.HealthCheckResponse.NOT_SERVING
    assert not answers
    gate.open()
    slow.join()
    assert len(answers) == 1
    assert server.process.wait(timeout=10) == 0
    watching.join()
