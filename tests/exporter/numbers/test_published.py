"""A published version with a reader of numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporter.command import UserError, quiet_tensorflow
from exporter.contract import (
    DIGITS,
    IMAGE_BYTES,
    NORMALISED_OUTPUTS,
    NORMALISED_SIGNATURE,
    NUMBERS_OUTPUTS,
    NUMBERS_SIGNATURE,
    PIXELS_SIGNATURE,
    SIGNATURE,
)
from tests.conftest import ROOT

pytestmark = pytest.mark.training

READER = ROOT / "serving" / "models" / "reader.npz"


@pytest.fixture(scope="module")
def version(shipped_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped network, published anew with the shipped reader; its gate has let it through."""
    quiet_tensorflow()
    from exporter.publish import publish  # noqa: PLC0415 - loads TensorFlow

    to = tmp_path_factory.mktemp("models")
    return publish(shipped_model / "1", to, on_step=lambda _: None, reader=READER)


def test_the_version_has_all_signatures(version: Path) -> None:
    """`numbers` stands beside the others; its second input has a value for callers that leave it out."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(version)).signature_def
    assert {SIGNATURE, PIXELS_SIGNATURE, NORMALISED_SIGNATURE, NUMBERS_SIGNATURE} <= set(loaded)
    assert set(loaded[NORMALISED_SIGNATURE].outputs) == set(NORMALISED_OUTPUTS)
    signature = loaded[NUMBERS_SIGNATURE]
    assert set(signature.inputs) == {IMAGE_BYTES, DIGITS}
    assert set(signature.outputs) == set(NUMBERS_OUTPUTS)
    assert tf.make_ndarray(signature.defaults[DIGITS]).tolist() == [0]


def test_single_digits_are_answered_as_before(version: Path, shipped_model: Path) -> None:
    """The same network answers the other signatures, to the last digits."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    images = [path.read_bytes() for path in sorted((ROOT / "samples").glob("*/*.png"))[::9]]
    before, now = (
        tf.saved_model.load(str(folder)).signatures[SIGNATURE](**{IMAGE_BYTES: tf.constant(images)})
        for folder in (shipped_model / "1", version)
    )
    np.testing.assert_allclose(before["probabilities"].numpy(), now["probabilities"].numpy(), atol=1e-4)


def test_the_gate_sees_another_reading(version: Path, shipped_model: Path) -> None:
    """A version that reads a field in another way than Keras is refused, with the field named."""
    from exporter.network.served import served  # noqa: PLC0415 - loads TensorFlow
    from exporter.network.source import load_source  # noqa: PLC0415 - the same
    from exporter.numbers.stored import Reader  # noqa: PLC0415 - the same
    from exporter.publish import numbers_reference_of, prepare  # noqa: PLC0415 - the same
    from exporter.verify import DifferenceError, verify  # noqa: PLC0415 - the same

    _, _, reference = prepare(shipped_model / "1")
    numbers = numbers_reference_of(served(*load_source(shipped_model / "1")), Reader.load(READER))
    texts = numbers.texts.copy()
    texts[1] = "00"
    with pytest.raises(DifferenceError, match=r"text\[1\].*Keras says '00'"):
        verify(version, replace(reference, numbers=replace(numbers, texts=texts)))


def test_a_file_that_is_no_reader_is_refused(tmp_path: Path) -> None:
    """Missing, damaged and foreign files are said to be none, with what to do."""
    from exporter.numbers.stored import Reader  # noqa: PLC0415 - loads TensorFlow

    broken = tmp_path / "reader.npz"
    broken.write_bytes(READER.read_bytes()[:1000])
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, x=np.zeros(3))
    for path in (tmp_path / "missing.npz", broken, foreign):
        with pytest.raises(UserError, match="make one with digits-train numbers"):
            Reader.load(path)


def test_a_sheet_of_fields(version: Path, tmp_path: Path) -> None:
    """`--show --read numbers` draws fields and broken files, and says where a model reads no numbers."""
    from exporter.numbers.stored import Reader  # noqa: PLC0415 - loads TensorFlow
    from exporter.show import show_numbers  # noqa: PLC0415 - the same

    files = [tmp_path / f"{place}.png" for place in range(3)]
    for file, sample in zip(files, [*Reader.load(READER).samples[:2], b"no picture"], strict=True):
        file.write_bytes(sample)
    show_numbers(files, version.parent, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 5_000
