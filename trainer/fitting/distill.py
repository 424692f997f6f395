"""Distillation: what fitted teachers say of many distorted copies, and batches of them for a student.

After Beyer et al., "Knowledge distillation: A good teacher is patient and consistent" (2022): teachers and student see
the very same distorted copy, and the student sees many of them for long. What is taught is the mean of several answers,
softened: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015).
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from rich.console import Console

from exporter.contract import CLASSES, SIDE
from exporter.network.probabilities import to_probabilities
from trainer.bar import bar
from trainer.data.batches import WORKERS, DistortedBatches

_LESSON = np.dtype([("image", np.uint8, (SIDE, SIDE)), ("target", np.float16, (CLASSES,))])

Lessons = npt.NDArray[np.void]
"""[copies, n]: `image`, uint8 [28, 28], and `target`, float16 [10]; each row has a copy of every training image."""


def teach(
    teachers: Sequence[keras.Model],
    batches: DistortedBatches,
    path: Path,
    *,
    copies: int,
    softness: float,
    console: Console,
) -> Lessons:
    """Ask teachers about distorted copies of each training image, but for what an interrupted run has asked already.

    Args:
        teachers: each gives probabilities of float32 [n, 28, 28].
        batches: distorted images with one-hot targets. Pictures that are no digit keep their target: what is known of
            them needs no teacher.
        path: file of the mean answers, 0.8 kB for each copy, to be removed when the student is fitted.
        copies: of each image.
        softness: the temperature of the answers; above 1 softens them.
        console: where progress is shown, if it is a terminal.

    Returns:
        The file, mapped into memory.

    Raises:
        OSError: the file cannot be written.
    """
    row = batches.images * _LESSON.itemsize
    done = path.stat().st_size // row if path.exists() else 0
    with (
        path.open("ab") as file,
        bar(console) as progress,
        # The next copies are distorted while the teachers look at these.
        ThreadPoolExecutor(1) as beside,
    ):
        file.truncate(done * row)
        task = progress.add_task("", total=copies * len(batches), completed=done * len(batches))
        for copy in range(done, copies):
            progress.update(task, description=f"asking the teachers, copy {copy + 1}/{copies}")
            batches.start_at(copy)
            coming = beside.submit(batches.__getitem__, 0)
            for index in range(len(batches)):
                images, targets = coming.result()
                if index + 1 < len(batches):
                    coming = beside.submit(batches.__getitem__, index + 1)
                _ask(teachers, images, targets, softness).tofile(file)
                progress.advance(task)
            file.flush()
    return np.memmap(path, _LESSON, "r", shape=(copies, batches.images))


def _ask(
    teachers: Sequence[keras.Model],
    images: npt.NDArray[np.float32],
    targets: npt.NDArray[np.generic],
    softness: float,
) -> Lessons:
    lessons = np.empty(len(images), _LESSON)
    lessons["image"] = np.rint(255 * images)
    # Of what is stored: teachers and student see the same picture to the last bit.
    seen = _floats(lessons["image"])
    # Not `predict`: it makes a data set of them each time, which takes as long as the answers.
    answers = np.mean([to_probabilities(teacher.predict_on_batch(seen)) for teacher in teachers], axis=0)
    softened = np.asarray(to_probabilities(answers, softness))
    lessons["target"] = np.where(targets.max(axis=1, keepdims=True) == 1, softened, targets)
    return lessons


class LessonBatches(keras.utils.PyDataset):  # type: ignore[misc] # Keras ships no types
    """Batches for `model.fit` of what teachers have said, one copy of each training image an epoch, shuffled.

    When all copies were seen they come again. A batch depends on the seed, the epoch and its place alone.

    Args:
        lessons: from teach.
        batch: images in each; float32 [batch, 28, 28], 0 to 1, with targets, float32 [batch, 10]; the last may be
            smaller.
        seed: of the order.
    """

    def __init__(self, lessons: Lessons, *, batch: int, seed: int) -> None:
        super().__init__(workers=WORKERS)
        self._lessons = lessons
        self._batch = batch
        self._seed = seed
        self.start_at(0)

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._batch)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        lessons = self._lessons[self._epoch % len(self._lessons)][chosen]
        return _floats(lessons["image"]), lessons["target"].astype(np.float32)

    def start_at(self, epoch: int) -> None:
        """Go on with an epoch, counted from 0."""
        self._epoch = epoch
        self._order = np.random.default_rng([self._seed, epoch]).permutation(self._lessons.shape[1])

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch; Keras calls it."""
        self.start_at(self._epoch + 1)


def _floats(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return images.astype(np.float32) / np.float32(255)
