"""A plain NumPy and Pillow reference of the same steps, one picture at a time: what the graph should do, said slowly.

Written from what each step means, with none of the graph's ways to be quick: everything is a number of 64 bits, nothing
is rounded, pictures need no canvas. From the exporter come constants alone, though importing them loads TensorFlow.
"""

import io
from collections.abc import Callable
from itertools import groupby

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageOps

from exporter.contract import SIDE
from exporter.picture import colour, frame, locate, normalise, paper
from exporter.picture.decode import MAX_SIDE
from exporter.picture.halve import LARGE
from exporter.picture.overview import SIZE
from tests.exporter.picture.reference_cells import (
    Mask,
    Numbers,
    border,
    cell_of_pixel,
    to_cells,
    to_pixels,
    upper_median,
)
from tests.exporter.picture.reference_neighbours import kept_cells
from tests.exporter.picture.reference_rules import off_rules
from tests.exporter.picture.reference_screen import inside_of_screen

# What the graph writes where it is used, without a name.
_STRONGEST = 0.6  # of the maximum: the strongest ink
_PULL = 40.0  # of 255: how far one part of the border can pull the paper's plane at first
_SHADOW_AREA, _SHADOW_REACH = 0.03, 0.12  # of all cells, and of those at the border
_LEAST_PULL, _MORE_PULL = 2.0, 1.5  # later: of 255, and of the middle distance


def reference(octets: bytes) -> npt.NDArray[np.float32] | None:
    """Bring a PNG or JPEG into MNIST's form, [28, 28], 0 to 1; None for a blank."""
    level = _to_level(_no_longer_than(_decode(octets), MAX_SIDE))
    field = _mnist_form(level)
    if field is None:
        field = _long_way(level)
    return None if field is None else field.astype(np.float32)


def _decode(octets: bytes) -> Numbers:
    """Red, green, blue and alpha, [h, w, 4], 0 to 255."""
    picture: Pillow.Image = ImageOps.exif_transpose(Pillow.open(io.BytesIO(octets)))
    if picture.mode.startswith("I"):  # grey of 16 bits, which Pillow would clip to 255
        levels = np.asarray(picture).astype(int)
        picture = Pillow.fromarray((levels >> max(int(levels.max()).bit_length() - 8, 0)).astype(np.uint8))
    return np.asarray(picture.convert("RGBA")).astype(float)


def _no_longer_than(rgba: Numbers, side: int) -> Numbers:
    """Halve a picture until neither side is longer; colours count by their alpha."""
    if max(rgba.shape[:2]) <= side:
        return rgba
    colours, alpha = rgba[..., :3], rgba[..., 3:]
    small = np.concatenate([colours * alpha / 255, alpha], axis=2)
    while max(small.shape[:2]) > side:
        small = _halve(small)
    alpha = small[..., 3:]
    return np.concatenate([small[..., :3] * 255 / np.maximum(alpha, 1e-9), alpha], axis=2)


def _halve(pixels: Numbers) -> Numbers:
    """Means of 2x2 pixels; an odd end is cut off, a side of 1 stays."""
    height, width = pixels.shape[:2]
    if height > 1:
        pixels = (pixels[: height // 2 * 2 : 2] + pixels[1::2]) / 2
    if width > 1:
        pixels = (pixels[:, : width // 2 * 2 : 2] + pixels[:, 1::2]) / 2
    return pixels


# ---- Colours and transparency.


def _to_level(rgba: Numbers) -> Numbers:
    """One number for each pixel, [h, w]: how far along the way from the paper's colour to the ink's."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:] / 255
    whole = rgb * alpha + _behind(rgb, alpha[..., 0]) * (1 - alpha)
    cells = np.stack([to_cells(whole[..., channel]) for channel in range(3)], axis=2)
    difference = (cells - upper_median(border(cells))).reshape(-1, 3)
    difference *= np.linalg.norm(difference, axis=1, keepdims=True)  # strong ones count more
    luminance = np.asarray(colour._LUMA, float)
    scatter = difference.T @ difference
    # A picture of one colour has no direction.
    axis = np.linalg.eigh(scatter).eigenvectors[:, -1] if np.trace(scatter) > 1e-3 else luminance
    axis = axis if axis @ luminance >= 0 else -axis
    level: Numbers = whole @ (axis / np.abs(axis).sum())
    return level


def _behind(rgb: Numbers, alpha: Numbers) -> Numbers:
    """The colour that shows through transparency: the paper's behind a patch of paper, else what contrasts most."""
    visible = alpha.sum()
    if visible == 0:
        return np.full(3, 255.0)
    luma = rgb @ np.asarray(colour._LUMA, float)
    mean = (luma * alpha).sum() / visible
    spread = np.sqrt((alpha * (luma - mean) ** 2).sum() / visible)
    seen = alpha > 0.5
    box = seen.any(axis=1).sum() * seen.any(axis=0).sum()
    if visible > colour._SOLID * box and spread > colour._PATTERNED:
        brighter = luma > mean
        is_bright = alpha[brighter].sum() > 0.5 * visible
        majority = alpha * (brighter == is_bright)
        paper_colour: Numbers = (rgb * majority[..., None]).sum(axis=(0, 1)) / majority.sum()
        return paper_colour
    return np.full(3, 255.0 if mean < 128 else 0.0)


# ---- Pictures in MNIST's own form.


def _mnist_form(level: Numbers) -> Numbers | None:
    """The picture itself, white on black, if it has MNIST's form already."""
    if level.shape != (SIDE, SIDE):
        return None
    corner = level[0, 0]
    ground = 255.0 if corner > 127.5 else 0.0
    field = np.abs(level - ground) / 255
    if abs(corner - ground) >= 0.5 or field.max() < 0.8:
        return None
    top, bottom, left, right = _box(field > normalise._FAINT)
    longest = max(bottom - top, right - left)
    off_centre = np.abs(_centre_of_mass(field) - normalise._FIELD_CENTRE).max()
    return field if abs(longest - (normalise.BOX - 1)) <= 1 and off_centre <= 0.75 else None


def _box(strong: Mask) -> tuple[int, int, int, int]:
    """First row and one past the last, first column and one past the last, that hold anything."""
    rows, columns = (np.flatnonzero(strong.any(axis=axis)) for axis in (1, 0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def _centre_of_mass(ink: Numbers) -> Numbers:
    """Row and column, from the upper left edge, in pixels."""
    y, x = np.indices(ink.shape) + 0.5
    centre: Numbers = np.array([(ink * y).sum(), (ink * x).sum()]) / ink.sum()
    return centre


# ---- All others.


def _long_way(level: Numbers) -> Numbers | None:
    if max(level.shape) > LARGE and min(level.shape) > 1:
        level = _halve(level)
    level = inside_of_screen(level)
    level = off_rules(level)
    stands_out, is_even = _off_paper(level)
    stands_out, cells = _off_frame(stands_out)
    peak = _strength(stands_out)
    if peak <= (normalise._LEAST_EVEN if is_even else normalise._LEAST_UNEVEN):
        return None
    share = normalise._STRONG_EVEN if is_even else normalise._STRONG_UNEVEN
    strong_cells = to_cells((stands_out > share * peak).astype(float))
    down, across = cell_of_pixel(level.shape[0]), cell_of_pixel(level.shape[1])
    kept = kept_cells(strong_cells, level.shape)
    stands_out, strong_cells = stands_out * kept[down][:, across], strong_cells * kept
    rows, columns = _locate(strong_cells)
    window = rows[down][:, None] & columns[across]

    ink = stands_out * window
    low = min(normalise._NOISE * _noise(cells, strong_cells), normalise._MOST_NOISE * _strength(ink))
    high = max(normalise._FULL * _strength(ink), low + 1e-3)
    return _place(np.clip((ink - low) / (high - low), 0, 1))


def _strength(ink: Numbers) -> float:
    """The mean of the strongest ink."""
    return float(ink[ink > _STRONGEST * ink.max()].mean()) if ink.max() > 0 else 0.0


def _noise(cells: Numbers, strong_cells: Numbers) -> float:
    """Root mean square of the cells that have no strong ink in them or beside them."""
    quiet = _windows(strong_cells, 3, np.nanmax) == 0
    return float(np.sqrt((cells[quiet] ** 2).mean())) if quiet.any() else 0.0


def _windows(values: Numbers, side: int, summary: Callable[..., Numbers]) -> Numbers:
    """A summary (that passes over NaN) of the square around each place, as much of it as lies within the picture."""
    around = np.pad(values, side // 2, constant_values=np.nan)
    return summary(np.lib.stride_tricks.sliding_window_view(around, (side, side)), axis=(2, 3))


def _opened(values: Numbers, side: int) -> Numbers:
    """The highest floor on which a square that holds the place, and has its middle in the picture, can stand."""
    return _windows(_windows(values, side, np.nanmin), side, np.nanmax)


def _off_paper(level: Numbers) -> tuple[Numbers, bool]:
    """How far each pixel stands out from the paper, at least 0, and whether the paper is even."""
    cells = to_cells(level)
    is_bright, contrast = _split(cells)
    bright_paper = paper._VOTES.reshape(SIZE, SIZE)[is_bright].sum() > 0.5
    of_paper = cells[is_bright == bright_paper]
    ground = _usual(of_paper)
    towards_ink = -1 if bright_paper else 1
    is_even = (np.abs(of_paper - ground) <= paper._EVEN * contrast).mean() >= paper._EVEN_SHARE
    if max(level.shape) < paper._TINY:
        is_even = True
    if is_even and not _has_shadow((cells - ground) * towards_ink, contrast, level.shape):
        return np.maximum((level - ground) * towards_ink, 0), True
    return _off_uneven_paper(level), False


def _has_shadow(stands_out: Numbers, contrast: float, shape: tuple[int, ...]) -> bool:
    """Whether wide regions that reach the border stand out from even paper: more than any stroke would."""
    if max(shape) < paper._LARGE or max(shape) > 2 * min(shape):
        return False
    wide = _opened(stands_out, paper._SHADOW_WINDOW) > paper._SHADOW * contrast
    return bool(wide.mean() >= _SHADOW_AREA and border(wide).mean() >= _SHADOW_REACH)


def _split(cells: Numbers) -> tuple[Mask, float]:
    """The brighter cells of two kinds, and the kinds' distance: the threshold lies midway between their means."""
    threshold = (cells.min() + cells.max()) / 2
    for _ in range(paper._SPLIT_STEPS):
        is_bright = cells > threshold
        above, below = (cells[kind].mean() if kind.any() else 0.0 for kind in (is_bright, ~is_bright))
        threshold = (above + below) / 2
    return is_bright, float(above - below)


def _usual(values: Numbers) -> float:
    """The mean, of those near the mean, of those near it: what a few strange values do not pull."""
    near = values
    for _ in range(paper._CENTRE_STEPS):
        distance = np.abs(near - near.mean()).mean() + 0.5
        near = values[np.abs(values - near.mean()) <= distance]
    return float(near.mean())


def _off_uneven_paper(level: Numbers) -> Numbers:
    plane = to_pixels(_plane(to_cells(level)), level.shape)
    deviation = level - plane
    cells = to_cells(level)
    towards_white = _brighter(deviation)
    among_neighbours = _brighter(cells - _windows(cells, paper._NEAR, np.nanmean))
    is_dark = towards_white < 1 or (towards_white <= paper._MOST_LIGHT and among_neighbours < paper._CLEARLY)
    deviation = -deviation if is_dark else deviation
    if max(level.shape) >= paper._LARGE:
        deviation = _windows(deviation, 3, np.nanmean)
        light = _opened(deviation, paper._LARGE_WINDOW)
    else:
        light = to_pixels(np.maximum(_opened(to_cells(deviation), paper._WINDOW), 0), level.shape)
    ink = np.maximum(deviation - light, 0)
    if is_dark:
        sheet = np.maximum(plane - light, 1)
        ink *= sheet.mean() / np.maximum(sheet, sheet.mean() / paper._DEEPEST_SHADOW)
    rows, columns = (np.isin(cell_of_pixel(length), np.arange(SIZE)[2:-2]) for length in level.shape)
    inside = ink[np.ix_(rows, columns)].max(initial=0)
    return np.minimum(ink, inside) if inside >= paper._LEAST_INSIDE * ink.max() else ink


def _brighter(deviation: Numbers) -> float:
    """How many times as much stands out to the bright side as to the dark one; far deviations count by far more."""
    return float((np.maximum(deviation, 0) ** 4).sum() / max((np.maximum(-deviation, 0) ** 4).sum(), 1e-9))


def _plane(cells: Numbers) -> Numbers:
    """The level that a tilted and twisted plane has in each cell, when it is laid along the border without its ink."""
    parts = border(np.stack([cells, *np.indices(cells.shape)], axis=2)).reshape(4 * paper._SEGMENTS, -1, 3)
    values = np.median(parts[..., 0], axis=1)
    y, x = parts[..., 1].mean(axis=1), parts[..., 2].mean(axis=1)
    at_border = np.stack([np.ones_like(y), y, x, y * x], axis=1)

    middle = upper_median(values)
    pulled = middle + np.clip(values - middle, -_PULL, _PULL)
    for _ in range(paper._FIT_STEPS):
        fit = at_border @ np.linalg.lstsq(at_border, pulled)[0]
        rest = values - fit
        limit = max(_LEAST_PULL, _MORE_PULL * float(upper_median(np.abs(rest))))
        pulled = fit + np.clip(rest, -limit, limit)
    mean, down, across, twist = np.linalg.lstsq(at_border, pulled)[0]
    y, x = np.indices(cells.shape)
    plane: Numbers = mean + down * y + across * x + twist * y * x
    return plane


def _off_frame(stands_out: Numbers) -> tuple[Numbers, Numbers]:
    """What stands out without what lies along whole sides, and what its cells hold then."""
    cells = to_cells(stands_out)
    rows, columns = _frame(cells), _frame(cells.T)
    rest = np.where(rows[:, None] | columns, 0, cells)
    touch = frame._TOUCH * rest.max()
    if rest[:, [0, -1]].max() > touch:
        rows[:] = False
    if rest[[0, -1]].max() > touch:
        columns[:] = False
    if max(stands_out.shape) < frame._LARGE or rest.max() <= frame._REST * cells.max():
        return stands_out, cells
    of_rows, of_columns = (
        chosen[cell_of_pixel(length)] for chosen, length in zip((rows, columns), stands_out.shape, strict=True)
    )
    return np.where(of_rows[:, None] | of_columns, 0, stands_out), np.where(rows[:, None] | columns, 0, cells)


def _frame(cells: Numbers) -> Mask:
    """The rows of cells, from the upper or the lower side on, in most of whose cells something stands out."""
    mean = cells.mean(axis=1)
    share = (cells > mean[:, None] / 2).mean(axis=1)
    is_covered = (share >= frame._COVERED) & (mean > max(frame._LEAST, frame._LEAST_SHARE * cells.max()))
    found = np.zeros(SIZE, bool)
    for line, covered in ((found, is_covered), (found[::-1], is_covered[::-1])):
        count = SIZE if covered.all() else int(np.argmin(covered))
        if 0 < count <= frame._MOST_CELLS:
            line[: count + 1] = True
    return found


def _locate(strong_cells: Numbers) -> tuple[Mask, Mask]:
    """Which rows and which columns of cells hold the digit."""
    ends_of_columns, ends_of_rows = strong_cells[[0, -1]] > 0, strong_cells[:, [0, -1]].T > 0
    columns = _choose(strong_cells.sum(axis=0), ends_of_columns)
    rows = _choose(strong_cells[:, columns].sum(axis=1), ends_of_rows)
    return rows, _choose(strong_cells[rows].sum(axis=0), ends_of_columns)


def _choose(profile: Numbers, ends: Mask) -> Mask:
    """From the first to the last run of the digit's ink, and one place more at both ends; no other ink between.

    The ends say of each place whether its line reaches the one border, and the other.
    """
    occupied = profile > locate._TRACE * profile.max()
    runs = [list(run) for has_ink, run in groupby(range(SIZE), lambda place: occupied[place]) if has_ink]
    touching = [0 in run or SIZE - 1 in run for run in runs]
    masses = [float(profile[run].sum()) for run in runs]
    reached = [ends[:, run].any(axis=1) for run in runs]
    within = max((mass for mass, sides in zip(masses, reached, strict=True) if not sides.any()), default=0.0)
    for place, run in enumerate(runs):
        if reached[place].all() and len(run) <= locate._LINE_CELLS and within >= locate._WITHIN * masses[place]:
            masses[place] = 0.0
    inner = max((mass for mass, touches in zip(masses, touching, strict=True) if not touches), default=0.0)
    for place, run in enumerate(runs):
        if touching[place] and len(run) <= locate._EDGE_CELLS and inner > 0:
            masses[place] = min(masses[place], locate._EDGE * inner)
    chosen = np.zeros(SIZE, bool)
    kept = []
    for run, mass, touches in zip(runs, masses, touching, strict=True):
        if mass > 0 and mass >= (locate._NEIGHBOUR if touches else locate._SPECK) * max(masses):
            kept += run
    if kept:
        chosen[max(kept[0] - 1, 0) : kept[-1] + 2] = True
    chosen[[place for run in runs for place in run if place not in kept]] = False
    return chosen


def _place(ink: Numbers) -> Numbers:
    """Shrink or enlarge the ink to a box of 20 pixels, its centre of mass in the middle of the field."""
    top, bottom, left, right = _box(ink > normalise.BOX_EDGE)
    step = max(bottom - top, right - left) / normalise.BOX
    centre = _centre_of_mass(ink)
    # A triangle as wide as two pixels of the field or of the picture, whichever is larger.
    reach = max(step, 1.0)

    def weights(place: int, middle: float, length: int) -> Numbers:
        where = middle + (place + 0.5 - normalise._FIELD_CENTRE) * step
        distance: Numbers = np.abs(np.arange(length) + 0.5 - where)
        return np.maximum(1 - distance / reach, 0) / reach

    field = np.zeros((SIDE, SIDE))
    for y in range(SIDE):
        row = weights(y, centre[0], ink.shape[0]) @ ink
        for x in range(SIDE):
            field[y, x] = row @ weights(x, centre[1], ink.shape[1])
    return np.clip(field / _strength(field), 0, 1)
