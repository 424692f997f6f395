"""Weights in bfloat16, made of the stored ones when the SavedModel is loaded: on the disk there is one copy of each."""

from typing import Any

import tensorflow as tf


class Rounded(tf.saved_model.experimental.TrackableResource):  # type: ignore[misc] # TensorFlow ships no types
    """A variable's value, rounded to bfloat16. Rounding it at each call would take as long as a small batch's products.

    Args:
        weights: the variable, float32.
        dtype: what the rounded value is kept in, bfloat16 or float32.
    """

    def __init__(self, weights: tf.Variable, dtype: tf.DType) -> None:
        super().__init__()
        self._weights, self._dtype = weights, dtype
        self._initialize()

    def _create_resource(self) -> tf.Tensor:
        name = f"rounded_{id(self)}"
        return tf.raw_ops.VarHandleOp(dtype=self._dtype, shape=self._weights.shape, shared_name=name)

    def _initialize(self) -> None:
        """Called by every loader, after the weights are there."""
        value = tf.cast(tf.cast(self._weights.read_value(), tf.bfloat16), self._dtype)
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=value)

    def read(self) -> tf.Tensor:
        """The value."""
        value: Any = tf.raw_ops.ReadVariableOp(resource=self.resource_handle, dtype=self._dtype)
        return tf.ensure_shape(value, self._weights.shape)
