"""Pictures whose Exif says how to turn them come out upright, and nonsense turns nothing.

Files are written as cameras and Pillow write them; what is upright is what Pillow's `exif_transpose` makes of them.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageOps

from tests.conftest import ROOT
from tests.exporter.picture.conftest import DecodeFiles, Normalise
from tests.support import Image, chunk

Order = Literal["little", "big"]
ORIENTATION, SHORT = 0x0112, 3
JPEG_TOLERANCE = 8  # of 255: TensorFlow has libjpeg round more coarsely than Pillow does
JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
# How a camera held that way stores what is upright: the inverse of what `exif_transpose` does.
STORED: dict[int, Callable[[Image], Image]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright.swapaxes(0, 1)[::-1],
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],
}


def tag(order: Order, number: int, kind: int, count: int, value: int) -> bytes:
    """One tag of a TIFF directory; a SHORT stands left in its four bytes."""
    body = value.to_bytes(2, order) + b"\0\0" if kind == SHORT else value.to_bytes(4, order)
    return b"".join([number.to_bytes(2, order), kind.to_bytes(2, order), count.to_bytes(4, order), body])


def tiff(order: Order, *tags: bytes, place: int = 8, count: int | None = None) -> bytes:
    """Exif from its byte order on: one directory, at a place; `count` tags are claimed."""
    start = (b"II*\0" if order == "little" else b"MM\0*") + place.to_bytes(4, order)
    number = (len(tags) if count is None else count).to_bytes(2, order)
    return start.ljust(place, b"\0") + number + b"".join(tags) + bytes(4)


def stating(orientation: int, order: Order = "big") -> bytes:
    """Exif as a phone writes it: between other tags."""
    return tiff(
        order,
        tag(order, 0x010F, 2, 4, 0x41424300),
        tag(order, ORIENTATION, SHORT, 1, orientation),
        tag(order, 0x0128, SHORT, 1, 2),
    )


def encode(pixels: Image, form: str) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, form, **({"quality": 95} if form == "JPEG" else {}))
    return buffer.getvalue()


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with segments before all others."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def app1(exif: bytes) -> bytes:
    return b"\xff\xe1" + (len(exif) + 8).to_bytes(2, "big") + b"Exif\0\0" + exif


def with_chunk(png: bytes, kind: bytes, body: bytes, *, before_pixels: bool = True) -> bytes:
    """A PNG with one more chunk."""
    place = png.index(b"IDAT") - 4 if before_pixels else len(png) - 12
    return png[:place] + chunk(kind, body) + png[place:]


def upright(octets: bytes) -> Image:
    """What Pillow makes of a file."""
    picture = Pillow.open(io.BytesIO(octets))
    picture.load()  # the chunks after the pixels, too
    turned = ImageOps.exif_transpose(picture)
    return np.asarray(turned.convert("RGBA"))


def assert_same(found: Image | str, expected: Image, tolerance: int) -> None:
    assert not isinstance(found, str), found
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= tolerance


@pytest.fixture(scope="module")
def picture() -> Image:
    """No side or corner like another, uint8 [36, 60, 3]; smooth, so that JPEG keeps it."""
    y, x = np.mgrid[:36, :60]
    return np.dstack([40 + 3 * x, 250 - 4 * y, 60 + 2 * x + y]).astype(np.uint8)


# ---- What is turned.


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_comes_out_as_pillow_turns_it(
    decode_files: DecodeFiles, picture: Image, orientation: int
) -> None:
    """All eight, in both byte orders, in JPEGs and in PNGs with the chunk before or after the pixels."""
    stored = np.ascontiguousarray(STORED[orientation](picture))
    jpeg, png = encode(stored, "JPEG"), encode(stored, "PNG")
    exif = [stating(orientation, "little"), stating(orientation, "big")]
    jpegs = [with_segments(jpeg, app1(each)) for each in exif]
    pngs = [with_chunk(png, b"eXIf", each, before_pixels=before) for each in exif for before in (True, False)]
    found = decode_files([*jpegs, *pngs])
    for octets, pixels in zip(jpegs, found[:2], strict=True):
        assert_same(pixels, upright(octets), JPEG_TOLERANCE)
    for octets, pixels in zip(pngs, found[2:], strict=True):
        np.testing.assert_array_equal(upright(octets)[..., :3], picture)
        assert_same(pixels, upright(octets), 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_pillow_writes_comes_out_as_pillow_turns_it(
    decode_files: DecodeFiles, picture: Image, orientation: int
) -> None:
    """Files saved by Pillow, of every mode: grey, palette, two levels, 16 bits, alpha, colour, longer than 256."""
    stored = Pillow.fromarray(np.ascontiguousarray(STORED[orientation](picture)))
    exif = Pillow.Exif()
    exif[ORIENTATION] = orientation
    pictures = [(form, stored.convert(mode)) for form, mode in [("JPEG", "L"), ("JPEG", "RGB")]]
    pictures += [("PNG", stored.convert(mode)) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")]
    files = []
    for form, each in pictures:
        buffer = io.BytesIO()
        each.save(buffer, form, exif=exif, **({"quality": 95} if form == "JPEG" else {}))
        files.append(buffer.getvalue())
    for octets, pixels in zip(files, decode_files(files), strict=True):
        assert_same(pixels, upright(octets), JPEG_TOLERANCE)


def test_large_pictures_are_turned_too(decode_files: DecodeFiles, picture: Image) -> None:
    """A picture that is reduced while decoding has its sides swapped, and its corners in their places."""
    large = np.kron(picture, np.ones((20, 20, 1), np.uint8))
    for orientation in range(1, 9):
        stored = np.ascontiguousarray(STORED[orientation](large))
        files = [with_segments(encode(stored, "JPEG"), app1(stating(orientation)))]
        files.append(with_chunk(encode(stored, "PNG"), b"eXIf", stating(orientation)))
        for pixels in decode_files(files):
            assert not isinstance(pixels, str)
            expected = np.asarray(Pillow.fromarray(large).resize((pixels.shape[1], pixels.shape[0])).convert("RGBA"))
            assert pixels.shape[:2] == (90, 150)
            assert np.abs(pixels.astype(int) - expected).mean() < 6


def test_a_digit_gets_the_answer_that_it_gets_upright(normalised: Normalise, shipped_model: Path) -> None:
    """The shipped model reads a 2, a 4 and a 7 in a picture that says how to turn it, whichever way it is stored."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    network = tf.saved_model.load(str(shipped_model / "1")).signatures["pixels"]
    files, labels = [], []
    for label in (2, 4, 7):
        sample = Pillow.open(min((ROOT / "samples" / str(label)).iterdir())).convert("L").resize((120, 120))
        for orientation in range(1, 9):
            stored = np.ascontiguousarray(STORED[orientation](np.asarray(sample)))
            files.append(with_segments(encode(stored, "JPEG"), JFIF, app1(stating(orientation))))
            files.append(with_chunk(encode(stored, "PNG"), b"eXIf", stating(orientation, "little")))
            labels += [label, label]
    fields = np.array(normalised(files), np.float32)
    for turned in fields.reshape(3, 8, 2, 28, 28):
        np.testing.assert_allclose(turned, np.broadcast_to(turned[:1], turned.shape), atol=0.05)
    digits = network(pixels=tf.constant(np.round(fields * 255).astype(np.uint8)))["digit"].numpy()
    assert digits.tolist() == labels


def test_exif_is_found_behind_other_segments(decode_files: DecodeFiles, picture: Image) -> None:
    """JFIF, XMP, a comment, a colour profile or filling bytes before it do not hide a JPEG's Exif; the first counts."""
    jpeg = encode(picture, "JPEG")
    xmp = b"\xff\xe1\0\x2fhttp://ns.adobe.com/xap/1.0/\0<x:xmpmeta></x>"[: 2 + 0x2F].ljust(2 + 0x2F, b" ")
    comment = b"\xff\xfe\0\x0bExif\0\0abc"
    profile = b"\xff\xe2\xc3\x52" + bytes(50_000)
    exif = app1(stating(6))
    files = [
        with_segments(jpeg, JFIF, exif),
        with_segments(jpeg, xmp, exif),
        with_segments(jpeg, comment, exif),
        with_segments(jpeg, profile, exif),
        with_segments(jpeg, b"\xff\xff\xff" + exif),
        with_segments(jpeg, exif, app1(stating(3))),
        with_segments(jpeg, app1(tiff("big", tag("big", ORIENTATION, SHORT, 1, 6), place=500))),
        with_segments(jpeg, app1(stating(6) + b"thumbnail \xff\xd8\xff\xd9" * 4000)),
    ]
    expected = upright(files[0])
    assert expected.shape == (60, 36, 4)
    for pixels in decode_files(files):
        assert_same(pixels, expected, JPEG_TOLERANCE)


# ---- What is not.


MALFORMED = {
    "nothing": b"",
    "half a byte order": b"M",
    "no directory": b"MM\0*",
    "half a directory's place": b"MM\0*\0\0",
    "a directory beyond the end": b"MM\0*\0\0\xff\0",
    "a directory far beyond the end": b"II*\0\xff\xff\xff\xff" + stating(6, "little")[8:],
    "a directory at the very end": b"MM\0*\0\0\0\x08",
    "another byte order": b"MI\0*" + stating(6)[4:],
    "byte orders that contradict": b"II\0*" + stating(6)[4:],
    "an orientation of 0": stating(0),
    "an orientation of 9": stating(9),
    "an orientation of 65535": stating(65535),
    "an orientation in the other byte order": tiff("big", tag("little", ORIENTATION, SHORT, 1, 6)),
    "an orientation that is no number of 16 bits": tiff("big", tag("big", ORIENTATION, 2, 1, 0x00060000)),
    "two orientations in one": tiff("big", tag("big", ORIENTATION, SHORT, 2, 6)),
    "a directory of no tags": tiff("big", tag("big", ORIENTATION, SHORT, 1, 6), count=0),
    "more tags than there are": tiff("big", tag("big", 0x010F, 2, 1, 0), count=65535),
    "cut within the tag": stating(6)[:-4][: 8 + 2 + 12 + 8],
    "no orientation": tiff("little", tag("little", 0x010F, 2, 1, 0)),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_exif_turns_nothing(decode_files: DecodeFiles, picture: Image, name: str) -> None:
    """Exif that makes no sense is as none: the picture is read as it is stored."""
    jpeg, png = encode(picture, "JPEG"), encode(picture, "PNG")
    files = [with_segments(jpeg, app1(MALFORMED[name]))]
    files += [with_chunk(png, b"eXIf", MALFORMED[name], before_pixels=before) for before in (True, False)]
    for octets, pixels in zip((jpeg, png, png), decode_files(files), strict=True):
        assert_same(pixels, upright(octets), JPEG_TOLERANCE if octets is jpeg else 0)


def test_the_word_exif_elsewhere_turns_nothing(decode_files: DecodeFiles, picture: Image) -> None:
    """Exif in a comment, in pixels, behind the pixels or the end, or in a segment of another kind is not Exif."""
    jpeg, png = encode(picture, "JPEG"), encode(picture, "PNG")
    exif, exif_chunk = app1(stating(6)), chunk(b"eXIf", stating(6))
    jpegs = [
        with_segments(jpeg, b"\xff\xfe" + exif[2:]),
        with_segments(jpeg, b"\xff\xe2" + exif[2:]),
        with_segments(jpeg, b"\xff\xfe" + (len(exif) + 2).to_bytes(2, "big") + exif),
        with_segments(jpeg, exif.replace(b"Exif\0\0", b"Exif\0a")),
        jpeg + exif,
    ]
    pngs = [
        with_chunk(png, b"tEXt", b"Comment\0" + exif_chunk),
        with_chunk(png, b"teXt", exif_chunk, before_pixels=False),
        png + exif_chunk,
    ]
    found = decode_files([*jpegs, *pngs])
    for pixels in found[: len(jpegs)]:
        assert_same(pixels, upright(jpeg), JPEG_TOLERANCE)
    for pixels in found[len(jpegs) :]:
        assert_same(pixels, upright(png), 0)


@settings(max_examples=80, deadline=None)
@given(
    start=st.sampled_from(
        [b"", b"II*\0", b"MM\0*", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", stating(6), stating(3)[:-9]]
    ),
    rest=st.binary(max_size=200),
    length=st.none() | st.integers(0, 65535),
)
def test_any_exif_leaves_a_picture_readable(
    decode_files: DecodeFiles, picture: Image, start: bytes, rest: bytes, length: int | None
) -> None:
    """Whatever bytes stand in its Exif, a picture is read, one way up or another, and its neighbours are unharmed."""
    jpeg, png = encode(picture, "JPEG"), encode(picture, "PNG")
    odd_jpeg = with_segments(jpeg, app1(start + rest))
    found = decode_files([png, odd_jpeg, jpeg, with_chunk(png, b"eXIf", start + rest), png])
    for pixels in (found[1], found[3]):
        assert not isinstance(pixels, str)
        assert sorted(pixels.shape) == [4, 36, 60]
    assert_same(found[0], upright(png), 0)
    assert_same(found[2], upright(jpeg), JPEG_TOLERANCE)
    assert_same(found[4], upright(png), 0)
    if length is not None:  # a length that lies may break its own file, and no other
        lying = odd_jpeg[:4] + length.to_bytes(2, "big") + odd_jpeg[6:]
        broken, neighbour = decode_files([lying, png])
        assert not isinstance(broken, str) or broken in {"corrupt", "too large"}
        assert_same(neighbour, upright(png), 0)
