"""Starting, draining and stopping digits-serve, and what it refuses."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from exporter.command import UserError
from serving.cli import normalise_flags

if TYPE_CHECKING:
    from tensorflow_serving.apis import predict_pb2

    from tests.serving.conftest import Gate, Publish, RunServe, Start


@pytest.fixture
def base_path(saved_model: Path, publish: "Publish", tmp_path: Path) -> Path:
    publish(saved_model, tmp_path / "models", 1)
    return tmp_path / "models"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_signal_drains(base_path: Path, start: "Start", gate: "Gate", number: signal.Signals) -> None:
    """SIGTERM and SIGINT let the request under way finish, refuse new ones, remove the socket and exit 0."""
    port = free_port()
    server = start(base_path, f"--port={port}")
    assert server.log[-1].endswith(f"AVAILABLE, gRPC on 127.0.0.1:{port} and unix:{socket_of(server.log)}")
    answers: list[predict_pb2.PredictResponse] = []
    slow = threading.Thread(target=lambda: answers.append(server.predict({"gate": [gate.path]}, signature="slow")))
    slow.start()
    time.sleep(0.5)
    server.process.send_signal(number)
    server.wait_for(f"draining: {number.name}")
    assert not answers
    with pytest.raises(grpc.FutureTimeoutError), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=1)
    assert server.process.poll() is None
    gate.open()
    assert server.process.wait(timeout=30) == 0
    slow.join()
    assert len(answers) == 1
    assert server.log[-1] == "digits-serve: stopped"
    assert not Path(socket_of(server.log)).exists()
    assert all(line.startswith("digits-serve: ") for line in server.log)


def test_signal_to_any_thread() -> None:
    """The server stops even if the system hands the signal to a thread that computes, while the main one sleeps."""
    script = """
import signal, threading, time
from serving.stop import StopRequests
stop = StopRequests()
stop.on_signals()
def compute():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    time.sleep(60)
threading.Thread(target=compute, daemon=True).start()
print(stop.wait())
"""
    command = [sys.executable, "-P", "-c", script]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout == "SIGTERM\n"


def socket_of(log: list[str]) -> str:
    return next(line for line in log if "unix:" in line).rpartition("unix:")[2]


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-P", "-m", "serving.cli", *sys.argv[1:]], stdin=subprocess.PIPE)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("ready", [True, False], ids=["serving", "starting"])
def test_killed_parent_takes_the_server_with_it(base_path: Path, tmp_path: Path, *, ready: bool) -> None:
    """A server whose parent is killed stops at once, and removes its socket and the socket's empty folder."""
    folder = tmp_path / "private"
    folder.mkdir()
    path = folder / "grpc"
    flags = [f"--model_base_path={base_path}", "--port=0", f"--grpc_socket_path={path}", "--exit_on_stdin_eof=true"]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stderr is not None
    server = int(parent.stdout.readline())
    wait_until(path.exists)
    if ready:
        assert any("AVAILABLE" in line for line in iter(parent.stderr.readline, ""))
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_running(server), seconds=5.0)
    assert not folder.exists()
    parent.stdout.close()
    parent.stderr.close()


def is_running(pid: int) -> bool:
    try:
        # An orphan may stay a zombie where nobody reaps it; that is not running.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def refused(result: "subprocess.CompletedProcess[str]") -> str:
    """Check that a run ended as a user's mistake does: code 2, one line; return the line."""
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def test_port_in_use(base_path: Path, taken_port: int, run_serve: "RunServe") -> None:
    """A port that somebody listens on is refused in one line, before TensorFlow is imported."""
    line = refused(run_serve(f"--model_base_path={base_path}", f"--port={taken_port}", timeout=5))
    assert line == (
        f"digits-serve: cannot listen on 127.0.0.1:{taken_port}: the port is in use; "
        "stop what listens there or choose another --port"
    )


def test_address_of_another_machine(base_path: Path, run_serve: "RunServe") -> None:
    """A host that is not this machine is refused with the system's reason."""
    line = refused(run_serve(f"--model_base_path={base_path}", "--host=192.0.2.1", "--port=8500"))
    assert line.endswith("192.0.2.1:8500: Cannot assign requested address; check --host and --port")


def test_socket_paths(base_path: Path, tmp_path: Path, run_serve: "RunServe") -> None:
    """A file, a path too long or a missing folder are each refused."""
    flags = (f"--model_base_path={base_path}", "--port=0")
    (tmp_path / "file").write_text("precious")
    for path, reason in (
        (tmp_path / "file", "exists and is no socket"),
        (tmp_path / ("x" * 120), "is longer than the 107 bytes"),
        (tmp_path / "missing" / "grpc", "its folder does not exist"),
    ):
        assert reason in refused(run_serve(*flags, f"--grpc_socket_path={path}"))
    assert (tmp_path / "file").read_text() == "precious"


def test_stale_socket_is_replaced(saved_model: Path, base_path: Path, tmp_path: Path, start: "Start") -> None:
    """A socket file that a killed server left behind does not keep the next one from starting."""
    stale = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    server = start(base_path, f"--grpc_socket_path={stale}")
    with grpc.insecure_channel(f"unix:{stale}") as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
    os.kill(server.process.pid, signal.SIGTERM)
    assert server.process.wait(timeout=30) == 0
    assert not stale.exists()


def test_base_paths(saved_model: Path, tmp_path: Path, run_serve: "RunServe") -> None:
    """A base path that is missing, a file, or itself a SavedModel is refused with what to do."""
    (tmp_path / "file").write_text("")
    for path, reason in (
        (tmp_path / "missing", "does not exist; name the folder that holds the numbered versions"),
        (tmp_path / "file", "is not a folder; name the folder that holds the numbered versions"),
        (saved_model, f"is itself a SavedModel; it needs a numeric version folder: move it to {saved_model / '1'}"),
    ):
        assert refused(run_serve(f"--model_base_path={path}")) == f"digits-serve: --model_base_path {path} {reason}"


def test_nowhere_to_listen(base_path: Path, run_serve: "RunServe") -> None:
    """--port 0 without a socket is refused."""
    assert "nowhere to listen" in refused(run_serve(f"--model_base_path={base_path}", "--port", "0"))


@pytest.mark.parametrize(
    ("flag", "named"),
    [
        ("--tensorflow_gpu_option=1", "--tensorflow_gpu_option"),
        ("--port=http", "--port"),
        ("--port=70000", "--port"),
        ("--grpc_max_threads=0", "--grpc_max_threads"),
        ("--file_system_poll_wait_seconds=-1", "--file_system_poll_wait_seconds"),
        ("--file_system_poll_wait_seconds=nan", "--file_system_poll_wait_seconds"),
        ("--enable_model_warmup=maybe", "--enable_model_warmup"),
        ("--model_name=", "--model_name"),
    ],
)
def test_wrong_flags(base_path: Path, run_serve: "RunServe", flag: str, named: str) -> None:
    """An unknown flag or a value that makes no sense is refused by the flag's name."""
    result = run_serve(f"--model_base_path={base_path}", flag)
    assert result.returncode == 2
    assert named in result.stderr
    assert "Traceback" not in result.stderr


def test_boolean_flags_as_tensorflow_serving_spells_them() -> None:
    """=true and =false switch the boolean flags; other arguments pass untouched."""
    assert normalise_flags(["--enable_model_warmup=false", "--exit_on_stdin_eof=TRUE", "--model_name=true"]) == [
        "--no-enable_model_warmup",
        "--exit_on_stdin_eof",
        "--model_name=true",
    ]
    with pytest.raises(UserError, match="--enable_model_warmup=perhaps: give true or false"):
        normalise_flags(["--enable_model_warmup=perhaps"])


def test_version(run_serve: "RunServe") -> None:
    """--version prints the program's version."""
    result = run_serve("--version")
    assert (result.returncode, result.stdout.split()[0]) == (0, "digits")


def test_help_is_fast() -> None:
    """--help names every flag and imports neither TensorFlow nor gRPC."""
    script = """
import sys
sys.argv = ["digits-serve", "--help"]
from serving.cli import main
try:
    main()
finally:
    print("imported", [name for name in ("tensorflow", "grpc") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert "imported []" in result.stdout
    for flag in ("--port", "--grpc_socket_path", "--model_base_path", "--file_system_poll_wait", "--exit_on_stdin_eof"):
        assert flag in result.stdout
