"""Ones with a flag and a foot, drawn onto training images."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import Image
from trainer.serifs import add_serifs


def _training(mnist_sample: tuple[Image, Image]) -> tuple["np.typing.NDArray[np.float32]", Image]:
    images, labels = mnist_sample
    return images.astype(np.float32) / np.float32(255), labels


def test_ones_alone_get_serifs(mnist_sample: tuple[Image, Image]) -> None:
    """Every one gets more ink, to the left of its stroke; no other digit changes, and the input is left alone."""
    images, labels = _training(mnist_sample)
    before = images.copy()
    drawn = add_serifs(images, labels, 1.0, np.random.default_rng(1))
    ones = labels == 1
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(drawn[~ones], images[~ones])
    assert (drawn[ones].sum(axis=(1, 2)) > images[ones].sum(axis=(1, 2))).all()
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_ones_stay_centred(mnist_sample: tuple[Image, Image]) -> None:
    """The centre of mass lies where MNIST's lies, to half a pixel and a little."""
    images, labels = _training(mnist_sample)
    drawn = add_serifs(images, labels, 1.0, np.random.default_rng(2))[labels == 1]
    places = np.arange(28)
    for axis in (1, 2):
        centre = drawn.sum(axis=axis) @ places / drawn.sum(axis=(1, 2))
        assert np.abs(centre - 14).max() < 0.75


def test_share_and_seed_decide(mnist_sample: tuple[Image, Image]) -> None:
    """No share, no change; the same seed, the same serifs."""
    images, labels = _training(mnist_sample)
    np.testing.assert_array_equal(add_serifs(images, labels, 0.0, np.random.default_rng(1)), images)
    first, again = (add_serifs(images, labels, 0.5, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    changed = (first != images).any(axis=(1, 2))[labels == 1]
    assert 0 < changed.sum() < len(changed)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blank=st.booleans())
def test_any_image_can_be_called_a_one(seed: int, blank: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    """Noise and blanks that are labelled one neither crash nor leave the range."""
    rng = np.random.default_rng(seed)
    image = np.zeros([1, 28, 28], np.float32) if blank else rng.random([1, 28, 28], np.float32)
    drawn = add_serifs(image, np.array([1]), 1.0, rng)
    assert np.isfinite(drawn).all()
    assert 0 <= drawn.min() <= drawn.max() <= 1
