"""examples/: other services that ask the server, each as it stands there."""

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.conftest import ROOT
from tests.serving.rest.test_rest import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serving.conftest import Start

EXAMPLES = ROOT / "examples"
Addresses = tuple[str, str]


@pytest.fixture(scope="module")
def addresses(start_module: "Start", shipped_model: Path) -> Addresses:
    """Where a server with the shipped model takes gRPC and REST."""
    grpc_port, rest_port = free_port(), free_port()
    start_module(shipped_model, "--model_name=digits", f"--port={grpc_port}", f"--rest_api_port={rest_port}")
    return f"127.0.0.1:{grpc_port}", f"127.0.0.1:{rest_port}"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A 3, something that is no image, and a 7."""
    (tmp_path / "note.png").write_text("no image")
    return [min((ROOT / "samples" / "3").iterdir()), tmp_path / "note.png", min((ROOT / "samples" / "7").iterdir())]


def run(*command: str | Path) -> str:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def check_lines(text: str, files: list[Path]) -> None:
    rows = [line.split(maxsplit=3) for line in text.splitlines()]
    assert [row[0] for row in rows] == [str(path) for path in files]
    assert [int(row[1]) for row in rows] == [3, -1, 7]
    assert [float(row[2]) > 0.9 for row in rows] == [True, False, True]
    assert [row[3:] for row in rows] == [[], ["not an image"], []]


def test_python(addresses: Addresses, files: list[Path]) -> None:
    """The Python example prints digit, confidence and error of each image, and imports no TensorFlow."""
    check_lines(run(sys.executable, EXAMPLES / "predict.py", addresses[0], *files), files)


def test_fastapi(addresses: Addresses, files: list[Path]) -> None:
    """The web service answers uploaded images, and says with 503 that no server answers."""
    for server, code in ((addresses[0], 200), ("localhost:1", 503)):
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "fastapi_service:app", f"--port={port}", "--log-level=error"],
            cwd=EXAMPLES,
            env=os.environ | {"DIGITS_SERVER": server},
        )
        try:
            uploads = [("images", (path.name, path.read_bytes())) for path in files]
            url = f"http://127.0.0.1:{port}/digits"
            answer = _when_it_listens(partial(httpx.post, url, files=uploads, timeout=30))
        finally:
            process.terminate()
            process.wait(20)
        assert answer.status_code == code
        if code == 200:
            assert [row["name"] for row in answer.json()] == [path.name for path in files]
            assert [row["digit"] for row in answer.json()] == [3, -1, 7]
            assert [row["error"] for row in answer.json()] == ["", "not an image", ""]
        else:
            assert "does not answer" in answer.json()["detail"]


def _when_it_listens(ask: "Callable[[], httpx.Response]") -> "httpx.Response":
    deadline = time.monotonic() + 60
    while True:
        try:
            return ask()
        except httpx.ConnectError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_celery(addresses: Addresses, files: list[Path], tmp_path: Path) -> None:
    """A worker takes a task of paths out of a queue and answers it; broker and results are folders here."""
    for name in ("queue", "control", "results"):
        (tmp_path / name).mkdir()
    settings = f"""
from celery_worker import app, predict
folder = {str(tmp_path)!r}
app.conf.update(broker_url="filesystem://", result_backend="file://" + folder + "/results")
app.conf.broker_transport_options = {{
    "data_folder_in": folder + "/queue", "data_folder_out": folder + "/queue", "control_folder": folder + "/control"
}}
"""
    environment = os.environ | {"DIGITS_SERVER": addresses[0], "PYTHONPATH": f"{EXAMPLES}{os.pathsep}{ROOT}"}
    work = "app.worker_main(['worker', '--pool=solo', '--loglevel=error', '--without-mingle', '--without-gossip'])"
    worker = subprocess.Popen([sys.executable, "-c", settings + work], env=environment, cwd=tmp_path)
    try:
        ask = f"print(predict.delay({[str(path) for path in files]!r}).get(timeout=60))"
        asked = subprocess.run(
            [sys.executable, "-c", settings + ask], env=environment, capture_output=True, text=True, check=False
        )
    finally:
        worker.terminate()
        worker.wait(20)
    assert asked.returncode == 0, asked.stderr
    rows = ast.literal_eval(asked.stdout)
    assert [row[0] for row in rows] == [3, -1, 7]
    assert [row[2] for row in rows] == ["", "not an image", ""]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(addresses: Addresses, files: list[Path]) -> None:
    """The shell example prints the REST answer, with an object for each image."""
    rows = json.loads(run("bash", EXAMPLES / "predict.sh", addresses[1], *files))["predictions"]
    assert [row["digit"] for row in rows] == [3, -1, 7]
    assert [row["error"] for row in rows] == ["", "not an image", ""]


@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="Node.js is not installed")
def test_node(addresses: Addresses, files: list[Path], tmp_path: Path) -> None:
    """The Node.js example does so over gRPC."""
    folder = tmp_path / "node"
    folder.mkdir()
    shutil.copy(EXAMPLES / "predict.js", folder)
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "@grpc/grpc-js@1", "protobufjs@7"]
    try:
        subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm cannot install grpc-js here")
    check_lines(
        run("node", folder / "predict.js", ROOT / "batch" / "client" / "wire.proto", addresses[0], *files), files
    )
