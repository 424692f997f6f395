"""A digit in a dark square on a light page, as screenshots and plots show it, is read as without the page."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.exporter.picture.test_neighbours import png, sample
from tests.support import Image

Read = Callable[[list[bytes]], list[int]]


def on_page(digit: int, margin: int, *, page: int) -> Image:
    """A sample, its ink as light as the page, in a square on it; four times as large."""
    square = sample(digit) if page == 0 else 255 - sample(digit)
    return np.pad(np.kron(square, np.ones((4, 4), np.uint8)), margin, constant_values=page)


@pytest.mark.parametrize("margin", [8, 30, 60])
@pytest.mark.parametrize("page", [0, 255])
def test_the_inside_of_a_square_is_read(answer: Read, margin: int, page: int) -> None:
    """The page around it does not matter, be it narrow or wide, light or dark."""
    assert answer([png(on_page(digit, margin, page=page)) for digit in range(10)]) == list(range(10))


def test_a_thick_one_is_no_square(answer: Read) -> None:
    """A bar as wide as a third of the picture is a 1, not a square with nothing in it."""
    picture = np.full((90, 60), 255, np.uint8)
    picture[10:80, 20:40] = 0
    assert answer([png(picture)]) == [1]
