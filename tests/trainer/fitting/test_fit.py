"""Fitting learns, follows the recipe and repeats itself."""

import dataclasses
import io

import keras
import numpy as np
import pytest
from rich.console import Console

from exporter.command import UserError
from exporter.picture.normalise import normalise_arrays
from trainer.data.datasets import Dataset
from trainer.data.nondigits import NonDigits
from trainer.fitting.fit import Material, fit, split
from trainer.fitting.network import build
from trainer.recipes import RECIPES, Recipe, find
from trainer.run_folder.runs import History

pytestmark = pytest.mark.training


def material(dataset: Dataset, recipe: Recipe) -> Material:
    others = NonDigits(dataset.x_train[:30], recipe.non_digits) if recipe.non_digits else None
    return Material(normalise_arrays(dataset.x_train), dataset.y_train, others)


def run(dataset: Dataset, recipe: Recipe, *, seed: int, console: Console) -> tuple[keras.Model, History]:
    keras.utils.set_random_seed(seed)
    model = build(recipe)
    return model, fit(model, material(dataset, recipe), recipe, seed=seed, console=console)


@pytest.fixture
def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_recipe_learns(dataset: Dataset, recipe: Recipe, quiet: Console) -> None:
    """Each recipe fits 600 digits: the loss falls, and validation is there if the recipe has it.

    One with teachers is fitted to the labels here; what it learns from them is tested on its own.
    """
    recipe = dataclasses.replace(recipe, epochs=min(recipe.epochs, 5), distillation=None)
    recipe = dataclasses.replace(recipe, batch=min(recipe.batch, 100))
    _, history = run(dataset, recipe, seed=0, console=quiet)
    names = ["loss", "accuracy"] + (["val_loss", "val_accuracy"] if recipe.validation else [])
    assert list(history) == names
    assert all(len(values) == recipe.epochs for values in history.values())
    assert history["loss"][-1] < history["loss"][0]


def test_no_lessons(dataset: Dataset, quiet: Console) -> None:
    """A recipe with teachers does not turn to the labels when nobody has asked them."""
    with pytest.raises(ValueError, match="champion learns from teachers alone, and there are no lessons of theirs"):
        run(dataset, find("champion"), seed=0, console=quiet)


@pytest.mark.parametrize("name", ["dense-128-dropout", "dense-1024-1024-1024"])
def test_same_seed_same_weights(dataset: Dataset, quiet: Console, name: str) -> None:
    """The same seed gives the same weights to the last bit, dropout and distortion included; another seed others."""
    recipe = dataclasses.replace(find(name), epochs=2)
    first, again, other = (run(dataset, recipe, seed=seed, console=quiet)[0].get_weights() for seed in (7, 7, 8))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_learning_rate_rises_and_falls(dataset: Dataset, quiet: Console) -> None:
    """With a cosine the learning rate starts at 0, is highest after a twentieth of the steps, and ends at 0."""
    recipe = dataclasses.replace(find("dense-1024-1024-1024"), hidden=(10,), epochs=20, batch=60, augmentation=None)
    model, _ = run(dataset, recipe, seed=0, console=quiet)
    assert int(model.optimizer.iterations) == 200
    rates = [float(model.optimizer.learning_rate)]
    for step in (0, 5, 10, 105):
        model.optimizer.iterations.assign(step)
        rates.append(float(model.optimizer.learning_rate))
    highest = recipe.learning_rate
    np.testing.assert_allclose(rates, [0, 0, highest / 2, highest, highest / 2], atol=1e-6)


def test_distorts_training_images_alone(dataset: Dataset, quiet: Console) -> None:
    """Held-out images validate as they are: the history has what the network says to them undistorted."""
    recipe = dataclasses.replace(find("dense-1024-1024-1024"), hidden=(64,), epochs=2, validation=0.1)
    keras.utils.set_random_seed(0)
    images = normalise_arrays(dataset.x_train)
    model = build(recipe)
    history = fit(model, Material(images, dataset.y_train), recipe, seed=0, console=quiet)
    targets = keras.utils.to_categorical(dataset.y_train[540:], 10)
    loss, accuracy = model.evaluate(images[540:], targets, verbose=0)
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-4)
    assert history["val_accuracy"][-1] == pytest.approx(accuracy)


def test_steps_at_once(dataset: Dataset, quiet: Console) -> None:
    """How many steps Keras makes at once changes no weight, also where they do not divide an epoch's 6 steps."""
    recipe = dataclasses.replace(find("champion"), hidden=(32,), epochs=3, batch=100, distillation=None)
    (one, history), *others = (
        run(dataset, dataclasses.replace(recipe, steps_at_once=steps), seed=3, console=quiet) for steps in (1, 4, 16)
    )
    for other, same_history in others:
        assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
        assert same_history["loss"] == pytest.approx(history["loss"])


@pytest.mark.parametrize(
    ("name", "batches", "steps"), [("dense-128-32", 15, 1), ("dense-128-32", 15, 4), ("dense-1024-1024-1024", 1, 1)]
)
def test_progress_on_a_terminal(dataset: Dataset, name: str, batches: int, steps: int) -> None:
    """On a terminal the epoch, the batch, the loss and the time left are shown, and each epoch leaves a line."""
    screen = io.StringIO()
    recipe = dataclasses.replace(find(name), epochs=2, validation=0.2, steps_at_once=steps)
    run(dataset, recipe, seed=0, console=Console(file=screen, force_terminal=True, width=150))
    shown = screen.getvalue()
    assert f"epoch 2/2, batch {batches}/{batches}" in shown
    assert "left" in shown
    assert shown.count("epoch 1/2: loss ") == 1
    assert "validation accuracy" in shown


def test_silence_elsewhere(dataset: Dataset) -> None:
    """Where output goes to a file, fitting writes nothing into it."""
    file = io.StringIO()
    run(dataset, dataclasses.replace(find("dense-128"), epochs=1), seed=0, console=Console(file=file))
    assert file.getvalue() == ""


def test_split() -> None:
    """The recipe's share is held out; a recipe without validation fits every image."""
    assert split(60_000, find("dense-128-32")) == (48_000, 12_000)
    assert split(60_000, find("dense-150-50")) == (54_000, 6_000)
    assert split(1, find("dense-128")) == (1, 0)


def test_too_few_to_hold_any_out() -> None:
    """A data set too small for the recipe's validation is refused in one line."""
    with pytest.raises(UserError, match="2 training images are too few to hold out 20% for validation"):
        split(2, find("dense-128-32"))
