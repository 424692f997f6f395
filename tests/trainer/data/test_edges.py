"""Digits cut at the edge of a field, and what is not theirs beside them."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import Image
from trainer.data.edges import add_remains, cut_edges

Floats = npt.NDArray[np.float32]
Change = Callable[[Floats, float, np.random.Generator], tuple[Floats, npt.NDArray[np.bool_]]]


@pytest.fixture(scope="module")
def digits(mnist_sample: tuple[Image, Image]) -> Floats:
    return mnist_sample[0].astype(np.float32) / np.float32(255)


def test_cuts_take_from_one_side(digits: Floats) -> None:
    """Ink goes, none comes; up to an eighth of the width, less of the height; what is left is as it was."""
    before = digits.copy()
    cut, chosen = cut_edges(digits, 1.0, np.random.default_rng(1))
    np.testing.assert_array_equal(digits, before)
    assert chosen.all()
    assert cut.dtype == np.float32
    assert (cut <= digits).all()
    assert (cut < digits).any(axis=(1, 2)).mean() > 0.9
    lost = digits - cut > 1e-6
    for image, gone in zip(digits, lost, strict=True):
        rows, columns = (gone.any(axis=axis).sum() for axis in (1, 0))
        inked = image > 0.2
        height, width = inked.any(axis=1).sum(), inked.any(axis=0).sum()
        # A cut goes through a pixel, and takes the faint edge of the ink along.
        assert rows <= 0.07 * height + 3 or columns <= 0.12 * width + 3


def test_remains_add_to_a_digit(digits: Floats) -> None:
    """Ink comes, none goes; no brighter than the digit's own; little beside what the digit has."""
    before = digits.copy()
    full, chosen = add_remains(digits, 1.0, np.random.default_rng(2))
    np.testing.assert_array_equal(digits, before)
    assert chosen.all()
    assert full.dtype == np.float32
    assert (full >= digits).all()
    assert (full > digits).any(axis=(1, 2)).mean() > 0.9
    assert (full.max(axis=(1, 2)) <= digits.max(axis=(1, 2)) + 1e-6).all()
    more = (full - digits).sum(axis=(1, 2))
    assert np.median(more / digits.sum(axis=(1, 2))) < 0.25


@pytest.mark.parametrize("change", [cut_edges, add_remains])
def test_shares_and_seeds(digits: Floats, change: Change) -> None:
    """A share of the images changes, the others stay bit for bit; the same seed changes them in the same way."""
    first, chosen = change(digits, 0.3, np.random.default_rng(3))
    again, _ = change(digits, 0.3, np.random.default_rng(3))
    np.testing.assert_array_equal(first, again)
    assert 0.2 < chosen.mean() < 0.4
    np.testing.assert_array_equal(first[~chosen], digits[~chosen])


@pytest.mark.parametrize("change", [cut_edges, add_remains])
def test_blank_and_no_images(change: Change) -> None:
    """Nothing is put beside nothing, and a batch may be empty."""
    blank = np.zeros([5, 28, 28], np.float32)
    changed, _ = change(blank, 1.0, np.random.default_rng(4))
    assert not changed.any()
    none, chosen = change(blank[:0], 1.0, np.random.default_rng(4))
    assert none.shape == (0, 28, 28)
    assert chosen.shape == (0,)
