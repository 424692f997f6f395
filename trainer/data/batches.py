"""Training images in batches, shuffled and distorted anew in each epoch."""

import math

import keras
import numpy as np
import numpy.typing as npt

from trainer.data.augment import distort
from trainer.data.hands import other_hands
from trainer.data.nondigits import NonDigits, mix_in
from trainer.recipes import Augmentation

WORKERS = 2
"""Threads that make batches. With one, Keras has tf.data tune itself, which ends an epoch up to a minute late."""


class DistortedBatches(keras.utils.PyDataset):  # type: ignore[misc] # Keras ships no types
    """Batches for `model.fit`: pairs of float32 [batch, 28, 28] in 0 to 1 and their targets; the last may be smaller.

    A batch depends on the seed, the epoch and its place alone: whoever asks, in whatever order, gets the same one.
    Keras computes them in threads beside the training step.

    Args:
        images: float32 [n, 28, 28], 0 to 1.
        targets: digits, [n], or one-hot, [n, 10].
        augmentation: how they are distorted.
        batch: images in each.
        seed: of all that is random.
        others: pictures that are no digit, a share of which comes on top of each batch; targets are one-hot then.
    """

    def __init__(
        self,
        images: npt.NDArray[np.float32],
        targets: npt.NDArray[np.generic],
        *,
        augmentation: Augmentation,
        batch: int,
        seed: int,
        others: NonDigits | None = None,
    ) -> None:
        super().__init__(workers=WORKERS)
        self._images = images  # [n, 28, 28]
        self._targets = targets  # [n] or [n, 10]
        self._augmentation = augmentation
        self._batch = batch
        self._seed = seed
        self._others = others
        self._epoch = 0
        self._order = self._shuffled()

    def __len__(self) -> int:
        return math.ceil(len(self._images) / self._batch)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.generic]]:
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        rng = np.random.default_rng([self._seed, self._epoch, index])
        images, targets = self._images[chosen], self._targets[chosen]
        images = other_hands(images, _labels_of(targets), self._augmentation.hands, rng)
        if self._others is not None:
            images, targets = mix_in(images, np.asarray(targets, np.float32), self._others, rng)
        return distort(images, self._augmentation, rng), targets

    @property
    def images(self) -> int:
        """How many an epoch has, pictures that are no digit included."""
        share = 0.0 if self._others is None else self._others.share
        sizes = [min(self._batch, len(self._images) - start) for start in range(0, len(self._images), self._batch)]
        return sum(size + round(share * size) for size in sizes)

    def start_at(self, epoch: int) -> None:
        """Go on with an epoch, counted from 0."""
        self._epoch = epoch
        self._order = self._shuffled()

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch; Keras calls it."""
        self.start_at(self._epoch + 1)

    def _shuffled(self) -> npt.NDArray[np.int64]:
        return np.random.default_rng([self._seed, self._epoch]).permutation(len(self._images))


def _labels_of(targets: npt.NDArray[np.generic]) -> npt.NDArray[np.integer]:
    """Digits, [n], of targets that are digits or one-hot vectors."""
    return np.asarray(targets).argmax(axis=1) if targets.ndim == 2 else np.asarray(targets, np.int64)
