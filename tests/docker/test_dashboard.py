"""The dashboard of Grafana: every panel finds its series in real metrics of both servers."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, RunBatch

GRAFANA = ROOT / "docker" / "grafana"
(DASHBOARD,) = (GRAFANA / "dashboards").iterdir()
PANELS: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
# What a panel asks for: a metric, its matchers in braces, and the functions around it.
SELECTOR = re.compile(r"(:tensorflow:[\w:]+)(?:\{([^}]*)\})?\[\$__rate_interval\]")
MATCHER = re.compile(r'(\w+)(=|!=)"([^"]*)"')
SAMPLE = re.compile(r"(:[\w:]+)(?:\{(.*)\})? (\S+)")


@dataclass(frozen=True)
class Series:
    """One line of a metrics page."""

    name: str
    labels: dict[str, str]
    value: float


def read_series(page: str) -> list[Series]:
    found = (SAMPLE.fullmatch(line) for line in page.splitlines() if not line.startswith("#"))
    return [Series(m[1], dict(re.findall(r'(\w+)="([^"]*)"', m[2] or "")), float(m[3])) for m in found if m]


def select(series: list[Series], name: str, matchers: str) -> list[Series]:
    """The series that a selector means."""
    wanted = MATCHER.findall(matchers)
    return [
        each
        for each in series
        if each.name == name
        and all((each.labels.get(label, "") == value) == (sign == "=") for label, sign, value in wanted)
    ]


@pytest.fixture(scope="module")
def tensorflow_serving() -> list[Series]:
    """As recorded."""
    return read_series((ROOT / "tests" / "data" / "tensorflow_serving" / "metrics.txt").read_text())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def rest_and_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The built-in server with the files that compose.yaml gives it: its REST port and its gRPC socket."""
    port, path = _free_port(), tmp_path_factory.mktemp("s") / "grpc"
    flags = [
        "--port=0",
        f"--grpc_socket_path={path}",
        f"--rest_api_port={port}",
        "--enable_batching=true",
        f"--batching_parameters_file={ROOT / 'serving' / 'batching.config'}",
        f"--monitoring_config_file={ROOT / 'serving' / 'monitoring.config'}",
    ]
    process = subprocess.Popen([sys.executable, "-P", "-m", "serving.cli", *flags], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any("AVAILABLE" in line for line in process.stderr)
    yield port, path
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=40)


@pytest.fixture
def built_in(rest_and_socket: tuple[int, Path], digits_batch: RunBatch) -> list[Series]:
    """As it answers after a run of digits-batch."""
    port, path = rest_and_socket
    run = digits_batch(ROOT / "samples" / "3", "--out", "preds.csv", "--server", f"unix:{path}")
    assert run.returncode == 0, run.stderr
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/monitoring/prometheus/metrics", timeout=10) as page:
        return read_series(page.read().decode())


def test_the_dashboard_is_provisioned() -> None:
    """Grafana finds the dashboard, and each panel asks the provisioned Prometheus."""
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/digits.yml").read_text())["providers"]
    grafana = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["grafana"]
    assert f"./docker/grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{DASHBOARD.name}"
    for panel in PANELS:
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {source["uid"]}


@pytest.mark.parametrize("server", ["tensorflow_serving", "built_in"])
def test_every_panel_has_something_to_show(server: str, request: pytest.FixtureRequest) -> None:
    """Each line of each panel is drawn from series that the server has and that have counted something.

    Failures are the one thing that there may be none of: then the share of them is 0 and not empty.
    """
    series: list[Series] = request.getfixturevalue(server)
    for panel in PANELS:
        for target in panel["targets"]:
            expression = target["expr"]
            if expression == 'up{job="digits"}':  # Prometheus' own
                continue
            assert SELECTOR.search(expression), panel["title"]
            for found in SELECTOR.finditer(expression):
                chosen = select(series, found[1], found[2] or "")
                if 'status!="OK"' in found[0]:
                    assert f"(sum(rate({found[0]})) or vector(0)) / " in expression
                    continue
                assert sum(each.value for each in chosen) > 0, f"{panel['title']}: {found[0]}"
                for label in re.findall(r"sum by \((\w+)\)", expression):
                    assert all(label in each.labels for each in chosen), f"{panel['title']}: {label}"
