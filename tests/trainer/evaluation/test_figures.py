"""Pictures of a fit are PNGs of a sensible size that show what they should."""

from pathlib import Path

import numpy as np

from tests.support import pixels
from trainer.evaluation import figures
from trainer.evaluation.calibrate import reliability


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
