"""Distorted copies of training images: one digit as other hands, pens and scanners would have left it. NumPy only.

After Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied to Visual Document
Analysis" (2003), and Cireșan et al., "Deep, Big, Simple Neural Nets" (2010): an affine map and a smooth random
displacement, sampled bilinearly. Serving boxes and centres every digit anew, so the affine map keeps the size of the
box and the centre of mass, and what remains of both is jitter.
"""

import math

import numpy as np
import numpy.typing as npt

from exporter.contract import SIDE
from trainer.data.edges import add_remains, cut_edges
from trainer.data.pen import BOX, CENTRE
from trainer.recipes import Augmentation

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_MOST_STRETCH = 3.0  # width over height, or the other way around
_INK = 0.2  # grey from which a pixel counts for the size of a digit
_WIDEST_GAP = 3.0  # pixels from its middle to its end
_WAVE = 4.0  # Simard's sigma, in pixels: how far displacements reach
_KNOTS = 7  # bumps along each axis, one such sigma apart or a little more
_TOGETHER = 64  # images whose intermediate arrays stay in a core's cache; twice as fast as 256


def distort(images: Floats, augmentation: Augmentation, rng: np.random.Generator) -> Floats:
    """Distort each image in a way of its own.

    Args:
        images: float32 [n, 28, 28], 0 to 1, white ink on black.
        augmentation: how far each distortion may go.
        rng: where the randomness comes from; the same state gives the same copies.

    Returns:
        float32 [n, 28, 28], 0 to 1, each as bright at its brightest as the image it came from.
    """
    copies = np.empty_like(images)
    for start in range(0, len(images), _TOGETHER):
        some = slice(start, start + _TOGETHER)
        copies[some] = _distort_together(images[some], augmentation, rng)
    return copies


def _distort_together(images: Floats, augmentation: Augmentation, rng: np.random.Generator) -> Floats:
    cut, is_cut = cut_edges(images, augmentation.cut, rng)
    fields, has_remains = add_remains(cut, augmentation.remains, rng)
    strokes = _restroke(fields, _spread(rng, len(images)), augmentation)
    # Three fields over each copy: the column and the row that a pixel comes from, and how the ink flows there.
    waves = rng.standard_normal([len(images), 3, _KNOTS, _KNOTS], np.float32)
    waves[:, :2] *= augmentation.elastic * rng.random([len(images), 1, 1, 1], np.float32)
    parts = np.zeros([len(images), 3, len(_BASIS), len(_BASIS)], np.float32)
    parts[:, :, 2:, 2:] = waves
    maps = _affine(fields, strokes, is_cut | has_remains, augmentation, rng)
    parts[:, :2, 0, 0], parts[:, :2, 0, 1], parts[:, :2, 1, 0] = maps[..., 0], maps[..., 1], maps[..., 2]
    # As many small products, which BLAS computes in this thread: training needs the other cores.
    fields = _BASIS.T @ (parts @ _BASIS)

    copies = _sample(strokes, fields[:, 0], fields[:, 1])
    copies += _share(augmentation.blur * _spread(rng, len(images))) * (_blurred(copies) - copies)
    copies *= 1 - augmentation.unevenness * np.clip(0.5 * fields[:, 2], 0, 1)
    copies *= 1 - _gaps(copies, augmentation, rng)
    copies += augmentation.contrast * _spread(rng, len(images))[:, None, None] * copies * (1 - copies)
    old, new = images.max(axis=(1, 2), keepdims=True), copies.max(axis=(1, 2), keepdims=True)
    copies /= np.maximum(new, 1e-6)
    # Each sampling softens edges that serving, which sees the first one, finds sharp.
    copies = (copies - 0.5) * _steepness(augmentation.steepness, rng, len(images)) + 0.5
    np.clip(copies, 0, 1, out=copies)
    copies *= old
    return copies


def _spread(rng: np.random.Generator, count: int) -> Floats:
    """Random numbers, [count], between -1 and 1, the likelier the closer to 0."""
    return rng.random(count, np.float32) - rng.random(count, np.float32)


def _share(amounts: Floats) -> Floats:
    """The positive ones of [n] as [n, 1, 1]: whatever they stand for happens to every other image."""
    return np.maximum(amounts, 0)[:, None, None]


def _restroke(images: Floats, amounts: Floats, augmentation: Augmentation) -> Floats:
    """Thicken or thin strokes by up to a pixel on each side: blends with the grey dilation or erosion over 3x3."""
    thick = np.flatnonzero(amounts > 0)
    thin = np.flatnonzero(amounts <= 0)
    strokes = np.empty_like(images)
    for places, extreme, most in (
        (thick, np.maximum, augmentation.thickening),
        (thin, np.minimum, augmentation.thinning),
    ):
        old = images[places]
        new = old.copy()
        extreme(new[:, 1:], old[:, :-1], out=new[:, 1:])
        extreme(new[:, :-1], old[:, 1:], out=new[:, :-1])
        rows = new.copy()
        extreme(new[:, :, 1:], rows[:, :, :-1], out=new[:, :, 1:])
        extreme(new[:, :, :-1], rows[:, :, 1:], out=new[:, :, :-1])
        # Beyond a share of 1 the edges of thick strokes become as dark as their middle, no darker.
        strokes[places] = np.minimum(old + most * np.abs(amounts[places])[:, None, None] * (new - old), 1)
    return strokes


def _affine(
    images: Floats, strokes: Floats, renewed: Bools, augmentation: Augmentation, rng: np.random.Generator
) -> Floats:
    """Coefficients, [n, 2, 3], of the affine maps from places in the copies to places in `strokes`.

    What is `renewed`, bool [n], has lost the size and the place that MNIST's form gives it, and gets them again.
    """
    count = len(images)
    angle = math.radians(augmentation.rotation) * _spread(rng, count)
    shear = augmentation.shear * _spread(rng, count)
    aspect = augmentation.aspect ** (0.5 * _spread(rng, count))
    aspect *= _squarer(images, augmentation.square, rng)
    size = 1 + augmentation.size * _spread(rng, count)
    shift = augmentation.shift * np.stack([_spread(rng, count), _spread(rng, count)], axis=1)

    # Forwards: widen, slant, turn; then back to the size of the box that the digit had.
    cos, sin = np.cos(angle), np.sin(angle)
    forward = np.empty([count, 2, 2], np.float32)
    forward[:, 0, 0] = cos * aspect
    forward[:, 0, 1] = (cos * shear - sin) / aspect
    forward[:, 1, 0] = sin * aspect
    forward[:, 1, 1] = (sin * shear + cos) / aspect
    straight = np.broadcast_to(np.eye(2, dtype=np.float32), forward.shape)
    # Strokes added in another hand may reach further, but serving would have scaled them into the box, too.
    longest = np.where(renewed, np.float32(BOX), np.minimum(_longest(images, straight), BOX))
    forward *= (size * longest / _longest(strokes, forward))[:, None, None]

    backward = np.linalg.inv(forward)
    centre = _centre_of_mass(strokes)
    place = np.where(renewed[:, None], np.float32(CENTRE), centre)
    start = centre - np.einsum("nij,nj->ni", backward, place + shift)
    return np.concatenate([start[:, :, None], backward], axis=2)


def _squarer(images: Floats, share: float, rng: np.random.Generator) -> Floats:
    """Factors, [n], on the square root of width over height: a share of the digits come closer to a square.

    Whoever cuts digits out and scales each to one size does that to them.
    """
    inked = images > _INK
    width, height = _extent(np.any(inked, axis=1)), _extent(np.any(inked, axis=2))
    ratio = np.clip(height / width, 1 / _MOST_STRETCH, _MOST_STRETCH)
    chosen = rng.random(len(images), np.float32) < share
    factors: Floats = (ratio ** (0.5 * chosen * rng.random(len(images), np.float32))).astype(np.float32)
    return factors


def _extent(inked: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """From the first to the last inked place, [n], at least 1, of bool [n, 28]."""
    extent: npt.NDArray[np.int64] = SIDE - inked[:, ::-1].argmax(axis=1) - inked.argmax(axis=1)
    return np.maximum(extent, 1)


def _longest(images: Floats, maps: Floats) -> Floats:
    """The longer side, [n], of the box around the ink of images after linear maps, [n, 2, 2]; 1 for a blank one."""
    inked = images > _INK
    # The ends of each row span the same box as all that is between them.
    first, last = inked.argmax(axis=2), SIDE - 1 - inked[:, :, ::-1].argmax(axis=2)
    x = np.concatenate([first, last], axis=1).astype(np.float32)
    y = np.tile(np.arange(SIDE, dtype=np.float32), 2)
    some = np.tile(inked.any(axis=2), 2)
    sides = np.ones(len(images), np.float32)
    for row in (0, 1):
        places = maps[:, row, :1] * x + maps[:, row, 1:] * y
        extent = np.where(some, places, -np.inf).max(axis=1) - np.where(some, places, np.inf).min(axis=1) + 1
        np.maximum(sides, extent, out=sides)
    return sides


def _centre_of_mass(images: Floats) -> Floats:
    """Column and row, [n, 2], of the centre of mass; the image's own centre for a blank one."""
    sums = np.stack([images.sum(axis=1), images.sum(axis=2)], axis=1)  # over rows, over columns
    mass = sums[:, :1].sum(axis=2)
    return np.where(mass > 0, sums @ _BASIS[1] / np.maximum(mass, 1e-6), (SIDE - 1) / 2).astype(np.float32)


def _sample(images: Floats, x: Floats, y: Floats) -> Floats:
    """Images, [n, 28, 28], at columns `x` and rows `y` of the same shape, bilinearly; black outside."""
    count, wide = len(images), SIDE + 2
    padded = np.zeros([count, wide + 1, wide + 1], np.float32)
    padded[:, 1 : SIDE + 1, 1 : SIDE + 1] = images
    # The four neighbours of a place side by side: one lookup instead of four.
    corners = np.empty([count, wide, wide, 4], np.float32)
    corners[..., 0], corners[..., 1] = padded[:, :-1, :-1], padded[:, :-1, 1:]
    corners[..., 2], corners[..., 3] = padded[:, 1:, :-1], padded[:, 1:, 1:]
    x, y = np.clip(x + 1, 0, SIDE + 1), np.clip(y + 1, 0, SIDE + 1)
    left, top = np.floor(x), np.floor(y)
    # Floored as floats: an integer less a float32 would make all that follows float64.
    places = (top * wide + left).astype(np.int32) + np.arange(count, dtype=np.int32)[:, None, None] * wide**2
    found = corners.reshape(-1, 4).take(places, axis=0, mode="clip")
    right, below = x - left, y - top
    upper = found[..., 0] + right * (found[..., 1] - found[..., 0])
    lower = found[..., 2] + right * (found[..., 3] - found[..., 2])
    return upper + below * (lower - upper)


def _gaps(images: Floats, augmentation: Augmentation, rng: np.random.Generator) -> Floats:
    """How much ink is missing, [n, 28, 28], 0 to 1, where a pen has jumped: one round gap in a share of the images."""
    count = len(images)
    ink = np.cumsum(images.reshape(count, -1), axis=1)
    # A random place, the likelier the more ink there is.
    places = (ink < rng.random([count, 1], np.float32) * ink[:, -1:]).sum(axis=1)
    across = (_PLACES - (places % SIDE)[:, None]) ** 2
    down = (_PLACES - (places // SIDE)[:, None]) ** 2
    # Positive for a share of the images only.
    radius = _WIDEST_GAP * (1 - rng.random(count, np.float32) / max(augmentation.gaps, 1e-6))
    missing: Floats = np.clip(radius[:, None, None] - np.sqrt(down[:, :, None] + across[:, None, :]), 0, 1)
    return missing


def _steepness(most: float, rng: np.random.Generator, count: int) -> Floats:
    """Factors on the difference from middle grey, [n, 1, 1], between 1 and `most`."""
    return 1 + np.float32(most - 1) * rng.random([count, 1, 1], np.float32)


def _blurred(images: Floats) -> Floats:
    """Images under the binomial filter 1 2 1 along both axes."""
    padded: Floats = np.pad(images, [(0, 0), (1, 1), (1, 1)])
    rows: Floats = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    both: Floats = rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    return both / np.float32(16)


def _basis() -> Floats:
    """What fields over an image are made of along each axis: 1, the place, and Gaussian bumps, float32 [2 + 7, 28].

    Products of two bumps, weighted with independent standard normal numbers, add up to a field of variance 1.
    """
    places = np.arange(SIDE)
    knots = np.linspace(0, SIDE - 1, _KNOTS)
    bumps = np.exp(-0.5 * ((places - knots[:, None]) / _WAVE) ** 2)
    bumps /= np.sqrt((bumps**2).sum(axis=0))
    return np.vstack([np.ones(SIDE), places, bumps]).astype(np.float32)


_BASIS = _basis()
_PLACES = np.arange(SIDE, dtype=np.float32)
