"""Moment normalisation: the same digit in other hands comes out the same."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from exporter.command import quiet_tensorflow

quiet_tensorflow()

import keras  # noqa: E402 - after TensorFlow's chatter is closed off

from exporter.moments import MomentNormalization  # noqa: E402 - as above

Floats = npt.NDArray[np.float32]


def normalised(images: Floats, aspect: float = 0.5) -> Floats:
    result: Floats = MomentNormalization(aspect)(images).numpy()
    return result


def moved(images: Floats, matrix: tuple[float, float, float, float]) -> Floats:
    """Each image, its centre kept, sampled at places that a linear map of columns and rows names."""
    a, b, c, d = matrix
    middle = 14.0
    data = (a, b, middle - a * middle - b * middle, c, d, middle - c * middle - d * middle)
    pictures = [Image.fromarray(image).transform((28, 28), Image.Transform.AFFINE, data, 2) for image in images]
    return np.stack([np.asarray(picture, np.float32) for picture in pictures])


@pytest.fixture(scope="module")
def digits(mnist_sample: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]) -> Floats:
    """Real digits, small enough to be slanted and stretched within 28x28."""
    images = (mnist_sample[0] / 255).astype(np.float32)
    return np.clip(moved(images, (1.25, 0, 0, 1.25)), 0, 1)


@pytest.mark.parametrize(
    "matrix", [(1, 0.3, 0, 1), (1, -0.3, 0, 1), (0.85, 0, 0, 0.85), (1.2, 0, 0, 1.2), (1.1, 0.2, 0, 1.1)]
)
def test_slant_and_size_go(digits: Floats, matrix: tuple[float, float, float, float]) -> None:
    """A digit that is slanted, larger or smaller comes out closer to what it was than it went in."""
    other = moved(digits, matrix)
    before = np.abs(other - digits).mean(axis=(1, 2))
    after = np.abs(normalised(other) - normalised(digits)).mean(axis=(1, 2))
    assert np.median(after / before) < 0.65


def test_proportions_stay_in_part(digits: Floats) -> None:
    """Stretched to twice the width over height, it comes out wider, by as much as the exponent says."""
    wide = moved(digits, (1 / 1.3, 0, 0, 1.3))

    def ratio(images: Floats) -> npt.NDArray[np.float64]:
        place = np.arange(28)
        spreads = []
        for axis in (1, 2):
            ink = images.sum(axis=axis).astype(float)
            ink /= ink.sum(axis=1, keepdims=True)
            spreads.append(np.sqrt(ink @ place**2 - (ink @ place) ** 2))
        return np.asarray(spreads[0] / spreads[1])

    for aspect, low, high in ((0.0, 0.9, 1.15), (0.5, 1.15, 1.45), (1.0, 1.5, 1.85)):
        grown = np.median(ratio(normalised(wide, aspect)) / ratio(normalised(digits, aspect)))
        assert low < grown < high, f"{aspect}: {grown}"


def test_what_has_no_moments() -> None:
    """A blank picture stays blank, one pixel stays a small spot in the middle, a full picture stays within 0 and 1."""
    pictures = np.zeros([3, 28, 28], np.float32)
    pictures[1, 3, 20] = 1
    pictures[2] = 1
    blank, spot, full = normalised(pictures)
    assert not blank.any()
    assert spot[12:16, 12:16].sum() == pytest.approx(spot.sum())
    assert 0.5 < spot.sum() < 8
    assert full.min() >= 0
    assert full.max() <= 1


def test_saved_and_loaded(tmp_path: Path, digits: Floats) -> None:
    """A network that begins with it is loaded from its file, and says the same."""
    model = keras.Sequential([keras.Input((28, 28)), MomentNormalization(0.3)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(digits), model(digits))
    assert loaded.layers[0].aspect == 0.3
