"""A coarse picture of each picture, SIZE x SIZE cells whatever its size: paper, colours and light are judged by it.

Reducing to cells and enlarging from them are products with one matrix for the rows and one for the columns of each
picture, so that a batch of pictures of any sizes is one operation.
"""

from dataclasses import dataclass

import tensorflow as tf

SIZE = 32
"""Cells along each side."""


def border_of(cells: tf.Tensor) -> tf.Tensor:
    """The cells along the four edges, corners twice, [n, 4 * SIZE, ...] of [n, SIZE, SIZE, ...]."""
    return tf.concat([cells[:, 0], cells[:, -1], cells[:, :, 0], cells[:, :, -1]], axis=1)


def pixels_inside(canvas: tf.Tensor, extent: tf.Tensor) -> tf.Tensor:
    """Which pixels of a canvas [n, h, w, ...] belong to the picture, float32 [n, h, w], 0 or 1."""
    rows = tf.range(tf.shape(canvas)[1]) < extent[:, :1]
    columns = tf.range(tf.shape(canvas)[2]) < extent[:, 1:]
    return tf.cast(rows, tf.float32)[:, :, None] * tf.cast(columns, tf.float32)[:, None, :]


@dataclass(frozen=True)
class Overview:
    """How the cells of each picture lie on its canvas.

    Attributes:
        rows: weights by which cells average pixels, float32 [n, SIZE, h].
        columns: the same, float32 [n, SIZE, w].
        extent: height and width of each picture, float32 [n, 2].
    """

    rows: tf.Tensor
    columns: tf.Tensor
    extent: tf.Tensor

    @classmethod
    def of(cls, canvas: tf.Tensor, extent: tf.Tensor) -> "Overview":
        """The cells of pictures on a canvas [n, h, w, ...] with extents int32 [n, 2]."""
        shape = tf.shape(canvas)
        rows, columns = (area_weights(extent[:, axis], shape[axis + 1], SIZE) for axis in (0, 1))
        return cls(rows, columns, tf.cast(extent, tf.float32))

    def of_some(self, chosen: tf.Tensor) -> "Overview":
        """The cells of some of the pictures, by their places in the batch, int [k]."""
        return Overview(tf.gather(self.rows, chosen), tf.gather(self.columns, chosen), tf.gather(self.extent, chosen))

    def reduce(self, pixels: tf.Tensor) -> tf.Tensor:
        """Mean of the pixels, float32 [n, h, w], in each cell, float32 [n, SIZE, SIZE]."""
        return tf.matmul(tf.matmul(self.rows, pixels), self.columns, transpose_b=True)

    def enlarge(self, cells: tf.Tensor) -> tf.Tensor:
        """Values at the pixels, float32 [n, h, w], by linear interpolation between cells, float32 [n, SIZE, SIZE]."""
        rows = _interpolation(self.extent[:, 0], tf.shape(self.rows)[2])
        columns = _interpolation(self.extent[:, 1], tf.shape(self.columns)[2])
        return tf.matmul(tf.matmul(rows, cells), columns, transpose_b=True)

    def spread(self, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        """What rows and columns of cells hold, float32 [n, SIZE] each, multiplied at each pixel, float32 [n, h, w]."""
        at_rows = _nearest(rows, self.extent[:, 0], tf.shape(self.rows)[2])
        at_columns = _nearest(columns, self.extent[:, 1], tf.shape(self.columns)[2])
        return at_rows[:, :, None] * at_columns[:, None, :]


def area_weights(extent: tf.Tensor, length: tf.Tensor, cells: int) -> tf.Tensor:
    """How much of each cell each pixel covers, float32 [n, cells, length], by int32 [n]; rows sum to 1."""
    # Scans come in few sizes, but for a pixel more or less.
    sizes, place = tf.unique(extent)
    sizes = tf.cast(sizes, tf.float32)
    return tf.gather(area_weights_between(tf.zeros_like(sizes), sizes, length, cells), place)


def area_weights_between(first: tf.Tensor, last: tf.Tensor, length: tf.Tensor, cells: int) -> tf.Tensor:
    """The same for cells that share the pixels from one edge, float32 [n], to another."""
    edges = first[:, None] + tf.range(cells + 1, dtype=tf.float32) * ((last - first) / cells)[:, None]
    pixel = tf.range(length, dtype=tf.float32)
    low, high = edges[:, :-1, None], edges[:, 1:, None]
    return tf.nn.relu(tf.minimum(high, pixel + 1.0) - tf.maximum(low, pixel)) / (high - low)


def _interpolation(extent: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Weights of the two nearest cells' centres at each pixel, float32 [n, length, SIZE]."""
    place = (tf.range(length, dtype=tf.float32) + 0.5) * (SIZE / extent[:, None]) - 0.5
    place = tf.clip_by_value(place, 0.0, SIZE - 1.0)
    return tf.nn.relu(1.0 - tf.abs(place[:, :, None] - tf.range(SIZE, dtype=tf.float32)))


def _nearest(values: tf.Tensor, extent: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    cell = tf.cast((tf.range(length, dtype=tf.float32) + 0.5) * (SIZE / extent[:, None]), tf.int32)
    return tf.gather(values, tf.minimum(cell, SIZE - 1), batch_dims=1)
