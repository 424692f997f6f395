"""Sheets of images and confusion matrices are PNGs of a sensible size that show what they should."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from exporter import figures
from tests.conftest import ROOT
from tests.support import pixels
from trainer.data.datasets import Dataset, load

SAMPLE = ROOT / "tests" / "data" / "mnist_sample"


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load(SAMPLE)


def red(picture: npt.NDArray[np.int64]) -> int:
    return int(((picture[..., 0] > 150) & (picture[..., 1:] < 80).all(axis=-1)).sum())


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 40])
def test_contact_sheet_grows_by_rows(dataset: Dataset, tmp_path: Path, count: int) -> None:
    """A sheet takes any number of images, in rows of ten."""
    path = tmp_path / "sheet.png"
    figures.contact_sheet(path, dataset.x_test[:count], ["7"] * count, title="digits")
    height, width, _ = pixels(path).shape
    rows = max(1, -(-count // 10))
    assert 1000 < width < 1500
    assert 130 * rows < height < 160 * rows + 120


def test_mistakes_are_red(dataset: Dataset, tmp_path: Path) -> None:
    """Only marked images have something red, and each has it."""
    counts = []
    for marks in ([False, False], [False, True], [True, True]):
        path = tmp_path / "sheet.png"
        figures.contact_sheet(path, dataset.x_test[:2], ["said 7", "said 2"], title="two", marked=np.array(marks))
        counts.append(red(pixels(path)))
    assert counts[0] == 0
    assert counts[2] == pytest.approx(2 * counts[1], rel=0.1)
    assert counts[1] > 1000


def test_confusion_heat(tmp_path: Path) -> None:
    """The diagonal of a good network is dark, empty cells are light, and a matrix of zeros is drawn, too."""
    for matrix in (np.eye(10, dtype=np.int64) * 980 + 1, np.zeros((10, 10), np.int64)):
        figures.confusion(tmp_path / "confusion.png", matrix, title="confusion")
        picture = pixels(tmp_path / "confusion.png")
        assert picture.shape == (900, 1020, 3)
        dark = (picture.sum(axis=-1) < 250).mean()
        assert dark > 0.05 if matrix.any() else dark < 0.05
