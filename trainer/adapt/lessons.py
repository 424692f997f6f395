"""What a network must not forget: its own answers about images that it was fitted to, and digits for calibration."""

from pathlib import Path

import keras
import numpy as np
from rich.console import Console

from exporter.contract import CLASSES
from exporter.picture.normalise import normalise_arrays
from trainer.adapt.folds import Known
from trainer.data.augment import distort
from trainer.data.batches import DistortedBatches
from trainer.data.datasets import Dataset
from trainer.data.hands import other_hands
from trainer.data.nondigits import NonDigits, non_digits
from trainer.fitting.distill import Lessons, teach
from trainer.recipes import Augmentation
from trainer.run_folder.runs import LESSONS

_KNOWN = 300  # training digits, from their end, are in no lesson: they help to find the temperature
_LESSONS = 50_000  # at most
_NON_DIGITS = 4000  # pictures that are no digit, drawn for the lessons
_NON_DIGIT_SHARE = 0.05
_TOGETHER = 1000  # images that the old network is asked about at once


def lessons_of(
    old: keras.Model,
    temperature: float,
    dataset: Dataset,
    augmentation: Augmentation,
    kept: Path,
    *,
    seed: int,
    console: Console,
) -> Lessons:
    """What the old network says of the images that it was fitted to, and of distorted copies of them; [m]."""
    count = max(1, min(_LESSONS, len(dataset.x_train) - _KNOWN))
    images, labels = dataset.x_train[:count], dataset.y_train[:count]
    with console.status("Drawing pictures that are no digit"):
        others = NonDigits(non_digits(min(_NON_DIGITS, count), digits=images, seed=seed), _NON_DIGIT_SHARE)
    normal, targets = normalise_arrays(images), keras.utils.to_categorical(labels, CLASSES)
    parts = []
    for name, way, added in ((f"plain-{LESSONS}", Augmentation(), None), (LESSONS, augmentation, others)):
        copies = DistortedBatches(normal, targets, augmentation=way, batch=_TOGETHER, seed=seed, others=added)
        parts.append(teach([old], copies, kept / name, copies=1, softness=temperature, console=console)[0])
    return np.concatenate(parts)


def known_of(dataset: Dataset, augmentation: Augmentation, *, seed: int) -> Known:
    """Distorted copies of training digits that are in no lesson."""
    rng = np.random.default_rng(seed)
    images, labels = normalise_arrays(dataset.x_train[-_KNOWN:]), dataset.y_train[-_KNOWN:]
    return Known(distort(other_hands(images, labels, augmentation.hands, rng), augmentation, rng), labels)
