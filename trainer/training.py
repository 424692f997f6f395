"""One training run from data to run folder."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from rich.console import Console

from exporter.picture.normalise import normalise_arrays
from trainer.data.augment import distort
from trainer.data.datasets import load
from trainer.data.hands import other_hands
from trainer.data.nondigits import NonDigits, non_digits
from trainer.evaluation.calibrate import fit_temperature
from trainer.evaluation.evaluate import evaluate
from trainer.fitting.checkpoint import Checkpoints
from trainer.fitting.fit import Material, fit, split
from trainer.fitting.network import build, in_float32, predict
from trainer.fitting.teachers import SEED as LESSONS_SEED
from trainer.fitting.teachers import teachers_of
from trainer.recipes import Augmentation, Recipe
from trainer.run_folder import records
from trainer.run_folder.runs import CouldNotWriteError

_POOL = 20_000  # most pictures that are no digit, each of them distorted anew whenever it is drawn
_COPIES = 4  # of each held-out digit: with them 600 digits give as steady a temperature as 3,000 without


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Where a run finds and leaves things."""

    data: Path | None
    """The data set, None for Keras' download."""
    teachers: Sequence[Path]
    """Run folders of the teachers, for a recipe that has any."""
    checkpoints: Path
    """What an interrupted run left, and where this one leaves it."""
    folder: Path
    """An empty folder, which becomes the run folder."""


@dataclass(frozen=True)
class Summary:
    """What a run came to."""

    accuracy: float
    """Share of test images answered right."""
    loss: float
    """Mean cross-entropy on the test images, in nats."""
    seconds: float
    """Wall time, imports not counted."""


def train(
    recipe: Recipe,
    paths: Paths,
    *,
    seed: int,
    h5: bool,
    console: Console,
) -> Summary:
    """Fit a recipe, evaluate it on the test images and fill a run folder.

    Args:
        recipe: what to fit, and how.
        paths: where everything is, and goes.
        seed: 0 to 2**32 - 1; the same one on the same processor gives the same weights.
        h5: whether to save the network as HDF5, too.
        console: where progress is shown, if it is a terminal.

    Raises:
        UserError: a data set or a teacher that cannot be used, or a folder that cannot be written.
    """
    start, folder = time.perf_counter(), paths.folder
    dataset = load(paths.data)
    fitted, held_out = split(len(dataset.x_train), recipe)
    teachers = None
    if recipe.distillation is not None:
        teachers = teachers_of(recipe.name, recipe.distillation, paths.teachers, fitted=fitted)

    keras.utils.set_random_seed(seed)
    model = build(recipe)
    # Training sees what serving will see: the same normalisation on both sides.
    images = normalise_arrays(dataset.x_train)
    others = None
    if recipe.non_digits:
        with console.status("Drawing pictures that are no digit"):
            drawn = seed if teachers is None else LESSONS_SEED
            pictures = non_digits(min(_POOL, fitted), digits=dataset.x_train[:fitted], seed=drawn)
            others = NonDigits(pictures, recipe.non_digits)
    try:
        kept = Checkpoints(
            paths.checkpoints,
            recipe,
            seed=seed,
            images=(fitted, held_out),
            teachers=[] if teachers is None else teachers.digests,
        )
        lessons = None
        if teachers is not None:
            asked = images[:fitted], dataset.y_train[:fitted], others, recipe.augmentation
            lessons = teachers.lessons(*asked, kept.lessons, console=console)
        material = Material(images, dataset.y_train, others, lessons)
        history = fit(model, material, recipe, seed=seed, console=console, checkpoints=kept)
    except OSError as error:
        raise CouldNotWriteError(
            f"{paths.checkpoints}: {error}; make room there, and repeat the command to go on"
        ) from error
    model = in_float32(model, recipe)
    temperature = 1.0
    if held_out:
        temperature = calibrate(model, images[fitted:], dataset.y_train[fitted:], recipe.augmentation, seed=seed)
    probabilities = predict(model, normalise_arrays(dataset.x_test), temperature)
    evaluation = evaluate(probabilities, dataset.y_test)

    try:
        records.write_model(folder, model, h5=h5)
        records.write_recipe(folder, recipe)
        records.write_history(folder, history)
        records.write_warmup(folder, dataset, seed=seed)
        records.write_pictures(
            folder,
            dataset,
            history,
            probabilities.argmax(axis=1),
            evaluation,
            recipe=recipe.name,
            seed=seed,
        )
        if recipe.augmentation is not None:
            records.write_distorted(folder, images, dataset.y_train, recipe.augmentation, seed=seed)
        seconds = time.perf_counter() - start
        records.write_metrics(
            folder,
            evaluation,
            temperature=temperature,
            recipe=recipe,
            seed=seed,
            images={"training": fitted, "validation": held_out, "test": len(dataset.x_test)},
            seconds=seconds,
        )
    except OSError as error:
        raise CouldNotWriteError(
            f"{folder.parent}: cannot be written ({error}); make room there or change --out",
        ) from error
    return Summary(evaluation.accuracy, evaluation.loss, seconds)


def calibrate(
    model: keras.Model,
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    augmentation: Augmentation | None,
    *,
    seed: int,
) -> float:
    """The temperature of a fitted network, found on digits that the fit has not seen: of those it has, it is too sure.

    Where training distorts, so does this. A network that reads nearly every plain digit leaves a handful of mistakes to
    judge confidence by, and other people's scans are further from MNIST than its own test set.

    Args:
        model: from build, fitted.
        images: float32 [n, 28, 28], 0 to 1.
        labels: digits, [n].
        augmentation: how training images were distorted, if they were.
        seed: of the distortions.
    """
    if augmentation is not None:
        rng = np.random.default_rng(seed)
        copies = [
            distort(other_hands(images, labels, augmentation.hands, rng), augmentation, rng) for _ in range(_COPIES)
        ]
        images, labels = np.concatenate(copies), np.tile(labels, _COPIES)
    return fit_temperature(predict(model, images), labels)
