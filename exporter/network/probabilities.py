"""From a network's scores to the probabilities it is published with."""

import tensorflow as tf


def to_probabilities(scores: tf.Tensor, temperature: float = 1.0) -> tf.Tensor:
    """Divide scores, float32 [n, 10] and not negative, by their sum, so that each row sums to 1.

    Softmax scores stay as they are but for the last bit; sigmoid scores become comparable.

    Args:
        scores: what the network's last activation gives.
        temperature: scores are taken to the power of its inverse first. For a softmax that divides by it what went in
            (Guo et al., "On Calibration of Modern Neural Networks", 2017). It never changes which digit is likeliest.
    """
    if temperature != 1:
        # Relative to the largest, so that no power of small ones vanishes.
        largest = tf.maximum(tf.reduce_max(scores, axis=-1, keepdims=True), 1e-30)
        scores = tf.pow(scores / largest, 1 / temperature)
    # A sigmoid network may saturate to all zeros; the floor keeps such a row finite.
    return scores / tf.maximum(tf.reduce_sum(scores, axis=-1, keepdims=True), 1e-30)
