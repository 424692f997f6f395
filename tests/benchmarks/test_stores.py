"""The measurement of stores measures every way; how fast anything is, is no test's business."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.stores import WAYS
from tests.conftest import ROOT

pytestmark = pytest.mark.benchmarks

SAMPLE = ROOT / "tests" / "data" / "mnist_sample"
PROGRAM = str(ROOT / "benchmarks" / "stores.py")


def test_every_way_is_measured_on_the_same_images(tmp_path: Path, server: str) -> None:
    """Disk and store come to the same digits, or it would have stopped."""
    options = ["--data", str(SAMPLE), "--images=150", "--repeats=1", "--json=figures.json", "--address", server]
    result = subprocess.run(
        [sys.executable, "-P", PROGRAM, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("150 MNIST PNGs, ")
    rounds = json.loads((tmp_path / "figures.json").read_text())["rounds"]
    assert list(rounds) == list(WAYS)
    for name, (one,) in rounds.items():
        (line,) = [line for line in result.stdout.split("\n") if f"| {name} " in line]
        assert f" {150 / one['seconds']:,.0f} " in line
