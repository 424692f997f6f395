"""Each way of writing is a digit in MNIST's form, the same for the same seed."""

import numpy as np
import pytest

from trainer.data.pen import draw
from trainer.data.ways.table import WAYS, Way, write

EACH = [way for ways in WAYS.values() for way, _ in ways]


@pytest.mark.parametrize("way", EACH, ids=lambda way: way.__name__)
def test_drawn_in_mnists_form(way: Way) -> None:
    """The longer side is 20 pixels, the centre of mass close to the middle."""
    rng = np.random.default_rng(1)
    images = draw([way(rng) for _ in range(60)], rng.uniform(0.6, 1.6, 60))
    assert images.shape == (60, 28, 28)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert (images.max(axis=(1, 2)) > 0.5).all()
    places = np.arange(28)
    for axis in (1, 2):
        inked = np.any(images > 0.2, axis=axis)
        extent = 28 - inked[:, ::-1].argmax(axis=1) - inked.argmax(axis=1)
        assert extent.max() <= 21
        centre = images.sum(axis=axis) @ places / images.sum(axis=(1, 2))
        assert np.abs(centre - 14).max() < 2
        assert np.abs(centre - 14).mean() < 0.5
    longest = np.maximum(*((images > 0.2).any(axis=axis).sum(axis=1) for axis in (1, 2)))
    assert longest.min() >= 18


@pytest.mark.parametrize("way", EACH, ids=lambda way: way.__name__)
def test_random_but_repeatable(way: Way) -> None:
    """The same seed draws the same strokes; the next digit is another."""
    rng, again = np.random.default_rng(2), np.random.default_rng(2)
    first, same, other = way(rng), way(again), way(again)
    for stroke, repeated in zip(first, same, strict=True):
        np.testing.assert_array_equal(stroke, repeated)
    assert not np.array_equal(np.concatenate(first), np.concatenate(other))


def test_weights_decide() -> None:
    """Ways with more weight are written more often, and each is written at times."""
    rng = np.random.default_rng(3)
    for digit, ways in WAYS.items():
        assert all(weight > 0 for _, weight in ways)
        assert np.concatenate(write(digit, rng)).shape[1] == 2
    # A flat zero is the only wide one without tails: a third of them or so.
    wide = [np.ptp(np.concatenate(write(0, rng)), axis=0) for _ in range(400)]
    assert 0.2 < np.mean([across > 1.35 * down for across, down in wide]) < 0.6
