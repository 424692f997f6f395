"""How well fields are read is counted on the fields that a CSV names."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as Pillow

from benchmarks import fields
from tests.conftest import ROOT

pytestmark = pytest.mark.benchmarks

_MNIST = ROOT / "tests" / "data" / "mnist_sample"


def _measured(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "benchmarks/fields.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def test_fields_are_counted_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right and wrong texts of a CSV become shares; the picture is drawn; all of it is written as JSON."""
    monkeypatch.setattr(fields, "STRINGS", 20)
    some = fields.plain(_MNIST)
    with (tmp_path / "fields.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "text"])
        for number, field in enumerate(some):
            (tmp_path / f"{number}.png").write_bytes(field.octets)
            writer.writerow([f"{number}.png", field.text if number else "0" * 9])
    figures, chart = tmp_path / "figures.json", tmp_path / "chart.png"
    result = _measured(tmp_path / "fields.csv", "--json", figures, "--chart", chart)
    assert result.returncode == 0, result.stderr
    (found,) = json.loads(figures.read_text()).values()
    assert found["fields"] == len(some)
    assert 0.6 < found["exact"] <= 1 - 1 / len(some)
    assert found["exact_with_count"] <= 1 - 1 / len(some)
    with Pillow.open(chart) as picture:
        assert picture.width > 300


def test_a_model_without_numbers_is_named(tmp_path: Path) -> None:
    """What cannot read fields is refused in one line."""
    (tmp_path / "fields.csv").write_text("path,text\n")
    result = _measured(tmp_path / "fields.csv", "--model", tmp_path)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
