"""Files of fields as the signature `numbers` takes them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exporter.command import UserError
from tests.conftest import ROOT
from trainer.data.labels import Labelled
from trainer.data.pictures import read_encoded


def _line(shade: int) -> Image.Image:
    """A small grey picture of a line; what it shows is nobody's business here."""
    return Image.fromarray(np.full([20, 60], shade, np.uint8))


def test_fields_as_serving_takes_them(tmp_path: Path) -> None:
    """PNG and JPEG are left as they are, pages of a TIFF and other formats become PNG of the same pixels."""
    _line(1).save(tmp_path / "a.png")
    _line(2).save(tmp_path / "b.jpg")
    _line(3).save(tmp_path / "c.bmp")
    _line(4).save(tmp_path / "d.tif", save_all=True, append_images=[_line(5)])
    names = [("a.png", 0), ("b.jpg", 0), ("c.bmp", 0), ("d.tif", 1), ("d.tif", 2)]
    done: list[int] = []
    found = read_encoded([Labelled(tmp_path / name, page, "12") for name, page in names], done.append)
    assert [(each.file.name, each.page) for each in found.labelled] == names
    assert found.contents[0] == (tmp_path / "a.png").read_bytes()
    assert found.contents[1] == (tmp_path / "b.jpg").read_bytes()
    shades = []
    for content in found.contents[2:]:
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.size) == ("PNG", (60, 20))
            shades.append(image.getpixel((0, 0)))
    assert shades == [3, 4, 5]
    assert len(set(found.digests)) == 5
    assert not found.unreadable
    assert sum(done) == 5


def test_what_serving_would_not_decode_is_passed_over(tmp_path: Path) -> None:
    """Texts, pages that a TIFF has not, and PNGs that were cut off."""
    whole = (ROOT / "samples" / "0" / "0-001.png").read_bytes()
    _line(1).save(tmp_path / "one.tif")
    (tmp_path / "text.png").write_bytes(b"no picture")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "whole.png").write_bytes(whole)
    names = [("one.tif", 2), ("text.png", 0), ("cut.png", 0), ("whole.png", 0)]
    labelled = [Labelled(tmp_path / name, page, "12") for name, page in names]
    found = read_encoded(labelled, lambda _: None)
    assert found.unreadable == labelled[:3]
    assert found.contents == [whole]
    with pytest.raises(UserError, match=r"none of the 3 labelled files holds a picture, such as .*one.tif#page=2"):
        read_encoded(labelled[:3], lambda _: None)
