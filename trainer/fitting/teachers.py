"""Fitted networks that another learns from: their run folders, and what they say of its training images."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import keras
import numpy as np
import numpy.typing as npt
from rich.console import Console

from exporter.command import UserError
from exporter.contract import CLASSES
from exporter.network.fold import fold
from exporter.network.processor import AMX, has
from exporter.network.served import BFLOAT16, FLOAT32, load
from trainer.data.batches import DistortedBatches
from trainer.data.nondigits import NonDigits
from trainer.fitting.distill import Lessons, teach
from trainer.recipes import Augmentation, Distillation
from trainer.run_folder.runs import METRICS, MODEL

_TOGETHER = 1024  # images that they are asked about at once

SEED: Final = 0
"""Of what teachers are asked about: students of other seeds hear the same, and differ by their own seed alone."""


@dataclass(frozen=True, eq=False)
class Teachers:
    """Networks, read from their run folders by `teachers_of`."""

    networks: list[keras.Model]
    settings: Distillation
    digests: list[str]
    """SHA-256 of the files they came from."""

    def lessons(
        self,
        images: npt.NDArray[np.float32],
        labels: npt.NDArray[np.integer],
        others: NonDigits | None,
        augmentation: Augmentation | None,
        path: Path,
        *,
        console: Console,
    ) -> Lessons:
        """What they say of distorted copies of images.

        Args:
            images: float32 [n, 28, 28], 0 to 1, those that the student is fitted to.
            labels: digits, [n], for distortions that depend on them.
            others: pictures that are no digit, if any are mixed in.
            augmentation: how copies are distorted, if they are.
            path: the file of the lessons, as for `teach`.
            console: where progress is shown, if it is a terminal.
        """
        copies = DistortedBatches(
            images,
            keras.utils.to_categorical(labels, CLASSES),
            augmentation=augmentation or Augmentation(),
            batch=_TOGETHER,
            seed=SEED,
            others=others,
        )
        return teach(
            self.networks,
            copies,
            path,
            copies=self.settings.copies,
            softness=self.settings.softness,
            console=console,
        )


def teachers_of(student: str, settings: Distillation, runs: Sequence[Path], *, fitted: int) -> Teachers:
    """Read the teachers of a student.

    Args:
        student: recipe of the student.
        settings: whom it learns from, and how.
        runs: run folders of the teachers.
        fitted: how many training images, from their start, the student is fitted to.

    Raises:
        UserError: a folder is none, or of another recipe, or its network was fitted to images that the student holds
            out, which would make the student's confidence look better than it is.
    """
    networks, digests = [], []
    for run in runs:
        networks.append(_read(student, settings, run, fitted=fitted))
        digests.append(hashlib.sha256((run / MODEL).read_bytes()).hexdigest())
    return Teachers(networks, settings, digests)


def _read(student: str, settings: Distillation, run: Path, *, fitted: int) -> keras.Model:
    if not run.is_dir():
        raise UserError(
            f"{student} learns from {settings.teacher}, and there is no run of it at {run}; "
            f"fit them with digits-train, or give their run folders with --teacher",
        )
    path = run / METRICS
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        name, images = str(metrics["recipe"]), int(metrics["images"]["training"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} cannot be read ({error}); train it again with digits-train") from None
    if name != settings.teacher:
        raise UserError(
            f"{run} is a run of {name}; {student} learns from {settings.teacher}: name others with --teacher"
        )
    if images > fitted:
        raise UserError(
            f"{run} was fitted to {images:,} images, and {student} would hold some of them out, as it fits {fitted:,}; "
            f"fit {name} again to the same data",
        )
    model = load(run)
    # In a fifth of the time: convolutions wait for memory, and batch normalisation goes over all of it again.
    folded = fold(model, BFLOAT16 if has(AMX) else FLOAT32)
    return model if folded is None else folded
