"""The measurement of archives measures every kind of them; how fast anything is, is no test's business."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.archives import WAYS
from tests.conftest import ROOT

pytestmark = pytest.mark.benchmarks

SAMPLE = ROOT / "tests" / "data" / "mnist_sample"
PROGRAM = str(ROOT / "benchmarks" / "archives.py")


def test_every_kind_is_measured_on_the_same_images(tmp_path: Path, server: str) -> None:
    """More images than the data set has; all kinds come to the same digits, or it would have stopped."""
    options = ["--data", str(SAMPLE), "--images=1200", "--repeats=1", "--json=figures.json", "--address", server]
    result = subprocess.run(
        [sys.executable, "-P", PROGRAM, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("1,200 MNIST PNGs, ")
    rounds = json.loads((tmp_path / "figures.json").read_text())["rounds"]
    assert list(rounds) == list(WAYS)
    for name, (one,) in rounds.items():
        (line,) = [line for line in result.stdout.split("\n") if f"| {name} " in line]
        assert f" {1200 / one['seconds']:,.0f} " in line
        # That of the client alone, not what this process or the writer had in memory.
        assert one["client_peak_bytes"] < 200_000_000


def test_data_that_is_not_there(tmp_path: Path) -> None:
    """One line that says so, and exit code 2."""
    result = subprocess.run(
        [sys.executable, "-P", PROGRAM, "--data", str(tmp_path / "nowhere")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "nowhere" in result.stderr
