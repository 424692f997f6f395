"""Distorted copies of fields."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from trainer.adapt.copies import copy_of


def _encoded(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def _field(mode: str, size: tuple[int, int] = (160, 50)) -> bytes:
    """A dark bar on light paper."""
    image = Image.new("L", size, 220)
    ImageDraw.Draw(image).rectangle((20, 15, 30, size[1] - 15), fill=30)
    if mode == "I;16":
        return _encoded(Image.fromarray(np.asarray(image).astype(np.uint16) * 257))
    return _encoded(image.convert(mode))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16"])
def test_a_copy_shows_the_same(mode: str) -> None:
    """Of all kinds of PNG: the bar is on it, dark on light, whole, and the paper goes on at the edges."""
    copy = np.asarray(Image.open(io.BytesIO(copy_of(_field(mode), np.random.default_rng(3)))))
    assert copy.ndim == 2
    assert np.median(copy) > 150
    dark = copy < 110
    assert 80 < dark.sum() < 500
    assert not dark[:3].any()
    assert not dark[:, -3:].any()


def test_copies_differ_and_come_again() -> None:
    """Each generator gives another copy, and the same one the same."""
    field = _field("L")
    assert copy_of(field, np.random.default_rng(1)) == copy_of(field, np.random.default_rng(1))
    assert copy_of(field, np.random.default_rng(1)) != copy_of(field, np.random.default_rng(2))


def test_large_fields_get_smaller() -> None:
    """A photo of a field is no larger than the reader looks at."""
    copy = Image.open(io.BytesIO(copy_of(_field("RGB", (3000, 900)), np.random.default_rng(0))))
    assert copy.height < 400


def test_what_pillow_cannot_open_stays() -> None:
    """It is read as it is, or not at all, by the decoder that serves."""
    assert copy_of(b"no picture", np.random.default_rng(0)) == b"no picture"
