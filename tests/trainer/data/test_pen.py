"""Strokes of a pen in MNIST's form."""

import numpy as np
import numpy.typing as npt
import pytest

from trainer.data.pen import arc, curve, draw, draw_pieces, joined


def box(image: npt.NDArray[np.float32]) -> tuple[int, int]:
    """Width and height of what is inked, in pixels."""
    rows, columns = (image > 0.2).nonzero()
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def test_a_curve_passes_its_places() -> None:
    """It begins and ends where it should, and comes by the places in between."""
    places = [(0.0, 0.0), (1.0, 2.0), (3.0, 1.0), (3.0, 4.0)]
    stroke = curve(*places)
    np.testing.assert_allclose(stroke[[0, -1]], [places[0], places[-1]])
    for place in places:
        assert np.abs(stroke - place).sum(axis=1).min() < 1e-9


def test_a_curve_through_two_places_is_straight() -> None:
    """All its corners lie on the way from one to the other."""
    stroke = curve((0, 0), (2, 4))
    np.testing.assert_allclose(stroke[:, 1], 2 * stroke[:, 0], atol=1e-9)


def test_an_arc_turns_with_the_clock() -> None:
    """From the right to the foot, at the radii; a beginning that comes from inside is nearer to the centre."""
    quarter = arc((1, 1), (2, 3), 0, 90)
    np.testing.assert_allclose(quarter[[0, -1]], [(3, 1), (1, 4)], atol=1e-9)
    hooked = arc((0, 0), (1, 1), 0, 360, inwards=0.5)
    distances = np.sqrt((hooked**2).sum(axis=1))
    assert distances[0] == pytest.approx(0.5)
    np.testing.assert_allclose(distances[len(hooked) // 8 + 2 :], 1)


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.7])
def test_digits_fill_their_box(radius: float) -> None:
    """The longer side is 20 pixels, pen included, whatever the unit; the centre of mass is in the middle."""
    ring = [arc((100, 0), (30, 50), 0, 360)]
    bent = [joined(np.array([(0, 0), (3, 0)]), np.array([(3, 0), (1, 5)]))]
    places = np.arange(28)
    for image in draw([ring, bent], np.full(2, radius)):
        assert abs(max(box(image)) - 20) <= 1
        for axis in (0, 1):
            assert abs(image.sum(axis=axis) @ places / image.sum() - 14) < 0.5


def test_digits_stay_in_the_field() -> None:
    """A centre of mass far from the middle of the box would push ink out of the field: it is not followed so far."""
    heavy = [np.array([(0, 0), (0.1, 0), (0, 0.02)]) for _ in range(40)]
    (image,) = draw([[*heavy, np.array([(0, 0), (0, 1.0)])]], np.array([1.0]))
    assert abs(box(image)[1] - 20) <= 1


def test_a_digit_is_the_same_beside_others() -> None:
    """Digits with more strokes beside one change nothing in it; there may be none at all."""
    ring, cross = [arc((0, 0), (1, 1), 0, 360)], [curve((0, 0), (1, 1)), curve((0, 1), (1, 0))]
    radii = np.array([1.0, 0.7, 1.3])
    together = draw([ring, cross, ring], radii)
    for place, digit in enumerate([ring, cross, ring]):
        np.testing.assert_allclose(together[place], draw([digit], radii[place : place + 1])[0], atol=1e-6)
    assert draw([], np.empty(0)).shape == (0, 28, 28)


def test_pieces_are_as_wide_as_the_pen() -> None:
    """A level piece through the middle of a row inks it fully, its neighbours partly, and ends round."""
    pieces = np.array([[[[5, 10], [12, 0]]]], np.float32)
    (image,) = draw_pieces(pieces, np.array([1.0]))
    assert image.dtype == np.float32
    np.testing.assert_allclose(image[7:14, 11], [0, 0, 0.5, 1, 0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(image[10, 2:7], [0, 0, 0.5, 1, 1][0:5], atol=0.51)
    assert not image[10, :3].any()
    assert not image[10, 20:].any()
