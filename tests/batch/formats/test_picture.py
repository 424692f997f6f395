"""What becomes of the pixels on their way into PNG."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from batch.formats.kinds import foreign_kind
from batch.formats.picture import PictureError, Pictures, encode
from tests.batch.formats.conftest import Broken, Forms, encoded, grey, tiff_of


def _through(path: Path, page: int = 0) -> Image.Image:
    """The PNG of a picture, read back."""
    pictures = Pictures()
    picture, _ = pictures.read(str(path), page)
    png = encode(picture)
    pictures.close()
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        return image


def _corner(size: tuple[int, int]) -> Image.Image:
    """A picture that looks different in all eight orientations."""
    image = Image.new("RGB", size, "white")
    image.paste("black", (0, 0, size[0] // 2, size[1] // 4))
    return image


def test_forms_are_known_by_their_bytes(forms: Forms) -> None:
    """Each file is known for what it is, and PNG, JPEG and strangers are left to the server."""
    for name, octets in forms.items():
        assert foreign_kind(octets[:512]) == name.split()[0].removeprefix("Big"), name
    for form in ("PNG", "JPEG", "PPM", "ICO"):
        assert foreign_kind(encoded(grey(3), form)) is None
    assert foreign_kind(b"") is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "options"),
    [("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True}), ("HEIF", {"quality": 95})],
)
def test_orientation(tmp_path: Path, form: str, options: dict[str, object], orientation: int) -> None:
    """A picture comes upright, turned once, whichever of the eight ways its tag says that it lies."""
    upright = _corner((64, 48))
    # Those that undo 1 to 8; 6 and 8 undo each other.
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, 1)
    lying = upright.copy()
    lying.getexif()[0x0112] = undo
    lying = ImageOps.exif_transpose(lying)
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "scan").write_bytes(encoded(lying, form, exif=exif.tobytes(), **options))
    turned = _through(tmp_path / "scan")
    assert turned.size == upright.size
    assert np.abs(np.asarray(turned.convert("L"), int) - np.asarray(upright.convert("L"), int)).mean() < 8
    assert 0x0112 not in turned.getexif()


@pytest.mark.parametrize("order", "<>")
def test_sixteen_bits_stay(tmp_path: Path, order: str) -> None:
    """16 bit grey comes out as a 16 bit PNG, to the last bit, in either byte order."""
    samples = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50) * 31
    (tmp_path / "scan").write_bytes(encoded(Image.fromarray(samples.astype(f"{order}u2")), "TIFF"))
    image = _through(tmp_path / "scan")
    assert image.mode == "I;16"
    assert np.array_equal(np.asarray(image), samples)


def test_sixteen_bits_with_white_at_zero(tmp_path: Path) -> None:
    """16 bit grey that counts from white down comes out counting from black up."""
    samples = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50) * 31
    (tmp_path / "scan").write_bytes(_photometric(encoded(Image.fromarray(65535 - samples), "TIFF"), 0))
    image = _through(tmp_path / "scan")
    assert image.mode == "I;16"
    assert np.array_equal(np.asarray(image), samples)


def _photometric(tiff: bytes, value: int) -> bytes:
    """A little-endian TIFF that says that its samples mean something else than Pillow wrote."""
    entry = b"\x06\x01\x03\0\1\0\0\0"
    place = tiff.index(entry) + len(entry)
    return tiff[:place] + value.to_bytes(2, "little") + tiff[place + 2 :]


@pytest.mark.parametrize("mode", ["1", "L"])
def test_white_at_zero(tmp_path: Path, three: Image.Image, mode: str) -> None:
    """Fax machines count from white: black ink on white paper stays that."""
    image = three.point(lambda level: 255 * (level > 128)).convert(mode)
    inverse = ImageOps.invert(image.convert("L")).convert(mode)
    (tmp_path / "scan").write_bytes(_photometric(encoded(inverse, "TIFF"), 0))
    turned = _through(tmp_path / "scan")
    assert turned.mode == mode
    assert np.array_equal(np.asarray(turned.convert("L")), np.asarray(image.convert("L")))


@pytest.mark.parametrize(("form", "mode"), [("TIFF", "LA"), ("TIFF", "RGBA"), ("WEBP", "RGBA"), ("HEIF", "RGBA")])
def test_alpha_is_kept(tmp_path: Path, form: str, mode: str) -> None:
    """What is transparent in the file is in the PNG."""
    image = Image.new(mode, (32, 32), (0,) * len(mode))
    image.paste((90,) * (len(mode) - 1) + (255,), (0, 0, 16, 32))
    (tmp_path / "scan").write_bytes(encoded(image, form, **({"lossless": True} if form == "WEBP" else {})))
    turned = _through(tmp_path / "scan").convert("RGBA")
    assert turned.getpixel((2, 2)) == pytest.approx((90, 90, 90, 255), abs=3)
    assert turned.getchannel("A").getpixel((30, 2)) == 0


def test_colours(tmp_path: Path) -> None:
    """CMYK and YCbCr come out in the colours that they stand for."""
    for mode in ("CMYK", "YCbCr", "LAB", "RGB"):
        image = Image.new("RGB", (32, 32), (200, 100, 50)).convert(mode)
        (tmp_path / mode).write_bytes(encoded(image, "TIFF"))
        turned = _through(tmp_path / mode).convert("RGB")
        assert turned.getpixel((5, 5)) == pytest.approx((200, 100, 50), abs=3)


def test_pages_in_any_order(tmp_path: Path) -> None:
    """Pages of any size and mode are read from one open file, back and forth, and again after it has changed."""
    levels = [grey(10), grey(20, (30, 40)), Image.new("1", (16, 16), 1), Image.new("RGB", (8, 9), (40, 40, 40))]
    path = tmp_path / "scan.tif"
    path.write_bytes(tiff_of(levels, compression="tiff_lzw"))
    pictures = Pictures()
    for page in (1, 2, 3, 4, 1, 3, 2, 4, 4):
        picture, unread = pictures.read(str(path), page)
        assert (picture.size, picture.mode, unread) == (levels[page - 1].size, levels[page - 1].mode, 0)
        assert picture.tobytes() == levels[page - 1].tobytes()
    path.write_bytes(tiff_of([grey(50), grey(60)]))
    picture, _ = pictures.read(str(path), 2)
    assert picture.getpixel((0, 0)) == 60
    with pytest.raises(PictureError, match="corrupt"):
        pictures.read(str(path), 3)
    assert pictures.read(str(path), 0)[1] == 1
    path.unlink()
    with pytest.raises(PictureError, match="unreadable"):
        pictures.read(str(path), 1)
    pictures.close()


@pytest.mark.filterwarnings("ignore")
def test_files_cut_off_anywhere(tmp_path: Path, forms: Forms) -> None:
    """A file that ends too early is a picture still, or has an error of the contract; nothing else is raised."""
    path = tmp_path / "scan"
    pictures = Pictures()
    for octets in forms.values():
        for share in (0.02, 0.1, 0.3, 0.6, 0.9, 0.99):
            path.write_bytes(octets[: int(len(octets) * share)])
            with contextlib.suppress(PictureError):
                encode(pictures.read(str(path), 0)[0])
    pictures.close()


@pytest.mark.filterwarnings("ignore")
def test_broken_files(tmp_path: Path, broken: Broken) -> None:
    """Each broken file gives its error, by its header where it is too large."""
    pictures = Pictures()
    for name, (octets, error) in broken.items():
        (tmp_path / "scan").write_bytes(octets)
        with pytest.raises(PictureError) as raised:
            pictures.read(str(tmp_path / "scan"), 0)
        assert raised.value.text == error, name
    pictures.close()
