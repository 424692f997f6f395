"""The images and compose.yaml, by a real container engine: make test-containers.

The tests of one project follow each other as an operator's day does: build, start, predict, swap, stop, clean up.
"""

import base64
import csv
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serving.rest.page import HEADERS
from tests.conftest import ROOT

pytestmark = pytest.mark.containers

START_SECONDS = 120
USER = "1000:1000"


def _docker(*arguments: str, environment: dict[str, str] | None = None, code: int = 0) -> str:
    """Run the engine's client; return its standard output."""
    result = subprocess.run(
        ["docker", *arguments],  # noqa: S607 - the user's engine
        cwd=ROOT,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == code, f"docker {' '.join(arguments)}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@dataclass(frozen=True)
class Project:
    """compose.yaml under a name of its own, with folders and ports of its own."""

    name: str
    folder: Path
    port: int
    rest_port: int
    web_port: int

    @property
    def models(self) -> Path:
        """What DIGITS_MODELS names."""
        return self.folder / "models"

    @property
    def out(self) -> Path:
        """What DIGITS_OUT names."""
        return self.folder / "out"

    def compose(self, *arguments: str, code: int = 0) -> str:
        """Run docker compose; return its standard output."""
        environment = {
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_PROFILES": "builtin",
            "DIGITS_PORT": str(self.port),
            "DIGITS_REST_PORT": str(self.rest_port),
            "DIGITS_WEB_PORT": str(self.web_port),
            "DIGITS_MODELS": str(self.models),
            "DIGITS_OUT": str(self.out),
            "DIGITS_USER": USER,
            "DIGITS_CPUS": str(min(2, os.cpu_count() or 1)),
        }
        return _docker("compose", *arguments, environment=environment, code=code)

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows about a service's container."""
        container: dict[str, Any] = json.loads(_docker("inspect", f"{self.name}-{service}-1"))[0]
        return container

    def publish(self, version: int) -> None:
        """Make the shipped model version `version`, as digits-export publishes: by one rename."""
        shutil.copytree(ROOT / "serving" / "models" / "digits" / "1", self.models / "digits" / "next.tmp")
        (self.models / "digits" / "next.tmp").rename(self.models / "digits" / str(version))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with both images built and no version of the model yet."""
    ports = [_free_port() for _ in range(3)]
    project = Project(f"digits-test-{os.getpid()}", tmp_path_factory.mktemp("compose"), *ports)
    (project.models / "digits").mkdir(parents=True)
    project.out.mkdir()
    project.out.chmod(0o777)  # whoever runs the tests, the container's user writes there
    try:
        project.compose("build", "--quiet", "builtin", "batch")
        yield project
    finally:
        project.compose("--profile", "*", "down", "--volumes", "--rmi", "local", "--timeout", "5")


OVERRIDE = """
services:
  serving:
    image: {project}-batch
    platform: linux/{architecture}
    entrypoint: [python, /stand_in.py, --port=8500, --rest_api_port=8501]
    volumes: [./tests/docker/stand_in.py:/stand_in.py:ro]
"""


def test_tensorflow_serving_gets_what_its_flags_name(project: Project) -> None:
    """As compose.yaml runs the official image, its files can be read, and its health is that of the model."""
    override = project.folder / "override.yaml"
    architecture = _docker("version", "--format", "{{.Server.Arch}}").strip()
    override.write_text(OVERRIDE.format(project=project.name, architecture=architecture))
    project.publish(1)
    compose = ["--file", "compose.yaml", "--file", str(override)]
    try:
        project.compose(*compose, "up", "--detach", "--no-build", "--wait", "--wait-timeout=60", "serving")
        checks = [check["ExitCode"] for check in project.inspect("serving")["State"]["Health"]["Log"]]
    finally:
        logs = project.compose(*compose, "logs", "serving")
        project.compose(*compose, "--profile", "*", "down", "--timeout", "5")
        shutil.rmtree(project.models / "digits" / "1")
    assert checks[0] == 1, logs
    assert checks[-1] == 0


@dataclass(frozen=True)
class Service:
    """The `builtin` service, up and healthy, and how it was before there was a model."""

    project: Project
    health_without_model: str

    @property
    def address(self) -> str:
        """Where this machine reaches it."""
        return f"127.0.0.1:{self.project.port}"


@pytest.fixture(scope="module")
def builtin(project: Project) -> Service:
    """Start without a model, look at the health, publish version 1, and wait for health as a user would."""
    project.compose("up", "--detach", "--no-build", "builtin")
    deadline = time.monotonic() + START_SECONDS
    while len((health := project.inspect("builtin")["State"]["Health"])["Log"] or []) < 2:
        assert time.monotonic() < deadline, health
        time.sleep(0.5)
    project.publish(1)
    project.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", str(START_SECONDS), "builtin")
    return Service(project, health["Status"])


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def _all_right(rows: list[dict[str, str]]) -> bool:
    return bool(rows) and all(Path(row["path"]).parent.name == row["digit"] and not row["error"] for row in rows)


@pytest.mark.parametrize(
    ("profiles", "services"),
    [
        (None, {"serving"}),
        ("serving", {"serving"}),
        ("builtin", {"builtin"}),
        ("builtin,batch", {"builtin", "batch"}),
        ("serving,monitoring", {"serving", "prometheus", "grafana"}),
        ("builtin,web", {"builtin", "web"}),
        ("*", {"serving", "builtin", "batch", "web", "prometheus", "grafana"}),
    ],
)
def test_every_profile_is_valid(profiles: str | None, services: set[str]) -> None:
    """Compose takes the file with any profile; each has its own services, and without one it is TensorFlow Serving."""
    environment = {} if profiles is None else {"COMPOSE_PROFILES": profiles}
    assert set(_docker("compose", "config", "--services", environment=environment).split()) == services


def test_ports_are_opened_to_a_network_only_on_demand() -> None:
    """Every port is bound to loopback, or to the address in DIGITS_BIND."""
    for bind in ("127.0.0.1", "192.0.2.1"):
        environment = {"COMPOSE_PROFILES": "*"} | ({} if bind == "127.0.0.1" else {"DIGITS_BIND": bind})
        services = json.loads(_docker("compose", "config", "--format=json", environment=environment))["services"]
        ports = [port for service in services.values() for port in service.get("ports", [])]
        assert len(ports) == 7
        assert {port["host_ip"] for port in ports} == {bind}


@pytest.mark.parametrize("service", ["builtin", "batch"])
def test_images_run_as_nobody_in_particular(project: Project, service: str) -> None:
    """An image by itself, without compose.yaml, does not run as root."""
    (image,) = json.loads(_docker("image", "inspect", f"{project.name}-{service}"))
    assert image["Config"]["User"] == USER


def test_the_client_image_is_thin(project: Project) -> None:
    """No TensorFlow, no NumPy, no pip, no model: under 100 MB on top of Python."""
    run = ["run", "--rm", "--network=none", "--entrypoint"]
    absent = "import importlib.util as u; print([u.find_spec(m) for m in ('tensorflow', 'numpy', 'pip')])"
    assert _docker(*run, "python", f"{project.name}-batch", "-c", absent) == "[None, None, None]\n"
    size = _docker(*run, "du", f"{project.name}-batch", "-sm", "/opt/digits")
    assert int(size.split()[0]) < 100


def test_the_client_image_notices_files_at_once(project: Project) -> None:
    """--watch has inotify there."""
    run = ["run", "--rm", "--network=none", "--entrypoint", "python", f"{project.name}-batch"]
    assert _docker(*run, "-c", "import inotify_simple; inotify_simple.INotify(); print('yes')") == "yes\n"


def test_healthy_means_that_the_model_is_available(builtin: Service) -> None:
    """A server that listens but has no version to serve is not healthy; once it has, it is."""
    assert builtin.health_without_model != "healthy"
    assert builtin.project.inspect("builtin")["State"]["Health"]["Status"] == "healthy"


def test_the_server_is_confined(builtin: Service) -> None:
    """Not root, nothing writable but /tmp, no capabilities, within limits, on this machine only, and started again."""
    state = builtin.project.inspect("builtin")
    host = state["HostConfig"]
    assert state["Config"]["User"] == USER
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["Memory"] == 4 * 2**30
    assert host["NanoCpus"] > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert {binding["HostIp"] for port in host["PortBindings"].values() for binding in port} == {"127.0.0.1"}
    for path in ("/new", "/models/digits/new", "/opt/digits/new"):
        builtin.project.compose("exec", "--no-TTY", "builtin", "touch", path, code=1)


WEB = """
services:
  web:
    image: {project}-web
    build:
      dockerfile_inline: |
        FROM python:3.11-slim-bookworm
        RUN apt-get -qq update && apt-get -qq install --no-install-recommends nginx-light
"""


def _ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_the_web_profile_puts_the_page_before_the_server(builtin: Service) -> None:
    """Debian's nginx answers the page as digits-serve does, passes the API on, and is confined as the others."""
    project = builtin.project
    override = project.folder / "web.yaml"
    override.write_text(WEB.format(project=project.name))
    compose = ["--file", "compose.yaml", "--file", str(override), "--profile", "web"]
    page = (ROOT / "serving" / "web" / "index.html").read_bytes()
    image = base64.b64encode((ROOT / "samples" / "3" / "3-001.png").read_bytes()).decode()
    try:
        project.compose(*compose, "up", "--detach", "--build", "--wait", "--wait-timeout=60", "web")
        status, headers, body = _ask(project.web_port, "GET", "/")
        assert (status, body) == (200, page)
        assert HEADERS.items() <= headers.items()
        assert _ask(project.web_port, "GET", "/web/main.js")[1]["Content-Type"] == "text/javascript; charset=utf-8"
        for path in ("/web/", "/web/..%2f..%2fetc%2fpasswd", "/monitoring/prometheus/metrics"):
            assert _ask(project.web_port, "GET", path)[0] in {400, 404}
        assert b"AVAILABLE" in _ask(project.web_port, "GET", "/v1/models/digits")[2]
        request = json.dumps({"instances": [{"image_bytes": {"b64": image}}]}).encode()
        status, _, body = _ask(project.web_port, "POST", "/v1/models/digits:predict", request)
        assert (status, json.loads(body)["predictions"][0]["digit"]) == (200, 3)
        state = project.inspect("web")
        assert state["Config"]["User"] == USER
        assert state["HostConfig"]["ReadonlyRootfs"]
        assert state["State"]["Health"]["Status"] == "healthy"
    finally:
        project.compose(*compose, "rm", "--force", "--stop", "web")


def test_the_batch_profile_writes_the_table(builtin: Service) -> None:
    """One command reads the mounted folder and leaves one right row for each image, owned by the user it was told."""
    builtin.project.compose("run", "--rm", "--no-TTY", "batch")
    table = builtin.project.out / "preds.csv"
    rows = _rows(table)
    assert len(rows) == 40
    assert rows[0]["path"] == "scans/0/0-001.png"
    assert _all_right(rows)
    assert table.stat().st_uid == int(USER.partition(":")[0])


def test_a_version_is_swapped_under_load(builtin: Service, tmp_path: Path) -> None:
    """Two clients without a pause while version 2 comes in: no failed run, no error row, and then version 2 answers."""
    stop = threading.Event()
    failures: list[str] = []
    versions: list[list[str]] = [[], []]

    def load(number: int) -> None:
        table = tmp_path / f"{number}.csv"
        command = [sys.executable, "-P", "-m", "batch.cli", *["samples"] * 20, "--out", str(table), "--force"]
        deadline = time.monotonic() + START_SECONDS
        while not stop.is_set():
            result = subprocess.run(
                [*command, "--batch-size=64", "--server", builtin.address],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            rows = _rows(table) if result.returncode == 0 else []
            if not _all_right(rows) or len(rows) != 800 or time.monotonic() > deadline:
                failures.append(f"{result.returncode}, {len(rows)} rows: {result.stderr}")
                return
            versions[number] += [row["model_version"] for row in rows]
            if rows[0]["model_version"] == "2":
                return

    threads = [threading.Thread(target=load, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        while not all(versions) and not failures:
            time.sleep(0.1)
        builtin.project.publish(2)
        for thread in threads:
            thread.join(START_SECONDS)
    finally:
        stop.set()
    assert not failures
    for answered in versions:
        assert answered[0] == "1"
        assert answered[-1] == "2"
        assert answered.count("1") + answered.count("2") == len(answered)
    assert builtin.project.inspect("builtin")["State"]["Health"]["Status"] == "healthy"


def test_stopping_drains(builtin: Service) -> None:
    """The server ends by itself when it is told to, well before the engine would kill it."""
    builtin.project.compose("stop", "builtin")
    state = builtin.project.inspect("builtin")["State"]
    assert state["Status"] == "exited"
    assert state["ExitCode"] == 0


def test_the_batch_profile_starts_the_server_and_waits(builtin: Service) -> None:
    """With nothing running, the same one command starts the server, waits for its health, and writes the table."""
    builtin.project.compose("run", "--rm", "--no-TTY", "batch", "scans", "--out", "out/again.csv", "--timeout=1")
    rows = _rows(builtin.project.out / "again.csv")
    assert len(rows) == 40
    assert {row["model_version"] for row in rows} == {"2"}


def test_down_leaves_nothing_behind(builtin: Service) -> None:
    """No container, network, volume or image of the project is left."""
    builtin.project.compose("--profile", "*", "down", "--volumes", "--rmi", "local")
    ours = f"label=com.docker.compose.project={builtin.project.name}"
    assert not _docker("ps", "--all", "--quiet", "--filter", ours)
    assert not _docker("network", "ls", "--quiet", "--filter", ours)
    assert not _docker("volume", "ls", "--quiet", "--filter", ours)
    assert not _docker("image", "ls", "--quiet", "--filter", ours)
