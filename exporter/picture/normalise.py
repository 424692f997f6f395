"""From any picture of a digit to MNIST's own form, for a whole batch at once.

MNIST was made by scaling each digit into a 20x20 box with anti-aliasing and placing it in a 28x28 field by its centre
of mass (LeCun, Cortes, Burges: http://yann.lecun.com/exdb/mnist/). The same is done here to whatever arrives: colours
and transparency become one level (`colour`), a picture of a screen is cut to its square (`screen`), a form's lines are
painted over (`rules`), the level becomes ink (`paper`), what lies along the sides is taken away (`frame`), and so is
what belongs to neighbours (`neighbours`). Then the digit is found (`locate`), the ink is stretched to full range, and
one anti-aliased resampling brings its box to 20 pixels and its centre of mass to the middle. An image in MNIST's own
form passes as it is, and cheaply.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from exporter.contract import SIDE
from exporter.picture.colour import to_level
from exporter.picture.decode import Pictures
from exporter.picture.field import BOX, CENTRE, mnist_form
from exporter.picture.frame import off_frame
from exporter.picture.locate import locate
from exporter.picture.neighbours import off_neighbours
from exporter.picture.overview import Overview, pixels_inside
from exporter.picture.paper import to_ink, window_max
from exporter.picture.rules import off_rules
from exporter.picture.screen import inside_of_screen

BOX_EDGE = 0.25  # of full ink: fainter pixels do not stretch the box
_LEAST_EVEN, _LEAST_UNEVEN = 6.0, 9.0  # of 255: fainter pictures hold no ink
_STRONG_EVEN, _STRONG_UNEVEN = 0.45, 0.5  # of the ink's level: what counts for finding the digit
_NOISE = 3.25  # root mean squares of what cells of bare paper hold, below which nothing is ink
_MOST_NOISE = 0.35  # of the ink's level
_FEW_PIXELS = 28.0  # of the longer side of a digit's box: another look at a large picture shows more of it
_FULL = 0.8  # of the ink's level: as white as MNIST's strokes are in their middle


Look = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""Levels, float32 [k, h, w], extents, int32 [k, 2], and places in the batch, int64 [k], of pictures in another form to
fields, float32 [k, 28, 28], and whether there is any ink, bool [k]."""


def _look_once(level: tf.Tensor, extent: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    steps = examine(level, extent)
    return steps["field"], steps["has_ink"]


def normalise(pictures: Pictures, look: Look = _look_once) -> tuple[tf.Tensor, tf.Tensor]:
    """Bring n pictures into MNIST's form: those that are not in it already as `look` does.

    Returns:
        float32 [n, 28, 28], white ink on black, 0 to 1; and whether there is any ink, bool [n].
    """
    level, extent = to_level(pictures)
    field, as_it_is = mnist_form(level, extent)
    others = tf.where(~as_it_is)[:, 0]

    def with_others() -> tuple[tf.Tensor, tf.Tensor]:
        found, has_ink = look(tf.gather(level, others), tf.gather(extent, others), others)
        where = others[:, None]
        return tf.tensor_scatter_nd_update(field, where, found), tf.tensor_scatter_nd_update(as_it_is, where, has_ink)

    found: tuple[tf.Tensor, tf.Tensor] = tf.cond(tf.size(others) > 0, with_others, lambda: (field, as_it_is))
    return found


def examine(level: tf.Tensor, extent: tf.Tensor) -> dict[str, tf.Tensor]:
    """Bring pictures into MNIST's form the long way, and keep what was found on it.

    Args:
        level: float32 [n, h, w], as `to_level` gives it.
        extent: height and width of each picture, int32 [n, 2], at least 1.

    Returns:
        `level`: the pictures without printed lines, those of screens cut to their squares, float32 [n, h, w].
        `extent`: their heights and widths, int32 [n, 2].
        `ink`: how much of it is ink, the digit's alone, float32 [n, h, w], 0 to 1.
        `field`: MNIST's form, float32 [n, 28, 28], 0 to 1.
        `has_ink`: bool [n].
        `small`: where a digit of few pixels is in its picture, top, left, bottom and right of its box, float32 [n, 4],
            0 to 1; zeros where it is not small.
    """
    whole = extent
    level, extent, overview, cells = inside_of_screen(level, extent)
    level, cells = off_rules(level, extent, overview, cells)
    inside = pixels_inside(level, extent)
    stands_out, is_even = to_ink(level, cells, inside, overview)
    stands_out, cells = off_frame(stands_out, overview)
    peak = _ink_level(stands_out)
    has_ink = peak > tf.where(is_even, _LEAST_EVEN, _LEAST_UNEVEN)

    strong = stands_out > (tf.where(is_even, _STRONG_EVEN, _STRONG_UNEVEN) * peak)[:, None, None]
    strong_cells = overview.reduce(tf.cast(strong, tf.float32))
    stands_out, strong_cells = off_neighbours(stands_out, strong_cells, overview)
    rows, columns = locate(strong_cells)
    digit = _level_inside(stands_out, peak, strong_cells, overview, rows, columns)
    low, high = _range(digit, _noise(cells, strong_cells))
    scale = 1.0 / (high - low)
    window = overview.spread(rows * scale[:, None], columns)
    ink = tf.clip_by_value(stands_out * window - (low * scale)[:, None, None], 0.0, 1.0)
    centre, side = centre_of_mass(ink), longest_side(ink, BOX_EDGE)
    is_small = has_ink & (side <= _FEW_PIXELS) & tf.reduce_all(extent == whole, axis=1)
    corners = tf.concat([centre - side[:, None] / 2, centre + side[:, None] / 2], axis=1)
    return {
        "level": level,
        "extent": extent,
        "ink": ink,
        "field": tf.where(has_ink[:, None, None], place(ink, centre, side), 0.0),
        "has_ink": has_ink,
        "small": tf.where(is_small[:, None], corners / tf.tile(tf.cast(extent, tf.float32), [1, 2]), 0.0),
    }


def normalise_arrays(images: npt.NDArray[np.uint8], batch: int = 2048) -> npt.NDArray[np.float32]:
    """Bring grey images, uint8 [n, h, w], into MNIST's form, float32 [n, 28, 28], 0 to 1: what training sees."""
    out = np.empty([len(images), SIDE, SIDE], np.float32)
    colour = tf.zeros([0, 1, 1, 4], tf.uint8)
    for start in range(0, len(images), batch):
        grey = images[start : start + batch]
        extent = tf.constant([images.shape[1:]] * len(grey), tf.int32)
        out[start : start + batch] = normalise(Pictures(tf.constant(grey), colour, extent))[0].numpy()
    return out


def _ink_level(stands_out: tf.Tensor) -> tf.Tensor:
    """How strong the strongest ink is, float32 [n]: the mean of what is above 60 % of the maximum."""
    limit = 0.6 * tf.reduce_max(stands_out, axis=[1, 2], keepdims=True)
    strongest = tf.cast(stands_out > limit, tf.float32)
    total = tf.reduce_sum(stands_out * strongest, axis=[1, 2])
    return tf.math.divide_no_nan(total, tf.reduce_sum(strongest, axis=[1, 2]))


def _level_inside(
    stands_out: tf.Tensor,
    peak: tf.Tensor,
    strong_cells: tf.Tensor,
    overview: Overview,
    rows: tf.Tensor,
    columns: tf.Tensor,
) -> tf.Tensor:
    """How strong the strongest ink is in chosen rows and columns of cells, float32 [n]; `peak` is that of all ink.

    It is the same where no strong ink lies elsewhere, as in most pictures: all of the strongest is strong.
    """
    is_outside = (strong_cells > 0) & (rows[:, :, None] * columns[:, None, :] == 0)
    cut = tf.where(tf.reduce_any(is_outside, axis=[1, 2]))[:, 0]

    def judged_again() -> tf.Tensor:
        window = overview.of_some(cut).spread(tf.gather(rows, cut), tf.gather(columns, cut))
        return tf.tensor_scatter_nd_update(peak, cut[:, None], _ink_level(tf.gather(stands_out, cut) * window))

    return tf.cond(tf.size(cut) > 0, judged_again, lambda: peak)


def _noise(cells: tf.Tensor, strong_cells: tf.Tensor) -> tf.Tensor:
    """Root mean square, float32 [n], of what stands out in cells far from ink: grain, print, lines of squared paper."""
    is_quiet = tf.cast(window_max(strong_cells, 3) == 0, tf.float32)
    energy = tf.reduce_sum(tf.square(cells) * is_quiet, axis=[1, 2])
    return tf.sqrt(tf.math.divide_no_nan(energy, tf.reduce_sum(is_quiet, axis=[1, 2])))


def _range(level: tf.Tensor, noise: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What becomes black and what white, float32 [n] each, by the ink's level and the noise."""
    low = tf.minimum(_NOISE * noise, _MOST_NOISE * level)
    return low, tf.maximum(_FULL * level, low + 1e-3)


def place(ink: tf.Tensor, centre: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
    """The field, float32 [n, 28, 28], whose box of 20 holds the ink, float32 [n, h, w], centred by mass.

    Args:
        ink: 0 to 1.
        centre: its centre of mass, float32 [n, 2], in pixels.
        side: the longer side of its box, float32 [n], in pixels.
    """
    step = tf.maximum(side / BOX, 1e-3)
    rows = _resampling(centre[:, 0], step, tf.shape(ink)[1])
    columns = _resampling(centre[:, 1], step, tf.shape(ink)[2])
    field = tf.matmul(tf.matmul(rows, ink), columns, transpose_b=True)
    # Thin strokes lose strength when they are reduced; MNIST's reach white. The weights' factor goes with that, too.
    return tf.clip_by_value(field / tf.maximum(_ink_level(field), 1e-6)[:, None, None], 0.0, 1.0)


def centre_of_mass(ink: tf.Tensor) -> tf.Tensor:
    """Row and column, float32 [n, 2], from the upper left edge, in pixels."""
    rows, columns = tf.reduce_sum(ink, axis=2), tf.reduce_sum(ink, axis=1)
    mass = tf.maximum(tf.reduce_sum(rows, axis=1), 1e-6)
    y = tf.range(tf.shape(ink)[1], dtype=tf.float32) + 0.5
    x = tf.range(tf.shape(ink)[2], dtype=tf.float32) + 0.5
    down, across = tf.linalg.matvec(rows, y), tf.linalg.matvec(columns, x)
    return tf.stack([down, across], axis=1) / mass[:, None]


def longest_side(ink: tf.Tensor, limit: float) -> tf.Tensor:
    """The longer side, float32 [n], in pixels, of the box around what exceeds a limit in float32 [n, h, w]."""
    return tf.maximum(*(_length(tf.reduce_max(ink, axis=axis) > limit) for axis in (2, 1)))


def _length(occupied: tf.Tensor) -> tf.Tensor:
    """From the first to the last true place, float32 [n], of bool [n, k]."""
    places = tf.range(tf.shape(occupied)[1])
    first = tf.reduce_min(tf.where(occupied, places, tf.shape(occupied)[1]), axis=1)
    last = tf.reduce_max(tf.where(occupied, places + 1, 0), axis=1)
    return tf.cast(last - first, tf.float32)


def _resampling(centre: tf.Tensor, step: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Weights, float32 [n, 28, length], by which one axis of the field is read from the picture, up to a factor.

    A triangle as wide as two pixels of the field or of the picture, whichever is larger: anti-aliased when reducing,
    linear interpolation when enlarging.
    """
    target = tf.range(SIDE, dtype=tf.float32) + (0.5 - CENTRE)
    where = centre[:, None] + target * step[:, None]
    source = tf.range(length, dtype=tf.float32) + 0.5
    reach = tf.maximum(step, 1.0)[:, None, None]
    return tf.nn.relu(reach - tf.abs(source - where[:, :, None]))
