"""Labelled pictures: fields as the signature `numbers` takes them, telephones' formats, members of archives."""

import io
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from exporter.command import UserError
from tests.batch.archives.support import tar_of, zip_of
from tests.conftest import ROOT
from trainer.data.labels import Labelled
from trainer.data.pictures import read_encoded, read_pictures, thumbnails

SAMPLE = ROOT / "samples" / "3" / "3-001.png"


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


def test_heic_is_read(tmp_path: Path) -> None:
    """As digits-batch does with the extra `formats`: the same digit as in the PNG, but for HEVC's losses."""
    with Image.open(SAMPLE) as sample:
        pillow_heif.from_pillow(sample.convert("RGB").resize((96, 96))).save(tmp_path / "a.heic", quality=-1)
        sample.convert("RGB").resize((96, 96)).save(tmp_path / "a.png")
    found = read_pictures([Labelled(tmp_path / f"a.{ending}", 0, 3) for ending in ("heic", "png")], lambda _: None)
    assert found.has_ink.all()
    assert np.abs(found.images[0] - found.images[1]).mean() < 0.01


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
def test_members_of_archives(tmp_path: Path, ending: str) -> None:
    """They give what the files give, each with its own label and page, whatever order they are asked for in."""
    sides = {name: (ROOT / "samples" / f"{name}" / f"{name}-001.png").read_bytes() for name in (1, 2, 3)}
    files = {f"{name}.png": content for name, content in sides.items()}
    packed = {"zip": zip_of(files), "tar": tar_of(files), "tar.gz": tar_of(files, mode="w:gz")}
    (tmp_path / f"scans.{ending}").write_bytes(packed[ending])
    (tmp_path / "2.png").write_bytes(sides[2])
    inside = [Labelled(tmp_path / f"scans.{ending}" / f"{name}.png", 0, name) for name in (3, 1, 2)]
    found = read_pictures([*inside, Labelled(tmp_path / "2.png", 0, 2)], lambda _: None)
    assert [each.label for each in found.labelled] == [1, 2, 3, 2]
    assert (found.forms[1] == found.forms[3]).all()
    assert found.digests[1] == found.digests[3]
    assert len(set(found.digests)) == 3
    squares = thumbnails([inside[2], found.labelled[3]])
    assert (squares[0] == squares[1]).all()
    assert squares[0].min() < 100
