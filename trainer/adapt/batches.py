"""Batches of an adaptation: distorted copies of labelled pictures, and old lessons beside them."""

import keras
import numpy as np
import numpy.typing as npt

from exporter.contract import CLASSES, NO_DIGIT
from trainer.adapt.settings import Settings
from trainer.data.augment import distort
from trainer.data.batches import WORKERS
from trainer.data.hands import other_hands
from trainer.fitting.distill import Lessons


class MixedBatches(keras.utils.PyDataset):  # type: ignore[misc] # Keras ships no types
    """Batches for one epoch of `model.fit`: float32 [k, 28, 28] in 0 to 1 and targets, float32 [k, 10].

    Each has labelled pictures, all of them equally often, distorted anew, and lessons: images that the old network
    knows, with its own answers. A batch depends on the seed and its place alone.

    Args:
        images: of the labelled pictures, uint8 [n, 28, 28].
        labels: 0 to 9, or NO_DIGIT, whose target is the same for all digits; [n].
        lessons: [m].
        settings: how many of both a batch has, how certain labels are, and how pictures are distorted.
        steps: how many batches.
        seed: of all that is random.
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.integer],
        lessons: Lessons,
        settings: Settings,
        *,
        steps: int,
        seed: int,
    ) -> None:
        super().__init__(workers=WORKERS)
        self._images = images
        self._labels = labels
        self._targets = targets_of(labels, settings.certainty)
        self._lessons = lessons
        self._steps = steps
        self._settings = settings
        self._seed = seed
        rng = np.random.default_rng(seed)
        rounds = -(-steps * settings.labelled // len(images))
        self._order = np.concatenate([rng.permutation(len(images)) for _ in range(rounds)])

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        settings, rng = self._settings, np.random.default_rng([self._seed, index])
        chosen = self._order[index * settings.labelled : (index + 1) * settings.labelled]
        images, labels = _floats(self._images[chosen]), self._labels[chosen]
        is_digit = labels != NO_DIGIT
        images[is_digit] = other_hands(images[is_digit], labels[is_digit], settings.augmentation.hands, rng)
        lessons = self._lessons[rng.integers(0, len(self._lessons), settings.lessons)]
        return (
            np.concatenate([distort(images, settings.augmentation, rng), _floats(lessons["image"])]),
            np.concatenate([self._targets[chosen], lessons["target"].astype(np.float32)]),
        )


def targets_of(labels: npt.NDArray[np.integer], certainty: float) -> npt.NDArray[np.float32]:
    """Targets, float32 [n, 10], of labels, [n]: what is left of certainty is shared by the other digits."""
    targets = np.full([len(labels), CLASSES], (1 - certainty) / (CLASSES - 1), np.float32)
    is_digit = labels != NO_DIGIT
    targets[is_digit, labels[is_digit]] = certainty
    targets[~is_digit] = 1 / CLASSES
    return targets


def _floats(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return images.astype(np.float32) / np.float32(255)
