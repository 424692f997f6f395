"""Moment normalisation: what differs between hands, but says nothing of the digit, is taken out of it.

After Casey, "Moment Normalization of Handprinted Characters" (IBM Journal of Research and Development, 1970): the
spread of a digit's ink along both axes, and how one goes with the other, say how large, how wide and how slanted it is.
Unlike its box, they hardly change with a longer tail or a flag. Of its proportions a part stays, as Liu, Nakashima,
Sako and Fujisawa, "Handwritten Digit Recognition: Investigation of Normalization and Feature Extraction Techniques"
(Pattern Recognition, 2004), found best: they tell a one from the rest.
"""

from typing import Any

import keras
from keras import ops

from exporter.contract import SIDE

_MIDDLE = (SIDE - 1) / 2
# Standard deviation of the ink, in pixels, that a digit is brought to: it fills 28x28 as MNIST's do 20x20.
_SPREAD = 4.9
_SCALES = (0.5, 1.6)  # source pixels for each pixel; what is smaller or larger stays so
_LEAST_VARIANCE = 1.0  # pixels squared: the ink of a dot has no shape


@keras.saving.register_keras_serializable(package="digits")
class MomentNormalization(keras.layers.Layer):  # type: ignore[misc] # Keras ships no types
    """Straightens digits, and brings them to one size and closer to one width over height; nothing in it is learned.

    Float32 [n, 28, 28], 0 to 1, white ink on black, to the same shape and range. A blank picture stays blank.

    Args:
        aspect: exponent to which the digit's own width over height stays: 0 for squares all over, 1 as it was.
    """

    def __init__(self, aspect: float, **kwargs: Any) -> None:  # noqa: ANN401 - Keras' own
        # Half a pixel in 28 is more than bfloat16 can tell.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.aspect = aspect
        self.supports_jit = False  # XLA knows no projective transform

    def call(self, images: Any) -> Any:  # noqa: ANN401 - tensors of Keras' backend
        """Sample every image along its own axes."""
        column, row, var_x, var_y, cov = _moments(images)
        # Columns that the ink moves sideways for each row: what is left after that is the true width.
        slant = ops.clip(cov / var_y, -1.0, 1.0)
        width = ops.sqrt(ops.maximum(var_x - slant * (2 * cov - slant * var_y), _LEAST_VARIANCE))
        height = ops.sqrt(var_y)
        kept = ops.power(width / height, self.aspect / 2)
        per_column = ops.clip(width / (_SPREAD * kept), *_SCALES)
        per_row = ops.clip(height * kept / _SPREAD, *_SCALES)
        zero = ops.zeros_like(slant)
        # From places in the result to places in the image.
        maps = [per_column, slant * per_row, column - _MIDDLE * (per_column + slant * per_row)]
        maps += [zero, per_row, row - _MIDDLE * per_row, zero, zero]
        straight = ops.image.affine_transform(
            images[..., None], ops.stack(maps, axis=1), interpolation="bilinear", data_format="channels_last"
        )
        return straight[..., 0]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What makes the same layer again."""
        return {**super().get_config(), "aspect": self.aspect}


def _moments(images: Any) -> tuple[Any, Any, Any, Any, Any]:  # noqa: ANN401 - tensors of Keras' backend
    """Centre of mass, column and row, of each image, the variances along both axes, and their covariance, each [n]."""
    place = ops.arange(SIDE, dtype="float32")
    powers = ops.stack([ops.ones_like(place), place, place * place], axis=1)
    by_column = ops.matmul(ops.sum(images, axis=1), powers)  # [n, 3]
    by_row = ops.matmul(ops.sum(images, axis=2), powers)
    mass = ops.maximum(by_row[:, 0], 1e-3)
    column, row = by_column[:, 1] / mass, by_row[:, 1] / mass
    var_x = by_column[:, 2] / mass - column * column
    var_y = ops.maximum(by_row[:, 2] / mass - row * row, _LEAST_VARIANCE)
    cov = ops.matmul(ops.matmul(images, place), place) / mass - column * row
    return column, row, var_x, var_y, cov
