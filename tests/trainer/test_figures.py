"""Pictures are PNGs of a sensible size that show what they should."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from trainer import figures
from trainer.calibrate import reliability
from trainer.datasets import Dataset


def pixels(path: Path) -> npt.NDArray[np.int64]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"), np.int64)


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


def test_curves_with_and_without_validation(tmp_path: Path) -> None:
    """Validation has its own orange curve where there is one; a single epoch is drawn, too."""
    orange = []
    for history in (
        {"loss": [2.0, 1.0], "accuracy": [0.5, 0.9]},
        {"loss": [2.0, 1.0], "accuracy": [0.5, 0.9], "val_loss": [2.1, 1.2], "val_accuracy": [0.4, 0.8]},
        {"loss": [2.0], "accuracy": [0.5]},
    ):
        figures.curves(tmp_path / "curves.png", history, title="curves")
        picture = pixels(tmp_path / "curves.png")
        assert picture.shape == (540, 1200, 3)
        orange.append(int(((picture[..., 0] > 200) & (picture[..., 2] < 60)).sum()))
    assert orange[0] == orange[2] == 0
    assert orange[1] > 500


def test_confusion_heat(tmp_path: Path) -> None:
    """The diagonal of a good network is dark, empty cells are light, and a matrix of zeros is drawn, too."""
    for matrix in (np.eye(10, dtype=np.int64) * 980 + 1, np.zeros((10, 10), np.int64)):
        figures.confusion(tmp_path / "confusion.png", matrix, title="confusion")
        picture = pixels(tmp_path / "confusion.png")
        assert picture.shape == (900, 1020, 3)
        dark = (picture.sum(axis=-1) < 250).mean()
        assert dark > 0.05 if matrix.any() else dark < 0.05


def test_reliability_shows_overconfidence(tmp_path: Path) -> None:
    """Bars reach as high as the accuracy, dots stand where the confidence is; few images and one bin are drawn, too."""
    blue = []
    for right in (300, 600):
        found = reliability(np.linspace(0.1, 1, 600), np.arange(600) < right)
        figures.reliability(tmp_path / "reliability.png", found, title="reliability")
        picture = pixels(tmp_path / "reliability.png")
        assert picture.shape == (900, 840, 3)
        blue.append(int(((picture[..., 2] > 150) & (picture[..., 0] < 60)).sum()))
    assert blue[1] > 1.5 * blue[0]
    figures.reliability(tmp_path / "one.png", reliability(np.ones(1), np.array([True])), title="one")
    assert pixels(tmp_path / "one.png").shape == (900, 840, 3)
