"""Batches of distorted images: each image once an epoch, the same for the same seed, whoever asks and when."""

import numpy as np
import numpy.typing as npt
import pytest

from trainer.data.batches import DistortedBatches
from trainer.data.nondigits import NonDigits
from trainer.recipes import Augmentation

SHIFTED = Augmentation(shift=2)


def batches(*, augmentation: Augmentation = SHIFTED, seed: int = 0) -> DistortedBatches:
    """Batches of 8 of 20 images, each of one grey of its own, so that it is known in any place."""
    greys = np.arange(1, 21, dtype=np.float32) / 20
    images = np.zeros([20, 28, 28], np.float32)
    images[:, 10:18, 10:18] = greys[:, None, None]
    return DistortedBatches(images, np.arange(20), augmentation=augmentation, batch=8, seed=seed)


def epoch(source: DistortedBatches) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.generic]]]:
    return [source[index] for index in range(len(source))]


def test_each_image_once_with_its_target() -> None:
    """An epoch has every image once, shuffled, beside its own target; the last batch has what is left."""
    pairs = epoch(batches())
    assert [len(images) for images, _ in pairs] == [8, 8, 4]
    assert all(images.dtype == np.float32 for images, _ in pairs)
    targets = np.concatenate([targets for _, targets in pairs])
    assert sorted(targets) == list(range(20))
    assert list(targets) != list(range(20))
    images = np.concatenate([images for images, _ in pairs])
    np.testing.assert_allclose(images.max(axis=(1, 2)), (targets + 1) / 20, rtol=1e-5)


def test_repeatable_in_any_order() -> None:
    """A batch is the same whenever it is asked for, and for whoever has the same seed."""
    one, other = batches(seed=5), batches(seed=5)
    backwards = [other[index] for index in reversed(range(len(other)))][::-1]
    for pair, same in zip(epoch(one), backwards, strict=True):
        np.testing.assert_array_equal(pair[0], same[0])
        np.testing.assert_array_equal(pair[1], same[1])


@pytest.mark.parametrize("augmentation", [SHIFTED, Augmentation()])
def test_epochs_and_seeds_differ(augmentation: Augmentation) -> None:
    """Another epoch and another seed have another order."""
    source = batches(augmentation=augmentation)
    first = epoch(source)
    source.on_epoch_end()
    for others in (epoch(source), epoch(batches(augmentation=augmentation, seed=1))):
        assert not np.array_equal(first[0][1], others[0][1])
        assert not np.array_equal(first[0][0], others[0][0])


def test_pictures_that_are_no_digit_come_on_top() -> None:
    """Each batch has its own digits and a share of others, whose target is the same for all ten."""
    greys = np.full([20, 28, 28], 0.5, np.float32)
    others = NonDigits(np.full([3, 28, 28], 255, np.uint8), 0.25)
    targets = np.eye(10, dtype=np.float32)[np.arange(20) % 10]
    source = DistortedBatches(greys, targets, augmentation=Augmentation(), batch=8, seed=0, others=others)
    pairs = epoch(source)
    assert [len(images) for images, _ in pairs] == [10, 10, 5]
    for images, target in pairs:
        is_digit = images.max(axis=(1, 2)) < 0.6
        np.testing.assert_array_equal(target[is_digit].max(axis=1), 1)
        np.testing.assert_allclose(target[~is_digit], 0.1)
        assert (~is_digit).sum() == round(0.25 * is_digit.sum())


def test_distorted_anew_in_each_epoch() -> None:
    """An image looks different in the next epoch."""
    source = batches()
    seen = []
    for _ in range(2):
        pairs = epoch(source)
        targets = np.concatenate([targets for _, targets in pairs])
        seen.append(np.concatenate([images for images, _ in pairs])[targets.argsort()])
        source.on_epoch_end()
    assert (np.abs(seen[0] - seen[1]).max(axis=(1, 2)) > 0.001).all()
