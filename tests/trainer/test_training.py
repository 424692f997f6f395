"""A run with distorted images, in miniature."""

import csv
import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from exporter.picture.normalise import normalise_arrays
from trainer import training
from trainer.data.augment import distort
from trainer.data.datasets import Dataset
from trainer.evaluation.evaluate import evaluate
from trainer.fitting.fit import Material, fit
from trainer.fitting.network import build, predict
from trainer.recipes import find

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> tuple[Path, training.Summary]:
    """The run folder of the shipped network, made small, and what the run came to."""
    folder = tmp_path_factory.mktemp("run")
    recipe = dataclasses.replace(find("dense-1024-1024-1024"), hidden=(64, 64), epochs=10, batch=32)
    paths = training.Paths(data=sample, teachers=(), checkpoints=folder.parent / "checkpoints", folder=folder)
    return folder, training.train(recipe, paths, seed=2, h5=False, console=Console(quiet=True))


def test_distorted_digits_are_shown(run: tuple[Path, training.Summary]) -> None:
    """A recipe with distortion leaves a picture of it, in which there is more than the digits themselves."""
    with Image.open(run[0] / "distorted.png") as image:
        assert image.format == "PNG"
        assert all(500 <= side <= 2000 for side in image.size)
        picture = np.asarray(image.convert("L")).astype(int)
    left, right = np.array_split(picture, 2, axis=1)
    assert min((half < 50).mean() for half in (left, right)) > 0.3
    assert np.abs(left - right).max() > 200


def test_learns_from_distorted_digits(run: tuple[Path, training.Summary]) -> None:
    """Ten epochs of 600 distorted digits are enough to read most digits; the history has one row for each."""
    folder, summary = run
    assert summary.accuracy > 0.7
    with (folder / "history.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 10


def test_model_loads_with_its_normalisation(run: tuple[Path, training.Summary], dataset: Dataset) -> None:
    """The saved network answers as the fitted one did, moving averages of batch normalisation included."""
    folder, summary = run
    model = keras.saving.load_model(folder / "model.keras")
    answers = predict(model, normalise_arrays(dataset.x_test)).argmax(axis=1)
    assert (answers == dataset.y_test).mean() == pytest.approx(summary.accuracy)


def test_calibrated_on_distorted_digits(dataset: Dataset) -> None:
    """The temperature makes distorted copies of unseen digits less surprising, and a repetition finds the same one."""
    recipe = dataclasses.replace(find("dense-1024-1024-1024"), hidden=(64,), epochs=5, batch=32)
    assert recipe.augmentation is not None
    images, labels = normalise_arrays(dataset.x_train), dataset.y_train
    keras.utils.set_random_seed(2)
    model = build(recipe)
    fit(model, Material(images[:400], labels[:400]), recipe, seed=2, console=Console(quiet=True))
    unseen = images[400:], labels[400:]
    found, again = (training.calibrate(model, *unseen, recipe.augmentation, seed=2) for _ in range(2))
    assert found == again != training.calibrate(model, *unseen, None, seed=2)
    copies = distort(images[400:], recipe.augmentation, np.random.default_rng(9))
    losses = [evaluate(predict(model, copies, temperature), labels[400:]).loss for temperature in (0.5 * found, found)]
    assert losses[1] < losses[0]
