"""Strings made of training digits."""

import numpy as np
import pytest

from tests.conftest import ROOT
from trainer.data.datasets import load
from trainer.numbers.strings import Digits, strings


@pytest.fixture(scope="module")
def digits() -> Digits:
    """The training digits of the committed sample of MNIST."""
    dataset = load(ROOT / "tests" / "data" / "mnist_sample")
    return Digits(dataset.x_train.astype(np.float32) / np.float32(255), dataset.y_train)


def test_a_string_depends_on_seed_and_place_alone(digits: Digits) -> None:
    """Whoever begins later makes the same strings, as an interrupted run does."""
    whole = list(strings(digits, 6, 3))
    rest = list(strings(digits, 6, 3, start=4))
    assert [string.text for string in whole[4:]] == [string.text for string in rest]
    for one, other in zip(whole[4:], rest, strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)
    assert [string.text for string in strings(digits, 6, 4)] != [string.text for string in whole]


def test_strings_are_pictures_of_their_texts(digits: Digits) -> None:
    """One to eight digits, as grey pictures that hold both ink and paper, in both polarities."""
    made = list(strings(digits, 80, 1))
    for string in made:
        assert 1 <= len(string.text) <= 8
        assert string.text.isdecimal()
        assert string.picture.dtype == np.uint8
        assert min(string.picture.shape) >= 8
        assert np.ptp(string.picture) > 20
    bright = [string.picture.mean() < 100 for string in made]
    assert 0 < sum(bright) < len(made) / 2
