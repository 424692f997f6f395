"""Accuracy against rate: runs are read, published, measured and drawn."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as Pillow

from benchmarks import accuracy_rate
from exporter.command import UserError
from tests.conftest import ROOT

pytestmark = pytest.mark.benchmarks


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run of the small network, and the same again as if it were another seed's."""
    folder = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-P", "-m", "trainer.cli", "dense-10-10-10", "--out", str(folder / "1")]
    subprocess.run([*command, "--data", str(ROOT / "tests" / "data" / "mnist_sample")], check=True, capture_output=True)
    shutil.copytree(folder / "1", folder / "2")
    metrics = json.loads((folder / "2" / "metrics.json").read_text())
    metrics["test_accuracy"] += 0.02
    (folder / "2" / "metrics.json").write_text(json.dumps(metrics))
    return [folder / "1", folder / "2"]


def test_seeds_of_a_recipe_are_one_point(runs: list[Path], mnist_pngs: list[bytes], tmp_path: Path) -> None:
    """Two runs of a recipe become one row with their mean accuracy and a rate, and a picture."""
    networks = accuracy_rate.read(runs)
    first = json.loads((runs[0] / "metrics.json").read_text())["test_accuracy"]
    assert [network.recipe for network in networks] == ["dense-10-10-10"]
    assert networks[0].accuracy == pytest.approx(first + 0.01)
    accuracy_rate.measure(networks, mnist_pngs[:64], rounds=1)
    assert "float32" in networks[0].rates  # so few units may be too coarse for bfloat16
    assert all(rate > 0 for rate in networks[0].rates.values())
    rows = accuracy_rate.as_rows(networks)
    assert rows[1][:4] == ["`dense-10-10-10`", "8,180", f"{first + 0.01:.2%}", "2"]
    accuracy_rate.draw(tmp_path / "chart.png", networks)
    with Pillow.open(tmp_path / "chart.png") as picture:
        assert picture.width > 1000


def test_what_is_no_run_folder_is_told(tmp_path: Path) -> None:
    """A folder without metrics.json is named in one line."""
    with pytest.raises(UserError, match="no run folder of digits-train"):
        accuracy_rate.read([tmp_path])
