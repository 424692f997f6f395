"""What `digits-train search` and `--recipe` refuse, each in one line before TensorFlow starts."""

import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from exporter.command import UserError
from trainer.cli import app


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("search", "which recipe? One of dense-128-dropout"),
        ("search dense-129", "no recipe 'dense-129'; did you mean dense-128?"),
        ("search champion", "champion learns from teachers, which a search does not fit; search cnn instead"),
        ("search dense-128 --h5", "--h5 is for digits-train RECIPE, not for search; leave it away"),
        ("search dense-128 --from run", "--from is for digits-train numbers or digits-train adapt, not for search"),
        ("search dense-128 --recipe mine.toml", "name a recipe, dense-128, or give its file with --recipe, not both"),
        ("dense-128 --recipe mine.toml", "name a recipe, dense-128, or give its file with --recipe, not both"),
        ("dense-128 --trials 3", "--trials is for digits-train search, not for dense-128; leave it away"),
        ("dense-128 --tuner random", "--tuner is for digits-train search, not for dense-128; leave it away"),
        ("dense-128 cnn", "one network is fitted at a time; leave cnn away"),
        (
            "numbers --from run --recipe mine.toml",
            "--recipe is for digits-train RECIPE or digits-train search, not for",
        ),
        ("--recipe mine.toml --from run", "--from is for digits-train numbers or digits-train adapt, not for this"),
        ("adapt --labels a.csv --h5", "--h5 is for digits-train RECIPE, not for adapt; leave it away"),
        ("dense-128 --labels a.csv", "--labels is for digits-train adapt, not for dense-128; leave it away"),
        ("--recipe none.toml", "none.toml: cannot be read (No such file or directory)"),
        ("search --recipe bad.toml", "bad.toml: hidden is 3; it must be a list"),
        ("search dense-128 --out taken --data none", "taken: already exists"),
        ("", "which recipe? One of dense-128-dropout"),
    ],
)
def test_refused(command: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags that do not belong together, and recipes that are not there, are told."""
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text('name = "mine"\nhidden = [16]\nepochs = 2\n')
    Path("bad.toml").write_text('name = "mine"\nhidden = 3\nepochs = 2\n')
    Path("taken").mkdir()
    refused = CliRunner().invoke(app, command.split())
    assert isinstance(refused.exception, UserError)
    assert str(refused.exception).startswith(said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.toml", "mine.toml", "taken"]


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where KerasTuner is not installed, the error says how to install it."""
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    found = CliRunner().invoke(app, ["search", "dense-128"])
    assert isinstance(found.exception, UserError)
    assert "pip install '.[search]'" in str(found.exception)


def test_too_few_images(tmp_path: Path) -> None:
    """A data set without a sixth to hold out is refused."""
    images, labels = np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.uint8)
    np.savez(tmp_path / "two.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    arguments = ["search", "dense-128", "--data", str(tmp_path / "two.npz"), "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(app, arguments)
    assert isinstance(found.exception, UserError)
    assert "2 training images are too few to hold out a sixth of them" in str(found.exception)
