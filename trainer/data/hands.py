"""Digits as other schools teach them than those of MNIST's writers.

Much of the world writes a one with a flag at the top and a serif at the foot, crosses its sevens and begins them with
a hook, curls the beginning of a six and the tail of a nine, and leaves the right stroke of a four short, like
lightning. A network that has seen MNIST alone takes a flag for a seven, a bar for a four, a curl for an eight or a
three. Those strokes are drawn onto training images, as thick as their own, or taken off; the digit is then centred by
its mass again as MNIST's are.

Other ways share too little with MNIST's to be made of its images: nines like a p, twos like a Q, zeros that lie. They
are written anew (`ways/`), with the pen of the image whose place they take.
"""

import numpy as np
import numpy.typing as npt

from exporter.contract import SIDE
from trainer.data.pen import draw
from trainer.data.ways.table import WAYS, write
from trainer.recipes import Hands

Floats = npt.NDArray[np.float32]
Point = npt.NDArray[np.float64]
"""Row and column, in pixels."""

_INK = 0.3  # grey from which a pixel counts for where a stroke begins and ends
_CENTRE = (SIDE - 1) / 2 + 0.5  # MNIST's centre of mass, as a place between pixels counted from 0
_THINNEST, _THICKEST = 0.4, 1.6  # radius of a pen, in pixels: a thicker one closes loops
_PLACES = np.arange(SIDE, dtype=np.float32)

# Lengths are shares of the digit's height, angles radians below the horizontal.
_FLAG_LENGTH = (0.2, 0.8)
_FLAG_ANGLE = (0.2, 1.25)
_FLAG_SAG = (-0.1, 0.1)
_FOOT_SHARE = 0.35  # of the ones with a flag
_FOOT_LENGTH = (0.15, 0.4)  # to each side
_BAR_PLACE = (0.4, 0.78)  # from the top
_BAR_LENGTH = (0.15, 0.35)  # to each side
_BAR_TILT = (-0.4, 0.2)
_HOOK_SHARE = 0.5  # of the sevens that are changed; half of them have no bar then
_HOOK_LENGTH = (0.1, 0.33)
_START_LENGTH = (0.1, 0.4)  # of a six's curl
_START_FALL = (-0.05, 0.25)
_START_SAG = (-0.15, 0.0)
_CURL_LENGTH = (0.25, 0.65)  # of a nine's
_CURL_RISE = (-0.05, 0.25)  # at its end
_CURL_SAG = (0.0, 0.15)
_CUT = (0.4, 1.0)  # of the right stroke of a four above its bar


def other_hands(images: Floats, labels: npt.NDArray[np.integer], hands: Hands, rng: np.random.Generator) -> Floats:
    """Change some of the ones, fours, sixes, sevens and nines, and write some digits anew in another way.

    Args:
        images: float32 [n, 28, 28], 0 to 1, white ink on black.
        labels: their digits, [n].
        hands: how many.
        rng: where the randomness comes from; it is asked for nothing that is not wanted.

    Returns:
        A copy of the images, float32 [n, 28, 28], 0 to 1.
    """
    copies = images.copy()
    if hands.added:
        _add(copies, labels, hands.added, rng)
    if hands.redrawn:
        _redraw(copies, images, labels, hands.redrawn, rng)
    return copies


def _add(copies: Floats, labels: npt.NDArray[np.integer], share: float, rng: np.random.Generator) -> None:
    """Draw strokes onto a share of the digits that have some, or take them off, in place."""
    chosen = rng.random(len(labels)) < share
    for digit, change in ((1, _flagged), (4, _lightning), (6, _begun), (7, _barred), (9, _curled)):
        for place in np.flatnonzero(chosen & (labels == digit)):
            rows = np.flatnonzero((copies[place] > _INK).any(axis=1))
            if len(rows) > 2:
                copies[place] = _centred(change(copies[place], rows[0], rows[-1], rng))


def _redraw(
    copies: Floats, images: Floats, labels: npt.NDArray[np.integer], share: float, rng: np.random.Generator
) -> None:
    """Write a share of the digits anew, in place: as thick and as bright as they are in `images`."""
    chosen = rng.random(len(labels)) < share
    places = [place for place in np.flatnonzero(chosen) if int(labels[place]) in WAYS and images[place].any()]
    written = [write(int(labels[place]), rng) for place in places]
    radii = np.array([min(max(_radius(images[place]), _THINNEST), _THICKEST) for place in places])
    copies[places] = images[places].max(axis=(1, 2), keepdims=True) * draw(written, radii)


def _flagged(image: Floats, top: int, bottom: int, rng: np.random.Generator) -> Floats:
    """A one with a flag, and at times a foot."""
    height = bottom - top + 1
    # A one is about as thick as its ink divided by its height.
    radius = 0.5 * float(image.sum()) / height
    start = np.array([top + radius, _middle(image[top : top + 2])])
    length, angle = height * rng.uniform(*_FLAG_LENGTH), rng.uniform(*_FLAG_ANGLE)
    end = start + length * np.array([np.sin(angle), -np.cos(angle)])
    drawn = np.maximum(image, _curve(start, end, length * rng.uniform(*_FLAG_SAG), _lighter(radius, rng)))
    if rng.random() < _FOOT_SHARE:
        foot = np.array([bottom - radius, _middle(image[bottom - 1 : bottom + 1])])
        reach = np.array([0.0, height * rng.uniform(*_FOOT_LENGTH)])
        drawn = np.maximum(drawn, _curve(foot - reach, foot + reach, 0.0, _lighter(radius, rng)))
    return drawn


def _barred(image: Floats, top: int, bottom: int, rng: np.random.Generator) -> Floats:
    """A seven with a bar across its stem, or a hook at the beginning, or both."""
    height = bottom - top + 1
    radius = _radius(image)
    has_hook = rng.random() < _HOOK_SHARE
    drawn = image
    if has_hook:
        upper = image[top : top + height // 3 + 1]
        left = int(np.flatnonzero((upper > _INK).any(axis=0))[0])
        row = top + float(np.flatnonzero(upper[:, left] > _INK).mean())
        start = np.array([row, left + radius])
        end = start + height * rng.uniform(*_HOOK_LENGTH) * np.array([1.0, rng.uniform(-0.8, 0.0)])
        drawn = np.maximum(drawn, _curve(start, end, 0.0, _lighter(radius, rng)))
    if not has_hook or rng.random() < 0.5:
        row = round(top + height * rng.uniform(*_BAR_PLACE))
        middle = np.array([row, _middle(image[row - 1 : row + 1])])
        tilt = rng.uniform(*_BAR_TILT)
        reach = height * rng.uniform(*_BAR_LENGTH) * np.array([np.sin(tilt), np.cos(tilt)])
        drawn = np.maximum(drawn, _curve(middle - reach, middle + reach, 0.0, _lighter(radius, rng)))
    return drawn


def _begun(image: Floats, top: int, bottom: int, rng: np.random.Generator) -> Floats:
    """A six that comes from the right."""
    height = bottom - top + 1
    radius = _radius(image)
    start = np.array([top + radius, _middle(image[top : top + 2])])
    end = start + height * np.array([rng.uniform(*_START_FALL), rng.uniform(*_START_LENGTH)])
    return np.maximum(image, _curve(start, end, height * rng.uniform(*_START_SAG), _lighter(radius, rng)))


def _curled(image: Floats, top: int, bottom: int, rng: np.random.Generator) -> Floats:
    """A nine whose tail goes on to the left."""
    height = bottom - top + 1
    radius = _radius(image)
    start = np.array([bottom - radius, _middle(image[bottom - 1 : bottom + 1])])
    end = start + height * np.array([-rng.uniform(*_CURL_RISE), -rng.uniform(*_CURL_LENGTH)])
    return np.maximum(image, _curve(start, end, height * rng.uniform(*_CURL_SAG), _lighter(radius, rng)))


def _lightning(image: Floats, top: int, bottom: int, rng: np.random.Generator) -> Floats:
    """A four whose right stroke begins further down: where a row has two strokes, the right one goes.

    So does what of it stands above the left one.
    """
    inked = image > _INK
    ends = np.diff(np.pad(inked, [(0, 0), (1, 1)]).astype(np.int8), axis=1)
    crossed = [row for row in range(top, bottom + 1) if (ends[row] > 0).sum() == 2]
    # Rows without a gap in between, from the first of them.
    stretch = [row for place, row in enumerate(crossed) if row == crossed[0] + place]
    if not stretch:
        return image
    drawn = image.copy()
    _, left_end = np.flatnonzero(ends[stretch[0]])[:2]
    alone = ~inked[: stretch[0], :left_end].any(axis=1)
    drawn[: stretch[0]][alone] = 0
    for row in stretch[: max(1, round(len(stretch) * rng.uniform(*_CUT)))]:
        gap = (np.flatnonzero(ends[row] < 0)[0] + np.flatnonzero(ends[row] > 0)[1]) // 2
        drawn[row, gap:] = 0
    return drawn


def _middle(rows: Floats) -> float:
    """The column of the ink's centre of mass; the field's own for rows without ink."""
    ink = float(rows.sum())
    return float(rows.sum(axis=0) @ _PLACES / ink) if ink else (SIDE - 1) / 2


def _radius(image: Floats) -> float:
    """Half the width of a digit's strokes: its ink over the length of its outline's two sides."""
    inked = image > _INK
    outline = int((inked[1:] != inked[:-1]).sum() + (inked[:, 1:] != inked[:, :-1]).sum())
    # A slanted line's outline, counted along rows and columns, is about 4/pi times too long.
    return float(image.sum()) * 4 / np.pi / max(outline, 1)


def _lighter(radius: float, rng: np.random.Generator) -> float:
    return max(0.5, radius * rng.uniform(0.7, 1.0))


def _curve(start: Point, end: Point, sag: float, radius: float) -> Floats:
    """A stroke with round ends between two points that hangs `sag` pixels low in its middle, float32 [28, 28], 0 to 1.

    Two straight pieces for each half of a parabola: at this size no eye sees more.
    """
    along = np.linspace(0, 1, 5 if sag else 2)
    points = start + along[:, None] * (end - start)
    points[:, 0] += sag * 4 * along * (1 - along)
    # Of each piece, the pixels' places from its beginning, and the way to its end; axes are [piece, row, column].
    down, right = (points[:-1].T[..., None, None]).astype(np.float32)
    rows, columns = _PLACES[:, None] - down, _PLACES - right
    down, right = (np.diff(points, axis=0).T[..., None, None]).astype(np.float32)
    passed = np.clip((rows * down + columns * right) / np.maximum(down**2 + right**2, 1e-6), 0, 1)
    distance = np.sqrt(((rows - passed * down) ** 2 + (columns - passed * right) ** 2).min(axis=0))
    stroke: Floats = np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)
    return stroke


def _centred(image: Floats) -> Floats:
    """Shift by whole pixels, so that the centre of mass comes to the middle."""
    mass = image.sum()
    down = round(_CENTRE - float(image.sum(axis=1) @ _PLACES / mass))
    right = round(_CENTRE - float(image.sum(axis=0) @ _PLACES / mass))
    moved = np.zeros_like(image)
    target = moved[max(down, 0) : SIDE + min(down, 0), max(right, 0) : SIDE + min(right, 0)]
    target[:] = image[max(-down, 0) : SIDE + min(-down, 0), max(-right, 0) : SIDE + min(-right, 0)]
    return moved
