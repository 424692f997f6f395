"""`digits-export --show`: what the normaliser makes of a picture, for people to look at."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT

pytestmark = pytest.mark.training


def _show(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "exporter.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_kind_of_file_is_drawn(
    tmp_path: Path, all_odd_pngs: dict[str, bytes], broken_pngs: dict[str, tuple[bytes, str]]
) -> None:
    """Odd pictures show their ink and the 28x28 result, broken ones their error; nothing fails the sheet."""
    files = all_odd_pngs | {name: octets for name, (octets, _) in broken_pngs.items()}
    paths = []
    for name, octets in files.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(octets)
    result = _show("--show", *paths, "--out", tmp_path / "sheet.png")
    assert result.returncode == 0, result.stderr
    assert f"{len(files)} pictures" in result.stdout
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    assert sheet.shape[0] > 100 * (len(files) // 2)
    # The third tile of the first picture is ink, white on black.
    tile = sheet[24 : 24 + 128, 16 + 2 * 136 : 16 + 2 * 136 + 128]
    assert tile.min() == 0
    assert tile.max() == 255
    assert 0.02 < (tile > 128).mean() < 0.6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--show", "samples/3/3-001.png"], "--out"),
        (["--show", "nowhere.png", "--out", "{}/s.png"], "nowhere.png"),
        (["--show", "samples/3/3-001.png", "--out", "{}/none/s.png"], "none/s.png"),
        (["--show", "samples/3/3-001.png", "--out", "{}/s.png", "--model", "{}"], "--model"),
        (["samples"], "--to"),
        (["runs/a", "runs/b", "--to", "{}/m"], "one run folder"),
    ],
)
def test_wrong_usage_is_told_in_a_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    """A missing --out, a missing file, a place that cannot be written and mixed-up uses each get one line."""
    filled = [argument.replace("{}", str(tmp_path)) for argument in arguments]
    result = _show(*(str(ROOT / word) if word.startswith("samples") else word for word in filled))
    assert result.returncode == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
