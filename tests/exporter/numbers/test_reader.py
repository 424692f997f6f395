"""The signature for numbers, on strings made of MNIST's digits."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from PIL import Image

from exporter.contract import (
    ALTERNATIVE_CONFIDENCE,
    ALTERNATIVES,
    BLANK,
    BOXES,
    CONFIDENCE,
    CORRUPT,
    COUNT,
    ERROR,
    MAX_DIGITS,
    NO_READING,
    NOT_AN_IMAGE,
    NUMBERS_OUTPUTS,
    TEXT,
)
from tests.conftest import ROOT

Outputs = dict[str, npt.NDArray[Any]]
Read = Callable[..., Outputs]


@pytest.fixture(scope="module")
def read(shipped_model: Path) -> Read:
    """The signature with the shipped network and the shipped reader."""
    from exporter.network.served import served  # noqa: PLC0415 - loads TensorFlow
    from exporter.network.source import load_source  # noqa: PLC0415 - the same
    from exporter.numbers.reader import numbers_signature  # noqa: PLC0415 - the same
    from exporter.numbers.stored import Reader  # noqa: PLC0415 - the same

    weights = Reader.load(ROOT / "serving" / "models" / "reader.npz").weights
    graph = tf.function(
        numbers_signature(served(*load_source(shipped_model / "1")), weights),
        input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int32)],
        autograph=False,
    )

    def run(files: list[bytes], digits: list[int] | None = None) -> Outputs:
        outputs = graph(tf.constant(files, tf.string), tf.constant(digits or [0], tf.int32))
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def _field(
    text: str, *, scale: float = 1.6, gap: int = 5, margin: int = 8, bright: bool = False, rotate: int = 0
) -> bytes:
    """A text written with the committed samples, dark on light or bright on dark, as PNG."""
    glyphs = []
    for symbol in text:
        sample = min((ROOT / "samples" / symbol).glob("*.png"))
        ink = 255 - np.asarray(Image.open(sample).convert("L"))
        columns = np.flatnonzero((ink > 60).any(axis=0))
        glyphs += [ink[:, columns[0] : columns[-1] + 1], np.zeros([len(ink), gap], np.uint8)]
    line = np.pad(np.concatenate(glyphs, axis=1), [(4, 4), (margin, margin)]).astype(np.float32)
    level = 20 + 0.8 * line if bright else 230 - 0.8 * line
    picture = Image.fromarray(level.astype(np.uint8))
    size = (round(picture.width * scale), round(picture.height * scale))
    return _png(picture.resize(size, Image.Resampling.BICUBIC).rotate(rotate, expand=True))


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _texts(outputs: Outputs) -> list[str]:
    return [text.decode() for text in outputs[TEXT]]


def test_fields_of_any_size_and_polarity_are_read(read: Read) -> None:
    """Dark and bright ink, small and large, short and long fields come out with their texts."""
    texts = ["1", "20", "3141", "59265", "60221407", "271828"]
    fields = [_field(text, scale=1 + place / 2, bright=place % 2 == 0) for place, text in enumerate(texts)]
    outputs = read(fields)
    assert not any(outputs[ERROR])
    said = _texts(outputs)
    assert sum(one == other for one, other in zip(said, texts, strict=True)) >= len(texts) - 1
    assert set(outputs) == set(NUMBERS_OUTPUTS)


@pytest.mark.parametrize(("gap", "margin"), [(5, 30), (5, 150), (25, 8), (80, 60)])
def test_paper_beside_and_between_digits_is_no_digit(read: Read, gap: int, margin: int) -> None:
    """However far digits stand from the picture's sides and from each other, as in boxes of forms, they are read."""
    texts = ["44", "3141", "59265", "27182"]
    said = _texts(read([_field(text, gap=gap, margin=margin) for text in texts]))
    assert sum(one == other for one, other in zip(said, texts, strict=True)) >= len(texts) - 1


def test_alternatives_begin_with_the_text(read: Read) -> None:
    """Alternatives differ from each other, are sorted by confidence, and the first is the answer."""
    outputs = read([_field("3141"), _field("59")])
    for field in range(2):
        texts = [text for text in outputs[ALTERNATIVES][field] if text]
        assert texts[0] == outputs[TEXT][field]
        assert len(set(texts)) == len(texts)
        confidence = outputs[ALTERNATIVE_CONFIDENCE][field]
        assert confidence[0] == outputs[CONFIDENCE][field]
        assert (np.diff(confidence) <= 1e-6).all()
        assert 0 < confidence[0] <= 1


def test_boxes_stand_where_the_digits_are(read: Read) -> None:
    """Boxes are in pixels of the picture as it was sent, from left to right; zeros beyond the count."""
    small, large = _field("3141", scale=2), _field("3141", scale=16)
    outputs = read([small, large])
    assert _texts(outputs) == ["3141", "3141"]
    assert outputs[COUNT].tolist() == [4, 4]
    boxes = outputs[BOXES]
    assert boxes.shape == (2, MAX_DIGITS, 4)
    assert not boxes[:, 4:].any()
    assert (boxes[0, :4, 2] > boxes[0, :4, 0]).all()
    assert (np.diff(boxes[0, :4, 1]) > 0).all()
    np.testing.assert_allclose(boxes[1, :4] / 8, boxes[0, :4], atol=3)


def test_the_number_of_digits_can_be_given(read: Read) -> None:
    """Readings then have as many digits; a field that cannot have so many gets an error."""
    field = _field("3141")
    outputs = read([field, field, field], [4, 3, 30])
    assert _texts(outputs)[0] == "3141"
    assert outputs[COUNT].tolist() == [4, 3, 0]
    assert {len(text) for text in outputs[ALTERNATIVES][1] if text} == {3}
    assert outputs[ERROR].tolist() == [b"", b"", NO_READING.encode()]


def test_a_broken_picture_harms_no_other(read: Read) -> None:
    """Each broken picture gets its own error, beside good ones and by themselves; so does one without ink."""
    good = _field("3141")
    blank = _png(Image.new("L", (120, 40), 250))
    broken = [b"", b"no picture", good[:300], blank]
    errors = [NOT_AN_IMAGE.encode(), NOT_AN_IMAGE.encode(), CORRUPT.encode(), BLANK.encode()]
    assert read(broken)[ERROR].tolist() == errors
    outputs = read([*broken, good])
    assert outputs[ERROR].tolist() == [*errors, b""]
    assert _texts(outputs) == ["", "", "", "", "3141"]
    assert not outputs[CONFIDENCE][:4].any()


def test_a_batch_of_none(read: Read) -> None:
    """No pictures, no answers, in the contract's shapes."""
    outputs = read([])
    assert outputs[TEXT].shape == (0,)
    assert outputs[BOXES].shape == (0, MAX_DIGITS, 4)


def test_many_fields_answer_as_each_alone(read: Read) -> None:
    """What a field is read together with does not change its reading."""
    fields = [_field(str(number), bright=number % 3 == 0, scale=1.5 + number % 4) for number in range(1000, 1040)]
    together = read(fields)
    for place in (0, 7, 39):
        alone = read([fields[place]])
        assert alone[TEXT][0] == together[TEXT][place]
        np.testing.assert_allclose(alone[BOXES][0], together[BOXES][place], atol=0.5)


def test_thirty_two_digits(read: Read) -> None:
    """The longest field of the contract, four thousand pixels wide, is read whole."""
    text = "31415926535897932384626433832795"
    outputs = read([_field(text, scale=5.5)])
    assert outputs[ERROR][0] == b""
    said = outputs[TEXT][0].decode()
    assert len(said) >= MAX_DIGITS - 2
    assert outputs[BOXES][0, : len(said), 3].max() > 3000
