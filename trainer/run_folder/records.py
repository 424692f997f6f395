"""What a run leaves behind: the model, the numbers, the warm-up images and the pictures, written into its folder."""

import csv
import json
import platform
from importlib.metadata import version
from pathlib import Path

import absl.logging
import keras
import numpy as np
import numpy.typing as npt
from PIL import Image

from exporter.contract import CLASSES, RUN_TEMPERATURE
from exporter.figures import confusion, contact_sheet
from trainer.data.augment import distort
from trainer.data.datasets import Dataset
from trainer.data.hands import other_hands
from trainer.evaluation import figures
from trainer.evaluation.calibrate import BINS, Reliability
from trainer.evaluation.evaluate import Evaluation
from trainer.recipe_file import recipe_text
from trainer.recipes import Augmentation, Recipe
from trainer.run_folder import runs
from trainer.run_folder.runs import History

_WARMUP_PER_DIGIT = 4
_SAMPLES_PER_DIGIT = 10
_PREDICTIONS = 80
_COPIES = 9


def write_model(folder: Path, model: keras.Model, *, h5: bool) -> None:
    """Save the fitted network in Keras' format, and on request in the older HDF5 one."""
    model.save(folder / runs.MODEL)
    if h5:
        # Keras warns that HDF5 is the older format, which whoever asks for it knows.
        verbosity = absl.logging.get_verbosity()
        absl.logging.set_verbosity(absl.logging.ERROR)
        model.save(folder / runs.H5)
        absl.logging.set_verbosity(verbosity)


def write_history(folder: Path, history: History) -> None:
    """Write one CSV row for each epoch, counted from 1."""
    with (folder / runs.HISTORY).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["epoch", *history])
        epochs = zip(*history.values(), strict=True)
        rows.writerows([epoch, *values] for epoch, values in enumerate(epochs, start=1))


def write_metrics(
    folder: Path,
    evaluation: Evaluation,
    *,
    temperature: float,
    recipe: Recipe,
    seed: int,
    images: dict[str, int],
    seconds: float,
) -> None:
    """Write the figures of a run as JSON.

    Args:
        folder: where to.
        evaluation: on the test images.
        temperature: what calibrates the probabilities that were evaluated.
        recipe: what was fitted.
        seed: the seed of everything random in the run.
        images: how many were for training, validation and test.
        seconds: wall time from reading the data set on, imports not counted.
    """
    metrics = {
        "recipe": recipe.name,
        "test_accuracy": evaluation.accuracy,
        "test_loss": evaluation.loss,
        "precision": evaluation.precision.tolist(),
        "recall": evaluation.recall.tolist(),
        "confusion": evaluation.confusion.tolist(),
        RUN_TEMPERATURE: temperature,
        "expected_calibration_error": evaluation.reliability.error,
        "calibration_bins": _bins(evaluation.reliability),
        "parameters": recipe.parameters,
        "seed": seed,
        "images": images,
        "wall_seconds": round(seconds, 3),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("tensorflow", "keras", "numpy", "digits")},
        },
    }
    (folder / runs.METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Write what was fitted as a recipe file."""
    (folder / runs.RECIPE).write_text(recipe_text(recipe), encoding="utf-8")


def _bins(reliability: Reliability) -> list[dict[str, float]]:
    """Bins of confidence, for programs; those without images, too."""
    return [
        {
            "from": place / BINS,
            "to": (place + 1) / BINS,
            "images": int(reliability.count[place]),
            "confidence": float(reliability.confidence[place]),
            "accuracy": float(reliability.accuracy[place]),
        }
        for place in range(BINS)
    ]


def write_warmup(folder: Path, dataset: Dataset, *, seed: int) -> None:
    """Write a few training digits of each kind as PNGs, white on black, as they came."""
    (folder / runs.WARMUP).mkdir()
    picks = _of_each_digit(dataset.y_train, _WARMUP_PER_DIGIT, seed)
    for digit, places in enumerate(picks):
        for i, place in enumerate(places):
            Image.fromarray(dataset.x_train[place]).save(folder / runs.WARMUP / f"{digit}-{i}.png")


def write_pictures(
    folder: Path,
    dataset: Dataset,
    history: History,
    answers: npt.NDArray[np.integer],
    evaluation: Evaluation,
    *,
    recipe: str,
    seed: int,
) -> None:
    """Draw what a person looks at first; `answers` are the digits, [m], that the network sees in the test images."""
    places = np.concatenate(_of_each_digit(dataset.y_train, _SAMPLES_PER_DIGIT, seed))
    contact_sheet(
        folder / runs.SAMPLES,
        dataset.x_train[places],
        [str(label) for label in dataset.y_train[places]],
        title=f"Training digits with their labels: {len(places)} of {len(dataset.y_train):,} images",
    )

    epochs = len(history["loss"])
    figures.curves(
        folder / runs.CURVES,
        history,
        title=f"{recipe}: accuracy and loss over {epochs} epoch{'s' * (epochs != 1)}",
    )

    count = len(dataset.y_test)
    confusion(
        folder / runs.CONFUSION,
        evaluation.confusion,
        title=f"{recipe}: {evaluation.accuracy:.2%} of {count:,} test images right",
    )

    figures.reliability(
        folder / runs.RELIABILITY,
        evaluation.reliability,
        title=f"{recipe}: expected calibration error {evaluation.reliability.error:.2%}, {count:,} test images",
    )

    chosen = np.random.default_rng(seed).permutation(count)[:_PREDICTIONS]
    wrong = answers[chosen] != dataset.y_test[chosen]
    contact_sheet(
        folder / runs.PREDICTIONS,
        dataset.x_test[chosen],
        [f"said {said}, is {true}" for said, true in zip(answers[chosen], dataset.y_test[chosen], strict=True)],
        title=f"{recipe}: predicted and true digit of {len(chosen)} random test images, {wrong.sum()} wrong (red)",
        marked=wrong,
    )


def write_distorted(
    folder: Path,
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    augmentation: Augmentation,
    *,
    seed: int,
) -> None:
    """Draw one training digit of each kind and distorted copies of it; `images` are float32 [n, 28, 28], 0 to 1."""
    places = np.concatenate(_of_each_digit(labels, 1, seed))
    rng = np.random.default_rng(seed)
    copies = [
        distort(other_hands(images[places], labels[places], augmentation.hands, rng), augmentation, rng)
        for _ in range(_COPIES)
    ]
    sheet = np.stack([images[places], *copies], axis=1)  # [10, 1 + copies, 28, 28]
    contact_sheet(
        folder / runs.DISTORTED,
        np.rint(255 * sheet.reshape(-1, *images.shape[1:])).astype(np.uint8),
        [caption for label in labels[places] for caption in (f"a {label}", *[""] * _COPIES)],
        title="Training digits, and beside each what the network sees in its place",
        columns=1 + _COPIES,
    )


def _of_each_digit(labels: npt.NDArray[np.integer], most: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """Random places of up to `most` images of each digit."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    return [shuffled[labels[shuffled] == digit][:most] for digit in range(CLASSES)]
