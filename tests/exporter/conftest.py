"""What the exporter's own steps make of pictures, read by the shipped network."""

from collections.abc import Callable
from pathlib import Path

import pytest

Answer = Callable[[list[bytes]], list[int]]


@pytest.fixture(scope="session")
def answer(shipped_model: Path) -> Answer:
    """Read encoded pictures by decoder and normaliser as they are now: a digit each, -1 for one that holds no ink."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    from exporter.picture.closer import read  # noqa: PLC0415 - loads TensorFlow

    network = tf.saved_model.load(str(shipped_model / "1")).signatures["pixels"]

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
    def graph(image_bytes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        code, index, field, has_ink = read(image_bytes)
        return code, index, tf.cast(tf.round(field * 255), tf.uint8), has_ink

    def run(files: list[bytes]) -> list[int]:
        code, index, pixels, has_ink = graph(tf.constant(files))
        assert not code.numpy().any()
        digits = tf.where(has_ink, network(pixels=pixels)["digit"], -1).numpy()
        found = [-1] * len(files)
        for place, digit in zip(index.numpy(), digits, strict=True):
            found[place] = int(digit)
        return found

    return run
