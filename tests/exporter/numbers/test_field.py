"""Lines of digits on their canvases: which of a picture's ink stays."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from PIL import Image, ImageDraw

from exporter.contract import MAX_FIELD_WIDTH
from exporter.numbers.field import HEIGHT, Fields, sheared, shrink, to_fields
from exporter.numbers.seams import Cuts, find_cuts
from exporter.picture.decode import decode
from tests.conftest import ROOT
from tests.exporter.numbers import reference
from trainer.data.datasets import load
from trainer.numbers.strings import Digits, strings

_SCALE = 4  # pixels drawn for each that is kept


def _drawn(lean: float, share: float, *, rule: int | None = None) -> bytes:
    """Strokes beside two rings, 160x50, as PNG.

    Args:
        lean: columns between the ends of the strokes.
        share: of the picture's height that they have.
        rule: row of a line from side to side.
    """
    picture = Image.new("L", (160 * _SCALE, 50 * _SCALE), 205)
    draw = ImageDraw.Draw(picture)
    top, bottom = 25 * (1 - share) * _SCALE, 25 * (1 + share) * _SCALE
    for x in (20, 130):
        draw.line([((x + lean / 2) * _SCALE, top), ((x - lean / 2) * _SCALE, bottom)], 90, 12)
    for x in (55, 90):
        draw.ellipse([x * _SCALE, 8 * _SCALE, (x + 18) * _SCALE, 42 * _SCALE], outline=90, width=12)
    if rule is not None:
        draw.line([(0, rule * _SCALE), (picture.width, rule * _SCALE)], 90, 8)
    file = io.BytesIO()
    picture.resize((160, 50), Image.Resampling.BOX).save(file, "PNG")
    return file.getvalue()


def _ink(picture: bytes) -> npt.NDArray[Any]:
    """Its ink, float32 [HEIGHT, w]."""
    _, _, pictures = decode(tf.constant([picture]), shrink, MAX_FIELD_WIDTH)
    ink: npt.NDArray[Any] = to_fields(pictures).ink[0].numpy()
    return ink


def _parts(occupied: npt.NDArray[Any]) -> int:
    """How many runs of true places there are."""
    return int((np.diff(np.concatenate([[0], occupied.astype(int)])) == 1).sum())


@pytest.mark.parametrize("lean", [0, 3, 8])
@pytest.mark.parametrize("share", [0.7, 0.95, 1.0])
def test_a_stroke_as_high_as_the_picture_is_no_printed_line(lean: float, share: float) -> None:
    """Strokes of a one or a nine stay, also where they reach from side to side as the lines of a box do."""
    assert _parts(_ink(_drawn(lean, share)).sum(axis=0) > 1) == 4


@pytest.mark.parametrize("row", [3, 46])
def test_a_rule_is_taken_away(row: int) -> None:
    """A printed line above or below the digits is no ink; the digits are."""
    occupied = _ink(_drawn(3, 0.6, rule=row)).sum(axis=0) > 1
    assert _parts(occupied) == 4
    assert occupied.mean() < 0.5


def test_fields_and_seams_agree_with_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are brought to the same ink and slant, and cut at seams as cheap, as in plain NumPy."""
    monkeypatch.setattr("exporter.numbers.field.off_rules", lambda level, *_, **__: (level, None))
    dataset = load(ROOT / "tests" / "data" / "mnist_sample")
    for string in strings(Digits(dataset.x_train.astype(np.float32) / np.float32(255), dataset.y_train), 16, 8):
        fields, straight, cuts = _read(_png(string.picture))
        line = reference.to_line(string.picture.astype(float))
        assert fields.width[0] == line.width
        assert fields.step[0] == pytest.approx(line.step, rel=1e-4)
        assert fields.slant[0] == pytest.approx(line.slant, abs=1e-5)
        # A pixel at the edge of a speck may fall on either side.
        assert (np.abs(fields.ink[0] - line.ink) < 0.001).mean() > 0.999
        for cut in range(1, cuts.count[0] - 1):
            column = cuts.column[0, cut, HEIGHT // 2]
            assert cuts.cost[0, cut] == pytest.approx(reference.seam_cost(straight[0], column), abs=1e-3)


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)  # type: ignore[untyped-decorator] # has no types
def _lines(files: tf.Tensor) -> tuple[Any, ...]:
    _, _, pictures = decode(files, shrink, MAX_FIELD_WIDTH)
    fields = to_fields(pictures)
    straight = sheared(fields.ink, fields.slant)
    cuts = find_cuts(straight, fields.width)
    return tuple(vars(fields).values()), straight, tuple(vars(cuts).values())


def _read(file: bytes) -> tuple[Fields, npt.NDArray[Any], Cuts]:
    fields, straight, cuts = _lines(tf.constant([file]))
    return Fields(*(part.numpy() for part in fields)), straight.numpy(), Cuts(*(part.numpy() for part in cuts))


def _png(picture: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()
