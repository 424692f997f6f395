"""The measurement of digits-review measures everything it names; how fast anything is, is no test's business."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.browser


def test_everything_is_measured() -> None:
    """Start, first picture, frames, decisions and memory, on a small table."""
    command = [sys.executable, "-P", str(ROOT / "benchmarks" / "review.py"), "--rows=400"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("digits-review on 400 rows\n")
    lines = [line for line in result.stdout.splitlines() if line.startswith("| ")]
    assert len(lines) == 9
    for words in ("its address", "first picture", "slow", "fast", "longest frame", "decisions a minute", "memory"):
        assert words in result.stdout
