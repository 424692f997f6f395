"""The client for other services."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from batch.client import AsyncClient, Client, Prediction, ServerError, UserError, read_security
from tests.batch.conftest import ScriptedServer
from tests.conftest import ROOT


@pytest.fixture
def client(scripted: ScriptedServer) -> Iterator[Client]:
    """Asks the scripted server."""
    with Client(scripted.address, timeout=10) as client:
        yield client


def images(count: int) -> list[bytes]:
    """The scripted server reads these as 0, 1, 2 and so on."""
    return [bytes([number % 10]) for number in range(count)]


def test_predictions_come_in_order(scripted: ScriptedServer, client: Client) -> None:
    """A large call is cut into requests, several of them under way, and its answers are in the order of its images."""
    scripted.script = lambda number, _request, _context: time.sleep(0.05 * (number % 2))
    predictions = client.predict(iter(images(5500)))
    assert [prediction.digit for prediction in predictions] == [number % 10 for number in range(5500)]
    assert sorted(scripted.sizes) == [500, 1000, 1000, 1000, 1000, 1000]
    assert predictions[7] == Prediction(7, 0.5, "", 1, None)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (grpc.StatusCode.NOT_FOUND, "choose another with model, version or label"),
        (grpc.StatusCode.UNAUTHENTICATED, "with metadata or certificate"),
    ],
)
def test_a_refusal_names_arguments(scripted: ScriptedServer, client: Client, code: grpc.StatusCode, said: str) -> None:
    """What the caller can change is called as the client's arguments are, not as a command's flags."""
    scripted.on_other_calls = lambda context: context.abort(code, "no")
    calls: tuple[Callable[[], object], ...] = (client.status, lambda: client.predict(images(1)))
    for call in calls:
        with pytest.raises(UserError) as refused:
            call()
        assert said in str(refused.value)
        assert "--" not in str(refused.value)


def test_wrong_arguments_are_named(scripted: ScriptedServer, tmp_path: Path) -> None:
    """Addresses, signatures and files of certificates that are wrong are told by the names of arguments."""
    calls: dict[str, Callable[[], object]] = {
        "server http://here": lambda: Client("http://here"),
        "server a,b: give each address as an argument of its own": lambda: Client("a,b"),
        "choose one with signature": lambda: Client(scripted.address, signature="none").predict(images(1)),
        "certificate and key go together": lambda: read_security(
            tls=True, ca=None, certificate=tmp_path / "own.pem", key=None, metadata=None
        ),
        f"ca {tmp_path}/ca.pem: ": lambda: read_security(
            tls=True, ca=tmp_path / "ca.pem", certificate=None, key=None, metadata=None
        ),
    }
    for said, call in calls.items():
        with pytest.raises(UserError) as refused:
            call()
        assert said in str(refused.value)
        assert "--" not in str(refused.value)


def test_nothing_is_asked_about_nothing(scripted: ScriptedServer, client: Client) -> None:
    """A call without images has an answer without predictions, and sends none."""
    assert client.predict([]) == []
    assert scripted.calls == 0


def test_bytes_and_files(client: Client, tmp_path: Path) -> None:
    """Images are bytes or files; a file that cannot be read has its error, and changes no other."""
    (tmp_path / "4.png").write_bytes(bytes([4]))
    found = client.predict([bytes([3]), tmp_path / "4.png", tmp_path / "nowhere.png", bytes([5])])
    assert [prediction.digit for prediction in found] == [3, 4, -1, 5]
    assert [prediction.error for prediction in found] == ["", "", "unreadable", ""]
    assert found[2].model_version is None


def test_probabilities(client: Client) -> None:
    """They are there on demand, for the digits 0 to 9."""
    prediction = client.predict_one(bytes([3]), probabilities=True)
    assert prediction.probabilities is not None
    assert len(prediction.probabilities) == 10
    assert prediction.probabilities[3] == 0.5
    assert client.predict_one(bytes([3])).probabilities is None


def test_status(scripted: ScriptedServer, client: Client) -> None:
    """The states of the versions have TensorFlow Serving's names."""
    scripted.version = 3
    assert client.status() == {3: "AVAILABLE", 1: "END", 2: "END"}


def test_faults_are_waited_out(scripted: ScriptedServer, client: Client) -> None:
    """A server that fails now and then costs time, no answer."""

    def fail_at_first(number: int, _request: object, context: grpc.ServicerContext) -> None:
        if number < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

    scripted.script = fail_at_first
    assert client.predict_one(bytes([8])).digit == 8
    assert scripted.calls == 4


def test_a_server_that_fails_for_too_long(scripted: ScriptedServer) -> None:
    """After `timeout`, the call fails and says why."""

    def fail(_number: int, _request: object, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

    scripted.script = fail
    with Client(scripted.address, timeout=0.5) as client, pytest.raises(ServerError, match=r"after 0\.5 s.*not now"):
        client.predict_one(b"1")
    with Client("localhost:1", timeout=0.3) as nobody, pytest.raises(ServerError, match="does not answer"):
        nobody.predict_one(b"1")


def test_wrong_names(scripted: ScriptedServer) -> None:
    """A model or signature that is not there is the caller's mistake."""
    with Client(scripted.address, model="cats") as client, pytest.raises(UserError, match="cats"):
        client.predict_one(b"1")
    with Client(scripted.address, signature="words") as client, pytest.raises(UserError, match="serving_default"):
        client.predict_one(b"1")
    with pytest.raises(TypeError, match="localhost:8500"):
        Client()


def test_a_refused_image_is_found(scripted: ScriptedServer, client: Client) -> None:
    """If a server refuses a request for one image, that image alone has the error."""

    def refuse_nines(_number: int, request: object, context: grpc.ServicerContext) -> None:
        if bytes([9]) in request.inputs["image_bytes"].string_val:  # type: ignore[attr-defined]
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no nines")

    scripted.script = refuse_nines
    found = client.predict(images(20))
    assert [number for number, prediction in enumerate(found) if prediction.error] == [9, 19]
    assert {prediction.error for prediction in found if prediction.error} == {"refused by the server"}


def test_threads_share_a_client(scripted: ScriptedServer, client: Client) -> None:
    """Calls from many threads do not mix up their answers."""
    scripted.script = lambda _number, _request, _context: time.sleep(0.002)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(client.predict_one, images(200)))
    assert [prediction.digit for prediction in found] == [number % 10 for number in range(200)]


def test_tasks_share_a_client(scripted: ScriptedServer) -> None:
    """On asyncio, calls run side by side in one event loop, with the same answers and retries."""

    def fail_at_first(number: int, _request: object, context: grpc.ServicerContext) -> None:
        if number < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        time.sleep(0.02)

    scripted.script = fail_at_first

    async def ask() -> None:
        async with AsyncClient(scripted.address, timeout=10) as client:
            assert await client.status() == {1: "AVAILABLE"}
            found = await asyncio.gather(*map(client.predict_one, images(50)))
            assert [prediction.digit for prediction in found] == [number % 10 for number in range(50)]
            many = await client.predict(images(2500), probabilities=True)
            assert [prediction.digit for prediction in many] == [number % 10 for number in range(2500)]
            with pytest.raises(UserError):
                await AsyncClient(scripted.address, model="cats").predict_one(b"1")

    asyncio.run(ask())


def test_the_loop_goes_on_meanwhile_and_a_cancelled_call_ends(scripted: ScriptedServer) -> None:
    """A slow server blocks no other task; a call that is cancelled cancels its request on the server."""
    is_cancelled = threading.Event()

    def be_slow(_number: int, _request: object, context: grpc.ServicerContext) -> None:
        context.add_callback(is_cancelled.set)
        is_cancelled.wait(30)

    scripted.script = be_slow

    async def ask() -> int:
        turns = 0
        async with AsyncClient(scripted.address, timeout=60) as client:
            task = asyncio.create_task(client.predict_one(b"1"))
            while not scripted.calls:
                await asyncio.sleep(0.01)
                turns += 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(is_cancelled.wait, 20)
        return turns

    assert asyncio.run(ask()) > 0


def test_importing_the_client_is_light() -> None:
    """It takes no TensorFlow, NumPy or Pillow, and the package names what it offers."""
    code = (
        "import sys; from batch.client import Client, AsyncClient, Prediction, Security, ServerError, UserError;"
        "assert not {'tensorflow', 'numpy', 'PIL', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd=ROOT)
    with pytest.raises(ImportError):
        from batch.client import Nonsense  # noqa: F401, PLC0415
