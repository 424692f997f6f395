"""Digits as other schools teach them, made from training images."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import Image
from trainer.data.hands import other_hands
from trainer.data.ways.table import WAYS
from trainer.recipes import Hands

Floats = npt.NDArray[np.float32]

ADDED, REDRAWN = Hands(added=1.0), Hands(redrawn=1.0)


@pytest.fixture(scope="module")
def training(mnist_sample: tuple[Image, Image]) -> tuple[Floats, Image]:
    """The sample as the trainer sees it."""
    images, labels = mnist_sample
    return images.astype(np.float32) / np.float32(255), labels


def test_some_digits_alone_change(training: tuple[Floats, Image]) -> None:
    """Nearly every one, four, six, seven and nine changes, no other digit does, and the input is left alone."""
    images, labels = training
    before = images.copy()
    drawn = other_hands(images, labels, ADDED, np.random.default_rng(1))
    np.testing.assert_array_equal(images, before)
    changed = (drawn != images).any(axis=(1, 2))
    taught = np.isin(labels, (1, 4, 6, 7, 9))
    assert not changed[~taught].any()
    assert changed[taught].mean() > 0.9
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 1


@pytest.mark.parametrize("digit", [1, 6, 7, 9])
def test_strokes_are_added(training: tuple[Floats, Image], digit: int) -> None:
    """Flags, feet, bars, hooks and curls are ink; where the digit's own ink was, it stays."""
    images, labels = training
    these = labels == digit
    drawn = other_hands(images, labels, ADDED, np.random.default_rng(2))[these]
    assert (drawn.sum(axis=(1, 2)) >= images[these].sum(axis=(1, 2)) - 1e-3).mean() > 0.95
    assert drawn.sum() > 1.03 * images[these].sum()


def test_fours_lose_the_top_of_their_right_stroke(training: tuple[Floats, Image]) -> None:
    """Ink goes, at the upper right, and less than half of it."""
    images, labels = training
    fours = images[labels == 4]
    drawn = other_hands(images, labels, ADDED, np.random.default_rng(3))[labels == 4]
    share = drawn.sum(axis=(1, 2)) / fours.sum(axis=(1, 2))
    assert share.max() <= 1
    assert share.min() > 0.4
    assert share.mean() < 0.95


def test_digits_stay_centred(training: tuple[Floats, Image]) -> None:
    """The centre of mass lies where MNIST's lies, to half a pixel and a little."""
    images, labels = training
    changed = np.isin(labels, (1, 4, 6, 7, 9))
    drawn = other_hands(images, labels, ADDED, np.random.default_rng(4))[changed]
    places = np.arange(28)
    for axis in (1, 2):
        centre = drawn.sum(axis=axis) @ places / drawn.sum(axis=(1, 2))
        assert np.abs(centre - 14).max() < 1.25
        assert np.abs(centre - 14).mean() < 0.5


def test_share_and_seed_decide(training: tuple[Floats, Image]) -> None:
    """No share, no change; the same seed, the same strokes."""
    images, labels = training
    np.testing.assert_array_equal(other_hands(images, labels, Hands(), np.random.default_rng(1)), images)
    first, again = (other_hands(images, labels, Hands(added=0.5), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    changed = (first != images).any(axis=(1, 2))[labels == 1]
    assert 0 < changed.sum() < len(changed)


def test_all_but_sixes_are_written_anew(training: tuple[Floats, Image]) -> None:
    """Digits that have ways of their own change, no six does, and the input is left alone."""
    images, labels = training
    before = images.copy()
    drawn = other_hands(images, labels, REDRAWN, np.random.default_rng(5))
    np.testing.assert_array_equal(images, before)
    changed = (drawn != images).any(axis=(1, 2))
    np.testing.assert_array_equal(changed, np.isin(labels, list(WAYS)))
    np.testing.assert_array_equal(changed, labels != 6)
    assert drawn.dtype == np.float32


def test_what_is_written_anew_keeps_its_pen(training: tuple[Floats, Image]) -> None:
    """It is as bright as the digit it stands for, and thicker where that is thicker."""
    images, labels = training
    anew = labels != 6
    drawn = other_hands(images, labels, REDRAWN, np.random.default_rng(6))[anew]
    np.testing.assert_allclose(drawn.max(axis=(1, 2)), images[anew].max(axis=(1, 2)), rtol=0.1)
    ink, old = drawn.sum(axis=(1, 2)), images[anew].sum(axis=(1, 2))
    assert 0.7 < ink.mean() / old.mean() < 1.2
    assert np.corrcoef(ink, old)[0, 1] > 0.5


def test_shares_and_seed_decide_what_is_written_anew(training: tuple[Floats, Image]) -> None:
    """The same seed, the same digits; about the share of them that was asked for."""
    images, labels = training
    some = Hands(redrawn=0.3)
    first, again = (other_hands(images, labels, some, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert 0.2 < (first != images).any(axis=(1, 2))[labels != 6].mean() < 0.4


def test_added_strokes_are_the_same_whatever_is_written_anew(training: tuple[Floats, Image]) -> None:
    """Writing digits anew draws no random numbers before strokes are added: those stay bit for bit."""
    images, labels = training
    added = other_hands(images, labels, Hands(added=0.5), np.random.default_rng(4))
    both = other_hands(images, labels, Hands(added=0.5, redrawn=0.3), np.random.default_rng(4))
    same = (added == both).all(axis=(1, 2))
    assert 0.6 < same.mean() < 0.9


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blank=st.booleans(), digit=st.integers(0, 9))
def test_any_image_can_be_called_any_digit(seed: int, blank: bool, digit: int) -> None:  # noqa: FBT001 - drawn
    """Noise and blanks with any label neither crash nor leave the range."""
    rng = np.random.default_rng(seed)
    image = np.zeros([1, 28, 28], np.float32) if blank else (rng.random([1, 28, 28], np.float32) ** 4)
    drawn = other_hands(image, np.array([digit]), Hands(added=1.0, redrawn=1.0), rng)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    assert 0 <= drawn.min() <= drawn.max() <= 1
