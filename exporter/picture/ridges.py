"""Where printed lines may run along the sides of a picture: ridges in the mean levels of its rows and columns.

A picture is cut into blocks side by side, and each block's mean level from row to row is a profile. A ridge stands out
from what lies on both sides of it: the top-hat transform of the profile (Serra, Image Analysis and Mathematical
Morphology, 1982). A line is a ridge in most blocks at the same height, or at heights that a small tilt puts in a row.
Columns are treated as rows of the picture on its side: its axes are 0 (rows) and 1 (columns).
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from exporter.picture.overview import SIZE, area_weights

ROWS = 64
"""Places along a profile, whatever the picture's size."""

BLOCKS = 8
"""Profiles side by side."""

STEEPEST = 3
"""Rows of ROWS that a tilted line rises or falls, at most, from the middle to the middle of an outer block."""

_REACH = 8  # rows on either side from which a ridge stands out
_ZONE = 24  # rows from either side of the picture in which lines are looked for
_LEAST = 8.0  # of 255: as much a ridge stands out at least
_LEAST_SHARE = 0.12  # of the profiles' range: so much, too
_TILT_COSTS = 1e-3  # of 255: of ridges as high the one with the least tilt counts
_COARSE_SHARE = 0.4  # of that: so much is left of a thin line's height in the cells of an overview
_MOST_LINES = 7  # side by side: more are ruled or squared paper, of which nothing is to be taken away alone
_SIGNS = 2  # dark lines and bright ones
_FAR = 1e9

_TILTS = np.arange(-STEEPEST, STEEPEST + 1)
_LEVERS = (np.arange(BLOCKS) - (BLOCKS - 1) / 2) / ((BLOCKS - 1) / 2)  # of the blocks' middles, -1 to 1

OFFSETS = np.rint(_TILTS[:, None] * _LEVERS).astype(np.int32)
"""By how many rows a tilt, -STEEPEST to STEEPEST, moves each block, [2 * STEEPEST + 1, BLOCKS]."""

# For each block: places among heights [BLOCKS, ROWS] for every side, tilt and row of the side's zone.
_ZONES = np.stack([np.arange(_ZONE), np.arange(ROWS - _ZONE, ROWS)])
_ALIGNED = np.clip(_ZONES[None, :, None, :] + OFFSETS.T[:, None, :, None], 0, ROWS - 1)
_ALIGNED = (_ALIGNED + ROWS * np.arange(BLOCKS)[:, None, None, None]).reshape(BLOCKS, -1).astype(np.int32)
_TILT_COST = np.tile(np.repeat(_TILT_COSTS * np.abs(_TILTS), _ZONE), 2)[:, None].astype(np.float32)

_COARSE = SIZE // BLOCKS
_COARSE_ZONE = _ZONE * SIZE // ROWS
# Of a row's cells: the mean of each block, for bright lines with its sign turned.
_MEANS = np.kron(np.eye(BLOCKS), np.full([_COARSE, 1], 1 / _COARSE))
_MEANS = np.concatenate([_MEANS, -_MEANS], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Candidates:
    """The clearest line along each side, [n, 2, 2] each: by axis, and by side, upper or left and lower or right.

    Attributes:
        found: whether there is any, bool.
        is_long: whether it stands out in all blocks but one, not only in all but two, bool.
        row: where, in its middle, int32, 0 to ROWS - 1.
        tilt: by how many rows an outer block has it lower or higher, int32.
        is_bright: whether the line is brighter than what is beside it, bool.
        ridges: how far rows stand out, float32 [n, ROWS, 2 * 2 * BLOCKS], as `_profiles` has them, at least 0.
    """

    found: tf.Tensor
    is_long: tf.Tensor
    row: tf.Tensor
    tilt: tf.Tensor
    is_bright: tf.Tensor
    ridges: tf.Tensor

    def of_some(self, chosen: tf.Tensor) -> "Candidates":
        """Those of some of the pictures, by their places in the batch, int [k]."""
        return Candidates(*(tf.gather(value, chosen) for value in vars(self).values()))

    def suffice(self) -> tf.Tensor:
        """Whether a picture's candidates are worth a closer look, bool [n]: a long one, or three sides of a frame."""
        return _suffice(self.found, self.found & self.is_long)


def may_have_lines(cells: tf.Tensor) -> tf.Tensor:
    """Whether pictures may have candidates that suffice, bool [n], by their overview, float32 [n, SIZE, SIZE].

    Most pictures have none, and this is quick to tell.
    """
    means = tf.constant(_MEANS)[None]
    profiles = tf.concat([tf.matmul(cells, means), tf.matmul(cells, means, transpose_a=True)], axis=2)
    ridges = _beside(_ridges(profiles, _REACH * SIZE // ROWS))
    is_ridge = ridges > _COARSE_SHARE * _floor(profiles)[:, None, None]
    by_block = tf.reshape(tf.cast(is_ridge, tf.float32), [-1, SIZE, 2, _SIGNS, BLOCKS])
    most = tf.reduce_max(tf.reduce_sum(by_block, axis=-1), axis=-1)
    zones = tf.stack([most[:, :_COARSE_ZONE], most[:, -_COARSE_ZONE:]], axis=3)
    most = tf.reduce_max(zones, axis=1)
    return _suffice(most >= BLOCKS - 2, most >= BLOCKS - 1)


def candidates(level: tf.Tensor, extent: tf.Tensor) -> Candidates:
    """The clearest line along each side of pictures, float32 [n, h, w], with heights and widths int32 [n, 2]."""
    profiles = _profiles(level, extent)
    ridges = tf.nn.relu(_ridges(profiles, _REACH, _median(profiles)))
    # Pictures last: so blocks are taken apart, and rows gathered, in long runs.
    by_block = tf.transpose(tf.reshape(_beside(ridges), [-1, ROWS, 2 * _SIGNS, BLOCKS]), [3, 1, 0, 2])
    by_block = tf.reshape(by_block, [BLOCKS, ROWS, -1])
    heights = tf.stack(_second_and_third(tf.gather(tf.reshape(by_block, [BLOCKS * ROWS, -1]), _ALIGNED))) - _TILT_COST
    heights = tf.reshape(tf.transpose(heights, [2, 0, 1]), [-1, 2, _SIGNS, 2, 2, len(_TILTS) * _ZONE])
    best = tf.reduce_max(heights, axis=-1)
    place = tf.argmax(heights, axis=-1, output_type=tf.int32)

    floor = _floor(profiles)[:, None, None, None]
    is_ruled = _are_many(_second_and_third(by_block)[1], floor)
    is_long = best[:, :, :, 0] > floor
    height = tf.where(is_long, best[:, :, :, 0], best[:, :, :, 1])
    height = tf.where(height > floor, height, 0.0)
    place = tf.where(is_long, place[:, :, :, 0], place[:, :, :, 1])
    is_bright = height[:, :, 1] > height[:, :, 0]
    place = tf.where(is_bright, place[:, :, 1], place[:, :, 0])
    return Candidates(
        found=(tf.reduce_max(height, axis=2) > 0.0) & ~is_ruled,
        is_long=tf.where(is_bright, is_long[:, :, 1], is_long[:, :, 0]),
        row=place % _ZONE + tf.constant([0, ROWS - _ZONE]),
        tilt=place // _ZONE - STEEPEST,
        is_bright=is_bright,
        ridges=ridges,
    )


def _suffice(found: tf.Tensor, is_long: tf.Tensor) -> tf.Tensor:
    """Whether any of bool [n, 2, 2] is long, or three are found, bool [n]."""
    return tf.reduce_any(is_long, axis=[1, 2]) | (tf.reduce_sum(tf.cast(found, tf.int32), axis=[1, 2]) >= 3)


def _are_many(height: tf.Tensor, floor: tf.Tensor) -> tf.Tensor:
    """Whether there are lines all over a picture, bool [n, 1, 1], by each row's height, float32 [ROWS, n * 2 * 2]."""
    is_high = tf.transpose(tf.reshape(height, [ROWS, -1, 2, _SIGNS]), [1, 2, 3, 0]) > floor
    begins = tf.concat([is_high[..., :1], is_high[..., 1:] & ~is_high[..., :-1]], axis=-1)
    most = tf.reduce_max(tf.reduce_sum(tf.cast(begins, tf.int32), axis=-1), axis=[1, 2], keepdims=True)
    return most > _MOST_LINES


def _profiles(level: tf.Tensor, extent: tf.Tensor) -> tf.Tensor:
    """Mean level in each row of each block, float32 [n, ROWS, 2 * 2 * BLOCKS].

    By axis, by sign, first as it is, in which dark lines are low, then with its sign turned, and by block.
    """
    shape = tf.shape(level)
    of_rows, of_columns = (area_weights(extent[:, axis], shape[axis + 1], ROWS) for axis in (0, 1))
    of_lower, of_right = (area_weights(extent[:, axis], shape[axis + 1], BLOCKS) for axis in (0, 1))
    rows = tf.matmul(of_rows, tf.matmul(level, of_right, transpose_b=True))
    columns = tf.matmul(of_columns, tf.matmul(of_lower, level), transpose_b=True)
    return tf.concat([rows, -rows, columns, -columns], axis=2)


def _floor(profiles: tf.Tensor) -> tf.Tensor:
    """How far a line stands out at least, float32 [n]."""
    most = tf.reshape(tf.reduce_max(profiles, axis=1), [-1, 2, _SIGNS, BLOCKS])
    contrast = tf.reduce_sum(tf.reduce_max(most, axis=3), axis=2)
    return tf.maximum(_LEAST, _LEAST_SHARE * tf.reduce_max(contrast, axis=1))


def _median(profiles: tf.Tensor) -> tf.Tensor:
    """Median of each profile, float32 [n, 2 * 2 * BLOCKS]."""
    one_sign = tf.reshape(profiles, [-1, ROWS, 2, _SIGNS, BLOCKS])[:, :, :, 0]
    ordered = tf.sort(tf.transpose(one_sign, [0, 2, 3, 1]), axis=-1)
    median = (ordered[..., ROWS // 2 - 1] + ordered[..., ROWS // 2]) / 2
    return tf.reshape(tf.stack([median, -median], axis=2), [-1, 2 * _SIGNS * BLOCKS])


def _ridges(profiles: tf.Tensor, reach: int, most: tf.Tensor | None = None) -> tf.Tensor:
    """How far rows of profiles stand out to the low side, float32 [n, k, c]; 0 and less: not at all.

    Args:
        profiles: levels, float32 [n, k, c].
        reach: of so many rows on either side the highest counts; beyond the picture's edge there is nothing to count.
        most: levels, float32 [n, c], from which they stand out, too.
    """
    wide = tf.pad(profiles, [[0, 0], [reach, reach], [0, 0]], constant_values=_FAR)
    highest = _max(wide, reach, "VALID")
    around = tf.minimum(highest[:, : profiles.shape[1]], highest[:, reach + 1 :])
    return (around if most is None else tf.minimum(around, most[:, None])) - profiles


def _beside(ridges: tf.Tensor) -> tf.Tensor:
    """The highest ridge in a row or the one before or after it, float32 [n, k, c]."""
    return _max(ridges, 3, "SAME")


def _max(values: tf.Tensor, window: int, padding: str) -> tf.Tensor:
    return tf.nn.max_pool2d(values[:, :, None], [window, 1], 1, padding)[:, :, 0]


def _second_and_third(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The second and the third smallest of float32 [8, ...]: two merges of a sorting network (Batcher 1968)."""
    low, high = tf.minimum(values[:4], values[4:]), tf.maximum(values[:4], values[4:])
    # Of two pairs the three smallest, in order.
    first = tf.minimum(low[:2], low[2:])
    later, others = tf.maximum(low[:2], low[2:]), tf.minimum(high[:2], high[2:])
    second, third = tf.minimum(later, others), tf.maximum(later, others)
    smallest = tf.maximum(first[0], first[1])
    return (
        tf.minimum(tf.minimum(second[0], second[1]), smallest),
        tf.minimum(
            tf.minimum(third[0], third[1]),
            tf.minimum(tf.maximum(first[0], second[1]), tf.maximum(second[0], first[1])),
        ),
    )
