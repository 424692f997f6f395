"""The decoder by itself, for its tests: what becomes of each file."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.support import Image

DecodeFiles = Callable[[Sequence[bytes]], list[Image | str]]


@pytest.fixture(scope="session")
def decode_files() -> DecodeFiles:
    """Decode a batch of files: of each its pixels, uint8 [h, w, 4], or the text of its error."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    from exporter.picture.decode import decode, error_text  # noqa: PLC0415 - loads TensorFlow

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
    def graph(image_bytes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        code, index, pictures = decode(image_bytes)
        return error_text(code), index, pictures.grey, pictures.colour, pictures.extent

    def run(files: Sequence[bytes]) -> list[Image | str]:
        error, index, grey, colour, extent = (
            part.numpy() for part in graph(tf.constant(list(files), tf.string, shape=[len(files)]))
        )
        found: list[Image | str] = [text.decode() for text in error]
        assert len(index) == len(extent) == len(grey) + len(colour)
        for row, (place, (height, width)) in enumerate(zip(index, extent, strict=True)):
            if row < len(grey):
                levels = grey[row, :height, :width]
                pixels = np.dstack([levels, levels, levels, np.full_like(levels, 255)])
            else:
                pixels = colour[row - len(grey), :height, :width]
            assert found[place] == "", "pixels beside an error"
            found[place] = pixels
        assert "" not in [each for each in found if isinstance(each, str)], "neither pixels nor an error"
        return found

    return run
