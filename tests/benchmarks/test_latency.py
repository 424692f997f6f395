"""The measurement of latency measures every way of every side; how fast anything is, is no test's business."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.latency import GROUPS
from benchmarks.latency_ways import percentile
from tests.conftest import ROOT

pytestmark = pytest.mark.benchmarks

SAMPLE = ROOT / "tests" / "data" / "mnist_sample"
PROGRAM = str(ROOT / "benchmarks" / "latency.py")


def measure(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    little = ["--data", str(SAMPLE), "--seconds=0.1", "--repeats=1", "--json=figures.json"]
    return subprocess.run(
        [sys.executable, "-P", PROGRAM, *little, *options], cwd=folder, capture_output=True, text=True, check=False
    )


def test_every_way_is_measured(tmp_path: Path) -> None:
    """Each has its figures and a row."""
    result = measure(tmp_path)
    assert result.returncode == 0, result.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    found = [(one["group"], one["way"]) for one in figures["ways"]]
    assert found == [(group, way) for group, ways in GROUPS.items() for way in ways]
    assert result.stdout.count(" | this | ") == len(found)
    assert all(0 < one["rounds"][0]["p50"] <= one["rounds"][0]["p99"] for one in figures["ways"])
    assert set(figures["peak_mb"]) == {"this, no batching", "this, batching"}


def test_another_checkout_is_measured_in_turn(tmp_path: Path) -> None:
    """Compared with itself, it has a row beside ours, and ours a ratio."""
    result = measure(tmp_path, "--against", str(ROOT), "--only", "model", "--ways", "one-pixels")
    assert result.returncode == 0, result.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [one["side"] for one in figures["ways"]] == ["this", "other"]
    (row,) = [line for line in result.stdout.split("\n") if " | this | " in line]
    assert float(row.rsplit("|", 2)[1]) > 0


def test_a_server_that_runs_already_is_measured_beside(tmp_path: Path, server: str) -> None:
    """With the callers of the group `batching` alone: its process is not ours, so its CPU time is not known."""
    result = measure(tmp_path, "--server", server, "--only", "batching", "--ways", "callers-16")
    assert result.returncode == 0, result.stderr
    ours, theirs = json.loads((tmp_path / "figures.json").read_text())["ways"]
    assert (ours["side"], theirs["side"]) == ("this", "server")
    assert ours["rounds"][0]["cpu"] is not None
    assert theirs["rounds"][0]["cpu"] is None


def test_neither_commit_nor_checkout_is_named(tmp_path: Path) -> None:
    """Before anything is started."""
    result = measure(tmp_path, "--against", "no-such-commit")
    assert result.returncode == 2
    assert "--against no-such-commit: " in result.stderr


def test_percentiles() -> None:
    """They are among the values, whatever their order."""
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (50.0, 99.0, 7.0)
