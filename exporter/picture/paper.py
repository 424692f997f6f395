"""Telling ink from paper: how far each pixel stands out from its paper, in the direction of the ink.

Two kinds of picture are told apart. On even paper (drawings, scans, screenshots) most cells of the overview have the
very same level, and that is the paper, wherever the ink lies. On uneven paper (photographs) the paper is a tilted
plane, fitted to the border with ink that touches it left out; what is left of the light is taken off by an opening: the
white top-hat transform (Serra, Image Analysis and Mathematical Morphology, 1982), which takes ramps and sharp shadows
for paper and anything narrower than its window for ink.
"""

import numpy as np
import tensorflow as tf

from exporter.picture.overview import SIZE, Overview, border_of

_WINDOW = 7  # cells; wider than a stroke on a small photograph
_LARGE_WINDOW = 21  # pixels; the same on a large one, which `halve` leaves at 80 to 160 pixels
_SHADOW_WINDOW = 11  # cells; wider than any stroke
_DEEPEST_SHADOW = 3.0  # how many times darker than usual paper is taken for a shadow
_SHADOW = 0.15  # of the contrast: a shadow stands out so much
_SHADOW_AREA = 0.03  # of the cells
_SHADOW_REACH = 0.12  # of the cells along the border
_NEAR = 7  # cells; a stroke stands out from the mean of so many
_MOST_LIGHT = 1000.0  # times the dark side's evidence: as far as paper stands out where light falls off
_CLEARLY = 2.0  # times the dark side's evidence
_EVEN = 0.1  # of the contrast: how far the paper's cells may lie from its level on even paper
_EVEN_SHARE = 0.7  # how many of them must not lie further
_TINY = 24  # pixels of the longer side: so few show no light, and strokes may fill half of them
_LEAST_INSIDE = 0.25  # of what stands out furthest: so much at least does ink off the border
_CENTRE_STEPS = 2
_SPLIT_STEPS = 4
_FIT_STEPS = 4
_LARGE = 64  # pixels of the longer side: smaller photographs have no detail to spare

# Votes of the cells on which level is the paper: the border counts more, the corners most.
_VOTES = np.ones([SIZE, SIZE], np.float32)
for _edge in (0, -1):
    _VOTES[_edge] += 8
    _VOTES[:, _edge] += 8
for _y in (slice(3), slice(-3, None)):
    for _x in (slice(3), slice(-3, None)):
        _VOTES[_y, _x] += 14
_VOTES = (_VOTES / _VOTES.sum()).ravel()

_OFF_BORDER = np.zeros(SIZE, np.float32)
_OFF_BORDER[2:-2] = 1

# The plane, with a twist, as a linear function of sixteen medians along the border.
_SEGMENTS = 4
_PLACE = (np.arange(SIZE) + 0.5) * 2 / SIZE - 1
_MIDDLES = _PLACE.reshape(_SEGMENTS, -1).mean(1)
_EDGE = np.full(_SEGMENTS, _PLACE[-1])


def _basis(y: "np.typing.NDArray[np.float64]", x: "np.typing.NDArray[np.float64]") -> "np.typing.NDArray[np.float32]":
    return np.stack([np.ones_like(y), y, x, y * x], axis=-1).astype(np.float32)


_AT_BORDER = _basis(
    np.concatenate([-_EDGE, _EDGE, _MIDDLES, _MIDDLES]), np.concatenate([_MIDDLES, _MIDDLES, -_EDGE, _EDGE])
)
_FIT = np.linalg.pinv(_AT_BORDER)
_EVERYWHERE = _basis(*np.meshgrid(_PLACE, _PLACE, indexing="ij")).reshape(-1, 4)


def to_ink(level: tf.Tensor, cells: tf.Tensor, inside: tf.Tensor, overview: Overview) -> tuple[tf.Tensor, tf.Tensor]:
    """How far each pixel stands out from the paper towards the ink, float32 [n, h, w], at least 0; 0 outside.

    Args:
        level: float32 [n, h, w], as `colour.to_level` gives it.
        cells: what the cells hold of it, float32 [n, SIZE, SIZE].
        inside: which pixels belong to the picture, float32 [n, h, w], 0 or 1.
        overview: the cells of the pictures.

    Returns:
        The ink, and whether the paper is even, bool [n].
    """
    is_even, paper, sign = _even_paper(cells, overview.extent)
    ink = tf.nn.relu((level - paper[:, None, None]) * sign[:, None, None]) * inside
    uneven = tf.where(~is_even)[:, 0]

    def with_uneven() -> tf.Tensor:
        stands_out = _off_uneven_paper(tf.gather(level, uneven), tf.gather(inside, uneven), overview.of_some(uneven))
        return tf.tensor_scatter_nd_update(ink, uneven[:, None], stands_out)

    return tf.cond(tf.size(uneven) > 0, with_uneven, lambda: ink), is_even


def background(level: tf.Tensor, inside: tf.Tensor, overview: Overview) -> tf.Tensor:
    """The level of the paper below each pixel, float32 [n, h, w], as `to_ink` takes it; for people to look at."""
    is_even, paper, _ = _even_paper(overview.reduce(level), overview.extent)
    plane, deviation, light, sign = _uneven_paper(level, inside, overview)
    uneven = plane + tf.minimum(light, tf.nn.relu(deviation)) * sign[:, None, None]
    return tf.where(is_even[:, None, None], paper[:, None, None], uneven) * inside


def _even_paper(cells: tf.Tensor, extent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Whether the paper is even, bool [n], its level, float32 [n], and the ink's direction from there, 1 or -1.

    The cells are split in two by the isodata threshold (Ridler and Calvard, Picture Thresholding, 1978).
    """
    flat = tf.reshape(cells, [-1, SIZE * SIZE])
    threshold = (tf.reduce_min(flat, axis=1) + tf.reduce_max(flat, axis=1)) / 2
    bright = flat
    for _ in range(_SPLIT_STEPS):
        bright = tf.cast(flat > threshold[:, None], tf.float32)
        count = tf.reduce_sum(bright, axis=1)
        total = tf.reduce_sum(flat * bright, axis=1)
        above = tf.math.divide_no_nan(total, count)
        below = tf.math.divide_no_nan(tf.reduce_sum(flat, axis=1) - total, SIZE * SIZE - count)
        threshold = (above + below) / 2
    is_bright = tf.linalg.matvec(bright, _VOTES) > 0.5
    is_paper = tf.where(is_bright[:, None], bright, 1.0 - bright)
    # The mean of the paper's cells, then of those that are closer to it than most: cells with some ink pull it no more.
    paper, distance = _mean(flat, is_paper)
    for _ in range(_CENTRE_STEPS):
        near = is_paper * tf.cast(tf.abs(flat - paper[:, None]) <= distance[:, None], tf.float32)
        paper, distance = _mean(flat, near)
    limit = _EVEN * (above - below)
    close = tf.reduce_sum(is_paper * tf.cast(tf.abs(flat - paper[:, None]) <= limit[:, None], tf.float32), axis=1)
    is_even = close >= _EVEN_SHARE * tf.reduce_sum(is_paper, axis=1)
    sign = tf.where(is_bright, -1.0, 1.0)
    stands_out = (cells - paper[:, None, None]) * (sign / tf.maximum(above - below, 1e-6))[:, None, None]
    is_tiny = tf.reduce_max(extent, axis=1) < _TINY
    return is_tiny | (is_even & ~_has_shadow(stands_out, extent)), paper, sign


def _has_shadow(stands_out: tf.Tensor, extent: tf.Tensor) -> tf.Tensor:
    """Whether wide regions that reach the border stand out, bool [n]: a shadow on paper as white as can be, no ink.

    Small pictures and narrow ones are spared: there a stroke may be as wide.
    """
    is_large = tf.reduce_max(extent, axis=1) >= _LARGE
    is_square = 2.0 * tf.reduce_min(extent, axis=1) >= tf.reduce_max(extent, axis=1)
    # An opening takes away only: what does not reach the border before it does not after it. Few pictures need it.
    reaches = _share(border_of(stands_out) > _SHADOW, [1]) >= _SHADOW_REACH
    doubtful = tf.where(is_large & is_square & reaches)

    def opened() -> tf.Tensor:
        wide = _open(tf.gather_nd(stands_out, doubtful), _SHADOW_WINDOW) > _SHADOW
        has_shadow = (_share(wide, [1, 2]) >= _SHADOW_AREA) & (_share(border_of(wide), [1]) >= _SHADOW_REACH)
        return tf.tensor_scatter_nd_update(tf.zeros_like(is_large), doubtful, has_shadow)

    return tf.cond(tf.size(doubtful) > 0, opened, lambda: tf.zeros_like(is_large))


def _share(chosen: tf.Tensor, axes: list[int]) -> tf.Tensor:
    """How many of bool [n, ...] are true along some axes, 0 to 1."""
    return tf.reduce_mean(tf.cast(chosen, tf.float32), axis=axes)


def _mean(values: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean of the chosen values, float32 [n, k], and their mean distance from it, with a little to spare."""
    count = tf.maximum(tf.reduce_sum(chosen, axis=1), 1.0)
    mean = tf.reduce_sum(values * chosen, axis=1) / count
    distance = tf.reduce_sum(tf.abs(values - mean[:, None]) * chosen, axis=1) / count
    return mean, distance + 0.5


def _uneven_paper(
    level: tf.Tensor, inside: tf.Tensor, overview: Overview
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The plane of the paper, how far the picture and the light on it stand out from there, and the ink's direction.

    Float32 [n, h, w] each, and [n]. What stands out of large pictures is blurred: lines of squared paper are thinner
    than ink, and a blur takes more from them, and from noise.
    """
    cells = overview.reduce(level)
    plane = overview.enlarge(_border_plane(cells))
    deviation = (level - plane) * inside
    sign = _polarity(deviation, cells)
    deviation *= sign[:, None, None]
    small = overview.enlarge(tf.nn.relu(_open(overview.reduce(deviation), _WINDOW)))
    blurred = tf.math.divide_no_nan(_blur(deviation), _blur(inside)) * inside
    is_large = (tf.reduce_max(overview.extent, axis=1) >= _LARGE)[:, None, None]
    # Pixel by pixel, the edges of shadows are followed, too. What is outside neither lowers nor raises the floor.
    lowest = -window_max(tf.where(inside > 0, -blurred, blurred.dtype.min), _LARGE_WINDOW)
    floor = window_max(tf.where(inside > 0, lowest, blurred.dtype.min), _LARGE_WINDOW)
    return plane, tf.where(is_large, blurred, deviation), tf.where(is_large, floor, small), sign


def _off_uneven_paper(level: tf.Tensor, inside: tf.Tensor, overview: Overview) -> tf.Tensor:
    plane, deviation, light, sign = _uneven_paper(level, inside, overview)
    ink = tf.nn.relu(deviation - light) * inside
    # Dark ink takes a share of the light that falls on it: in a shadow it stands out less, but is as dark.
    paper = tf.maximum(plane - light, 1.0) * inside
    usual = (tf.reduce_sum(paper, axis=[1, 2]) / tf.reduce_sum(inside, axis=[1, 2]))[:, None, None]
    share = usual / tf.maximum(paper, usual / _DEEPEST_SHADOW)
    ink = tf.where((sign < 0)[:, None, None], ink * share, ink)
    return tf.minimum(ink, _most_inside(ink, overview)[:, None, None])


def _most_inside(ink: tf.Tensor, overview: Overview) -> tf.Tensor:
    """As far as anything stands out off the border, float32 [n]; no digit is darker at the border, but tables are.

    Where that is next to nothing the digit may lie at the border, and what stands out furthest there is returned.
    """
    chosen = tf.repeat(tf.constant(_OFF_BORDER)[None], tf.shape(ink)[0], axis=0)
    most = tf.reduce_max(ink, axis=[1, 2])
    inside = tf.reduce_max(ink * overview.spread(chosen, chosen), axis=[1, 2])
    return tf.where(inside >= _LEAST_INSIDE * most, inside, most)


def _blur(values: tf.Tensor) -> tf.Tensor:
    return tf.nn.avg_pool2d(values[..., None], 3, 1, "SAME")[..., 0]


def _border_plane(cells: tf.Tensor) -> tf.Tensor:
    """The paper's level in each cell, float32 [n, SIZE, SIZE], extended from the border.

    A robust fit: what lies far from it, ink at the border or the edge of the sheet, pulls only so much (Huber 1964).
    """
    half = SIZE // _SEGMENTS // 2
    segments = tf.sort(tf.reshape(border_of(cells), [-1, 4 * _SEGMENTS, 2 * half]), axis=-1)
    medians = tf.reduce_mean(segments[..., half - 1 : half + 1], axis=-1)
    middle = tf.sort(medians, axis=1)[:, 2 * _SEGMENTS, None]
    pulled = middle + tf.clip_by_value(medians - middle, -40.0, 40.0)
    for _ in range(_FIT_STEPS):
        fit = tf.matmul(tf.matmul(pulled, _FIT, transpose_b=True), _AT_BORDER, transpose_b=True)
        rest = medians - fit
        limit = tf.maximum(2.0, 1.5 * tf.sort(tf.abs(rest), axis=1)[:, 2 * _SEGMENTS, None])
        pulled = fit + tf.clip_by_value(rest, -limit, limit)
    plane = tf.matmul(tf.matmul(pulled, _FIT, transpose_b=True), _EVERYWHERE, transpose_b=True)
    return tf.reshape(plane, [-1, SIZE, SIZE])


def _polarity(deviation: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
    """1 where ink is brighter than paper, -1 where darker, float32 [n]: the side that stands out further.

    Light falls off towards the border, where the plane is fitted, or a shadow lies there: bare paper stands out, too,
    and further than faint ink. What is bright by no more than light makes it has to stand out among its neighbours as
    well, and clearly so, as photographs of dark ink are the rule.
    """
    bright, dark = _evidence(deviation)
    near_bright, near_dark = _evidence(cells - tf.nn.avg_pool2d(cells[..., None], _NEAR, 1, "SAME")[..., 0])
    is_bright = (bright >= dark) & ((bright > _MOST_LIGHT * dark) | (near_bright >= _CLEARLY * near_dark))
    return tf.where(is_bright, 1.0, -1.0)


def _evidence(deviation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """How far float32 [n, h, w] stands out to the bright and to the dark side, float32 [n] each."""
    # Squares of squares: a power takes several times as long.
    bright = tf.reduce_sum(tf.square(tf.square(tf.nn.relu(deviation))), axis=[1, 2])
    dark = tf.reduce_sum(tf.square(tf.square(tf.nn.relu(-deviation))), axis=[1, 2])
    return bright, dark


def _open(values: tf.Tensor, window: int) -> tf.Tensor:
    """Opening of [n, h, w] by a square: the highest floor on which a square that holds the place can stand.

    At the border the square may stand half outside.
    """
    return window_max(-window_max(-values, window), window)


def window_max(values: tf.Tensor, window: int) -> tf.Tensor:
    """The largest value in an odd window around each place, along both axes, by doubling: log2(window) steps each."""
    for axis in (1, 2):
        half = window // 2
        paddings = [[0, 0]] * 3
        paddings[axis] = [half, half]
        wide = tf.pad(values, paddings, constant_values=values.dtype.min)
        reach = 1
        while reach < window:
            step = min(reach, window - reach)
            length = tf.shape(wide)[axis] - step
            wide = tf.maximum(_part(wide, axis, 0, length), _part(wide, axis, step, length))
            reach += step
        values = wide
    return values


def _part(values: tf.Tensor, axis: int, start: int, length: tf.Tensor) -> tf.Tensor:
    return values[:, start : start + length] if axis == 1 else values[:, :, start : start + length]
