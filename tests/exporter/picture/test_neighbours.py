"""Parts of other digits, specks and lines of print beside a digit do not change what is read."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as Pillow

from exporter.picture.overview import SIZE
from tests.conftest import ROOT
from tests.support import Image

Read = Callable[[list[bytes]], list[int]]


def sample(digit: int, number: int = 0) -> Image:
    """A sample, dark ink on white, grey."""
    path = sorted((ROOT / "samples" / str(digit)).iterdir())[number]
    return np.asarray(Pillow.open(path).convert("L"))


def png(pixels: Image) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def ink_columns(pixels: Image) -> Image:
    """The picture without empty columns at its sides."""
    inked = np.flatnonzero((pixels < 128).any(axis=0))
    return pixels[:, inked[0] : inked[-1] + 1]


@pytest.mark.parametrize("scale", [1, 3, 6])
@pytest.mark.parametrize("digit", range(10))
def test_parts_of_the_digits_beside_it(answer: Read, digit: int, scale: int) -> None:
    """A digit between the right edge of one and the left edge of another is read as it is by itself."""
    middle = np.pad(sample(digit), ((2, 2), (3, 3)), constant_values=255)
    left = ink_columns(sample(4))[:, -5:]
    right = ink_columns(sample(8))[:, :5]
    height = len(middle)
    whole = np.concatenate(
        [np.pad(part, ((2, height - 2 - len(part)), (0, 0)), constant_values=255) for part in (left, right)], axis=1
    )
    picture = np.concatenate([whole[:, : left.shape[1]], middle, whole[:, left.shape[1] :]], axis=1)
    large = np.asarray(Pillow.fromarray(picture).resize((picture.shape[1] * scale, height * scale)))
    assert answer([png(large)]) == [digit]


def test_a_roof_that_hangs_apart_stays(answer: Read) -> None:
    """A 5 whose roof does not touch the rest is a 5, also in a picture that is cut to its ink."""
    picture = np.full((60, 44), 255, np.uint8)
    picture[2:7, 12:42] = 0  # the roof
    picture[10:30, 10:16] = 0
    for angle in np.linspace(-1.9, 2.4, 400):
        row, column = 40 + 15 * np.sin(angle), 22 + 15 * np.cos(angle)
        picture[int(row) - 3 : int(row) + 3, int(column) - 3 : int(column) + 3] = 0
    assert answer([png(picture), png(picture[2:, 8:42])]) == [5, 5]


@settings(max_examples=30, deadline=None)
@given(arrays.arrays(bool, (SIZE, SIZE), elements=st.booleans()))
def test_components_are_those_of_a_flood(cells: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]") -> None:
    """Cells have one number exactly where they hang together, however the ink winds."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    from exporter.picture.neighbours import label  # noqa: PLC0415 - loads TensorFlow
    from tests.exporter.picture.reference_neighbours import _components  # noqa: PLC0415 - as above

    labels = label(tf.constant(cells[None]))[0].numpy()
    assert not labels[~cells].any()
    for part in _components(cells, cells.astype(float)):
        row, column = max(part.cells)
        assert {int(labels[cell]) for cell in part.cells} == {row * SIZE + column + 1}
