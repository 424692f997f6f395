"""Distorted digits stay images of the same digit: in range, in their box, and the same for the same seed."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exporter.picture.normalise import normalise_arrays
from trainer.data.augment import distort
from trainer.data.datasets import Dataset
from trainer.data.edges import add_remains, cut_edges
from trainer.recipes import Augmentation, find

Floats = npt.NDArray[np.float32]

SHIPPED = find("champion").augmentation or Augmentation()
NONE = Augmentation()
# Other hands depend on the digit, and are drawn before an image is distorted.
AMOUNTS = [field.name for field in dataclasses.fields(Augmentation) if field.name != "hands"]

any_images = arrays(
    np.float32,
    st.tuples(st.integers(0, 3), st.just(28), st.just(28)),
    elements=st.floats(0, 1, width=32, allow_subnormal=False),
)


@pytest.fixture(scope="module")
def digits(dataset: Dataset) -> Floats:
    """600 digits, float32 [600, 28, 28]."""
    return normalise_arrays(dataset.x_train)


def copies(images: Floats, augmentation: Augmentation, seed: int = 0) -> Floats:
    return distort(images, augmentation, np.random.default_rng(seed))


def only(*names: str) -> Augmentation:
    """The shipped network's amounts of these, and nothing of all others."""
    return dataclasses.replace(NONE, **{name: getattr(SHIPPED, name) for name in names})


def changed(one: Floats, other: Floats) -> npt.NDArray[np.bool_]:
    """Which images differ visibly, bool [n]."""
    return np.asarray(np.abs(one - other).max(axis=(1, 2)) > 0.02)


def centres(images: Floats) -> npt.NDArray[np.float64]:
    """Row and column of each centre of mass, [n, 2]."""
    places = np.indices([28, 28]).reshape(2, -1).astype(np.float64)
    flat = images.reshape(len(images), -1).astype(np.float64)
    return np.asarray(flat @ places.T / flat.sum(axis=1, keepdims=True))


def longest_sides(images: Floats) -> npt.NDArray[np.int64]:
    """The longer side of the box around each digit's ink, [n]."""
    sides = []
    for image in images > 0.2:
        rows, columns = image.nonzero()
        sides.append(max(np.ptp(rows), np.ptp(columns)) + 1)
    return np.array(sides)


@settings(max_examples=50, deadline=None)
@given(images=any_images, seed=st.integers(0, 2**32 - 1))
def test_images_to_images(images: Floats, seed: int) -> None:
    """Whatever the images, even none, blank ones or noise, the copies have their shape and dtype and lie in 0 to 1."""
    before = images.copy()
    result = copies(images, SHIPPED, seed)
    assert result.shape == images.shape
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert ((result >= 0) & (result <= 1)).all()
    np.testing.assert_array_equal(images, before)


@settings(max_examples=50, deadline=None)
@given(images=any_images)
def test_no_distortion_is_identity(images: Floats) -> None:
    """With every amount at nothing the copies are the images, as long as these keep to their box of 20 pixels."""
    boxed = np.pad(images[:, 4:24, 4:24], [(0, 0), (4, 4), (4, 4)])
    np.testing.assert_allclose(copies(boxed, NONE), boxed, atol=1e-5)


def test_what_reaches_beyond_the_box_is_scaled_into_it() -> None:
    """As serving would, where another hand has made a digit larger."""
    wide = np.zeros([1, 28, 28], np.float32)
    wide[:, 10:18, 1:27] = 1
    ((side,),) = (longest_sides(copies(wide, NONE)),)
    assert side in (20, 21)


def test_digits_undistorted(digits: Floats) -> None:
    """The same on real digits, over several chunks."""
    np.testing.assert_allclose(copies(digits, NONE), digits, atol=1e-5)


@pytest.mark.parametrize("name", AMOUNTS)
def test_each_amount_does_something(digits: Floats, name: str) -> None:
    """Each amount of the shipped network on its own changes digits: most do half of them or more, some a share."""
    assert changed(digits, copies(digits, only(name))).mean() > 0.1


def test_repeatable(digits: Floats) -> None:
    """The same seed gives the same copies, bit for bit; another seed gives others."""
    first = copies(digits, SHIPPED, 7)
    np.testing.assert_array_equal(first, copies(digits, SHIPPED, 7))
    assert changed(first, copies(digits, SHIPPED, 8)).all()


def test_each_copy_is_its_own(digits: Floats) -> None:
    """Copies of one digit all differ from each other."""
    result = copies(np.repeat(digits[:1], 200, axis=0), SHIPPED)
    assert len(np.unique(result.round(2), axis=0)) == 200
    assert changed(result[:-1], result[1:]).all()


def test_ink_stays_sane(digits: Floats) -> None:
    """On the whole there is about as much ink as before; no digit vanishes or fills the picture."""
    result = copies(digits, SHIPPED)
    assert 0.7 < result.mean() / digits.mean() < 1.3
    ratios = result.mean(axis=(1, 2)) / digits.mean(axis=(1, 2))
    assert ratios.min() > 0.15
    assert ratios.max() < 3.5


def test_brightest_pixel_stays(digits: Floats) -> None:
    """Serving stretches ink to full range, so a copy is as bright at its brightest as the digit was."""
    result = copies(digits * np.float32(0.8), SHIPPED)
    np.testing.assert_allclose(result.max(axis=(1, 2)), digits.max(axis=(1, 2)) * 0.8, rtol=1e-5)


@pytest.mark.parametrize(("name", "thicker"), [("thickening", True), ("thinning", False)])
def test_strokes(digits: Floats, name: str, thicker: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """Thickening adds ink to about half of the digits and takes it from none; thinning the other way round."""
    gain = copies(digits, only(name)).mean(axis=(1, 2)) - digits.mean(axis=(1, 2))
    moved = gain > 0.002 if thicker else gain < -0.002
    against = gain < -0.002 if thicker else gain > 0.002
    assert 0.3 < moved.mean() < 0.6
    assert against.mean() < 0.02


def test_digits_keep_their_place_and_size(digits: Floats) -> None:
    """Turned, slanted, stretched and restroked, a digit keeps its centre of mass and the longer side of its box."""
    result = copies(digits, only("rotation", "shear", "aspect", "thickening", "thinning"))
    assert changed(digits, result).mean() > 0.99
    assert np.abs(centres(result) - centres(digits)).max() < 1
    growth = longest_sides(result) - longest_sides(digits)
    assert np.abs(growth).max() <= 3
    assert np.abs(growth).mean() < 1


def test_shift_moves(digits: Floats) -> None:
    """A shift moves the centre of mass by up to its pixels along each axis, and changes no size."""
    moved = centres(copies(digits, dataclasses.replace(NONE, shift=2))) - centres(digits)
    assert 1.5 < np.abs(moved).max() < 2.1
    assert np.abs(moved.mean(axis=0)).max() < 0.15


def test_aspect_widens_and_narrows() -> None:
    """A square grows wider than high in about half of the copies, and higher than wide in the others."""
    squares = np.zeros([200, 28, 28], np.float32)
    squares[:, 6:22, 6:22] = 1
    result = copies(squares, dataclasses.replace(NONE, aspect=2))
    wide, high = ((result.max(axis=axis) > 0.5).sum(axis=1) for axis in (1, 2))
    assert (np.maximum(wide, high) == 16).mean() > 0.9
    assert 0.35 < (wide < high).mean() < 0.65
    assert np.minimum(wide, high).min() in (8, 9, 10)


def test_squares_come_closer_to_a_square(digits: Floats) -> None:
    """Narrow digits are widened, by up to three times, within a box of the same longer side; others stay."""
    bars = np.zeros([300, 28, 28], np.float32)
    bars[:, 4:24, 12:16] = 1
    result = copies(bars, dataclasses.replace(NONE, square=0.5))
    wide, high = ((result.max(axis=axis) > 0.5).sum(axis=1) for axis in (1, 2))
    assert (np.abs(high - 20) <= 1).all()
    assert 0.3 < (wide > 4).mean() < 0.6
    assert 10 <= wide.max() <= 13


def test_gaps_take_ink_in_one_place(digits: Floats) -> None:
    """A share of the digits lose some ink, none gain any; what is lost lies within the widest gap."""
    result = copies(digits, dataclasses.replace(NONE, gaps=0.5))
    lost = digits - result > 0.02
    # Where the brightest pixel goes, the others take its place.
    assert (result - digits).max() < 0.1
    assert 0.35 < lost.any(axis=(1, 2)).mean() < 0.55
    for image in lost[lost.any(axis=(1, 2))]:
        rows, columns = image.nonzero()
        assert max(np.ptp(rows), np.ptp(columns)) <= 6


def test_steepness_sharpens(digits: Floats) -> None:
    """Light greys get lighter and dark ones darker, each copy by a factor of its own up to the most."""
    result = copies(digits, dataclasses.replace(NONE, steepness=3))
    brightest = digits.max(axis=(1, 2), keepdims=True)
    before, after = digits / brightest - 0.5, result / brightest - 0.5
    slight = (np.abs(before) > 0.02) & (np.abs(before) < 0.16)
    factors = np.ma.masked_array(after / np.where(slight, before, 1), ~slight)
    np.testing.assert_allclose(factors.max(axis=(1, 2)), factors.min(axis=(1, 2)), rtol=1e-3)
    assert 1 <= factors.min() < 1.2
    assert 2.8 < factors.max() < 3.001


@pytest.mark.parametrize(
    "edges", [Augmentation(cut=1.0), Augmentation(remains=1.0), Augmentation(cut=1.0, remains=1.0)]
)
def test_edges_are_brought_into_form_again(digits: Floats, edges: Augmentation) -> None:
    """Whatever is cut off or remains, the field is boxed and centred as serving would: 20 pixels, the middle."""
    result = copies(digits, edges)
    assert changed(digits, result).mean() > 0.9
    # One digit of the sample has a speck so faint that it counts for the box at times.
    assert (np.abs(longest_sides(result) - 20) <= 2).mean() > 0.99
    assert np.abs(centres(result) - 14).max() < 0.8


def test_edges_off_ask_for_no_random_numbers(digits: Floats) -> None:
    """With no share of either, the random numbers go where they went, and copies are bit for bit what they were."""
    plain = dataclasses.replace(SHIPPED, cut=0.0, remains=0.0)
    rng, same = np.random.default_rng(3), np.random.default_rng(3)
    cut, is_cut = cut_edges(digits, 0.0, rng)
    full, has_remains = add_remains(cut, 0.0, rng)
    assert full is digits
    assert not (is_cut | has_remains).any()
    assert rng.bit_generator.state == same.bit_generator.state
    np.testing.assert_array_equal(distort(digits, plain, rng), distort(digits, plain, same))


def test_blank_stays_blank() -> None:
    """Nothing drawn is nothing distorted."""
    assert not copies(np.zeros([5, 28, 28], np.float32), SHIPPED).any()
