"""Pictures of rows as a browser gets them: from files, pages and archives, and never anything but pictures."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from batch.review.pictures import NoPictureError, Pictures
from tests.conftest import ROOT

SAMPLE = ROOT / "samples" / "3" / "3-001.png"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _encoded(form: str) -> bytes:
    octets = io.BytesIO()
    Image.new("L", (20, 10), 200).save(octets, form)
    return octets.getvalue()


@pytest.mark.parametrize(("form", "media_type"), [("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("WEBP", "webp")])
def test_what_browsers_know_is_sent_as_it_is(folder: Path, form: str, media_type: str) -> None:
    """The bytes say what it is, not the name."""
    (folder / "a.bin").write_bytes(_encoded(form))
    assert Pictures().read("a.bin") == (_encoded(form), f"image/{media_type}")


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP"])
def test_a_model_gets_what_digits_batch_would_send(folder: Path, form: str) -> None:
    """A format that the signature does not take is converted, though browsers know it."""
    (folder / "a.bin").write_bytes(_encoded(form))
    pictures = Pictures()
    assert pictures.read("a.bin", as_sent=True)[0].startswith(b"\x89PNG")
    pictures.close()


def test_pages_become_png(folder: Path) -> None:
    """A page of a TIFF is converted; so is one in an archive."""
    pages = [Image.new("L", (8, 8), level) for level in (10, 20)]
    pages[0].save(folder / "scan.tif", save_all=True, append_images=pages[1:])
    with zipfile.ZipFile(folder / "scans.zip", "w") as archive:
        archive.write(folder / "scan.tif", "in/scan.tif")
    pictures = Pictures()
    try:
        for path in ("scan.tif#page=2", "scans.zip/in/scan.tif#page=2"):
            content, media_type = pictures.read(path)
            with Image.open(io.BytesIO(content)) as image:
                assert (media_type, image.getpixel((0, 0))) == ("image/png", 20)
    finally:
        pictures.close()


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
def test_members_of_an_archive_that_are_expected_take_one_pass(folder: Path, ending: str) -> None:
    """After one of them was read, the archive itself is not needed for the others."""
    name = f"scans.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(name, "w") as packed:
            for number in range(3):
                packed.writestr(f"in/{number}.png", _encoded("PNG"))
    else:
        with tarfile.open(name, "w:gz" if ending == "tar.gz" else "w") as tar:
            for number in range(3):
                member = tarfile.TarInfo(f"./in/{number}.png")
                member.size = len(_encoded("PNG"))
                tar.addfile(member, io.BytesIO(_encoded("PNG")))
    pictures = Pictures()
    pictures.expect(f"{name}/in/{number}.png" for number in range(2))
    assert pictures.read(f"{name}/in/0.png")[0] == _encoded("PNG")
    (folder / name).write_bytes(b"")
    assert pictures.read(f"{name}/in/1.png")[0] == _encoded("PNG")
    with pytest.raises(NoPictureError):
        pictures.read(f"{name}/in/2.png")


def test_rows_of_a_parquet_file_have_pictures(folder: Path) -> None:
    """They are found by their numbers, or by the column that names them."""
    import pyarrow as pa  # noqa: PLC0415 - here alone
    from pyarrow import parquet  # noqa: PLC0415 - likewise

    parquet.write_table(pa.table({"image": [b"", _encoded("PNG")], "id": ["a", "b"]}), folder / "scans.parquet")
    assert Pictures().read("scans.parquet/1")[0] == _encoded("PNG")
    assert Pictures(id_column="id").read("scans.parquet/b")[0] == _encoded("PNG")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "not an image"),
        (b"<html><script>alert(1)</script>", "not an image"),
        (b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (20000).to_bytes(4, "big") * 2, "too large"),
        (b"II*\0\0\0\0\0", "corrupt"),
    ],
)
def test_what_is_no_picture_is_not_sent(folder: Path, content: bytes | None, reason: str) -> None:
    """A page or a drawing that a browser would run is no picture, whatever its name."""
    if content is not None:
        (folder / "a.png").write_bytes(content)
    pictures = Pictures()
    with pytest.raises(NoPictureError, match=reason):
        pictures.read("a.png")
    pictures.close()


def test_what_is_no_file_is_not_waited_for(folder: Path) -> None:
    """A pipe, a folder, a device and a name that no file can have."""
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    for path in ("pipe.png", "folder.png", "/dev/zero", "a\0b.png", "folder.png/x.png", str(SAMPLE / "x.png")):
        with pytest.raises(NoPictureError):
            Pictures().read(path)
