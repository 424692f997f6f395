"""Pictures that are no digit: in the form that the network sees, of many kinds, and none that a person would read."""

import numpy as np
import pytest

from trainer.data.datasets import Dataset
from trainer.data.draw import SIZE, put_side_by_side, smooth
from trainer.data.nondigits import FAMILIES, LETTERS, NonDigits, mix_in, non_digits


def test_pool_is_in_mnists_form(dataset: Dataset) -> None:
    """What a network is trained on looks as what serving would show it: 28x28, a box of 20 pixels, some full ink."""
    pool = non_digits(300, digits=dataset.x_train, seed=1)
    assert pool.shape == (300, 28, 28)
    assert pool.dtype == np.uint8
    assert pool.max(axis=(1, 2)).min() > 150
    inked = pool > 64
    longest = np.maximum(inked.any(axis=1).sum(axis=1), inked.any(axis=2).sum(axis=1))
    assert np.median(longest) in {19, 20, 21}


def test_same_seed_same_pictures(dataset: Dataset) -> None:
    """A training can be repeated to the last pixel; another seed has other pictures."""
    first, again, other = (non_digits(40, digits=dataset.x_train, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_two_of_a_family_are_the_same(dataset: Dataset, family: str) -> None:
    """Each family is drawn by chance, white on black with room around."""
    draw, share = FAMILIES[family]
    rng = np.random.default_rng(0)
    pictures = np.stack([draw(rng, dataset.x_train) for _ in range(20)])
    assert share > 0
    assert pictures.shape == (20, SIZE, SIZE)
    assert len(np.unique(pictures.reshape(20, -1), axis=0)) == 20
    assert pictures.max() == 255
    assert not pictures[:, 0].any()
    assert not pictures[:, :, 0].any()


def test_letters_that_are_digits_in_some_hands_are_left_out() -> None:
    """An O is a zero, an l a one, a z a two: the network must not learn to doubt those."""
    assert not set("OolIiZzSsGbBqgQD") & set(LETTERS)


def test_digits_side_by_side_are_whole(dataset: Dataset) -> None:
    """Two or three digits in one picture lose none of their ink but where they touch."""
    rng = np.random.default_rng(0)
    for count in (2, 3):
        digits = dataset.x_train[rng.integers(0, len(dataset.x_train), count)]
        picture = put_side_by_side(list(digits), rng)
        assert picture.astype(int).sum() == digits.astype(int).sum()


def test_a_curve_goes_through_its_corners() -> None:
    """A smooth line passes where it is told to."""
    corners = np.random.default_rng(0).random((6, 2))
    np.testing.assert_allclose(smooth(corners, steps=5)[::5], corners)


def test_mixed_in_pictures_are_no_digit_in_particular() -> None:
    """A batch keeps what it had; what is added has the same target for each digit."""
    rng = np.random.default_rng(0)
    images, targets = rng.random((50, 28, 28), np.float32), np.eye(10, dtype=np.float32)[rng.integers(0, 10, 50)]
    pool = rng.integers(0, 256, (30, 28, 28)).astype(np.uint8)
    more, soft = mix_in(images, targets, NonDigits(pool, 0.1), rng)
    assert more.dtype == soft.dtype == np.float32
    assert (more.shape, soft.shape) == ((55, 28, 28), (55, 10))
    assert np.array_equal(more[:50], images)
    assert np.array_equal(soft[:50], targets)
    assert (soft[50:] == np.float32(0.1)).all()
    assert all((np.rint(255 * image) == pool).all(axis=(1, 2)).any() for image in more[50:])
