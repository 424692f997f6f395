"""The decoder by itself, and the decoder and the normaliser, for their tests: what becomes of each file."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import Image

DecodeFiles = Callable[[Sequence[bytes]], list[Image | str]]
Normalise = Callable[[Sequence[bytes]], list[npt.NDArray[np.float32] | None]]


@pytest.fixture(scope="session")
def decode_files() -> DecodeFiles:
    """Decode a batch of files: of each its pixels, uint8 [h, w, 4], or the text of its error."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    from exporter.picture.decode import decode, error_text  # noqa: PLC0415 - loads TensorFlow

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
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


@pytest.fixture(scope="session")
def normalised() -> Normalise:
    """Run the graph on a batch of files that are all readable: a field for each, None for a blank."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    from exporter.picture.decode import decode  # noqa: PLC0415 - loads TensorFlow
    from exporter.picture.normalise import normalise  # noqa: PLC0415 - as above

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
    def graph(image_bytes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        code, index, pictures = decode(image_bytes)
        return code, index, *normalise(pictures)

    def run(files: Sequence[bytes]) -> list[npt.NDArray[np.float32] | None]:
        code, index, fields, has_ink = (part.numpy() for part in graph(tf.constant(list(files))))
        assert not code.any()
        found: list[npt.NDArray[np.float32] | None] = [None] * len(files)
        for place, field, holds in zip(index, fields, has_ink, strict=True):
            found[place] = field if holds else None
        return found

    return run
