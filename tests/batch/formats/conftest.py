"""Digits in the formats that digits-batch turns into PNG, written as scanners, telephones and Pillow write them."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from tests.support import Image as Pixels

pillow_heif.register_heif_opener()


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's own
    """An image as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def tiff_of(pages: Sequence[Image.Image], **options: Any) -> bytes:  # noqa: ANN401 - likewise
    """A TIFF of these pages."""
    return encoded(pages[0], "TIFF", save_all=True, append_images=list(pages[1:]), **options)


def grey(level: int, size: tuple[int, int] = (20, 20)) -> Image.Image:
    """A page of one grey, by which it is known again."""
    return Image.new("L", size, level)


@pytest.fixture(scope="session")
def three(mnist_sample: tuple[Pixels, Pixels]) -> Image.Image:
    """A clear 3, black on white, 56x56, grey."""
    images, labels = mnist_sample
    digit = images[np.flatnonzero(labels == 3)[0]]
    return Image.fromarray(np.kron(255 - digit, np.ones((2, 2), np.uint8)))


@pytest.fixture(scope="session")
def forms(three: Image.Image) -> dict[str, bytes]:
    """A clear 3 in every form that is known: what it is, and the file."""
    bilevel = three.point(lambda level: 255 * (level > 128)).convert("1")
    colour = three.convert("RGB")
    sixteen = np.asarray(three).astype(np.uint16) * 257
    see_through = colour.copy()
    see_through.putalpha(three.point(lambda level: 255 - level))
    found: dict[str, bytes] = {}
    for compression in ("group3", "group4", "tiff_lzw", "packbits", "tiff_adobe_deflate", None):
        for polarity, photometric in (("white is 0", 0), ("black is 0", 1)):
            options = {"compression": compression, "tiffinfo": {262: photometric}}
            found[f"TIFF 1 bit {compression} {polarity}"] = encoded(bilevel, "TIFF", **options)
    for compression in ("tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg", None):
        for mode in ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"):
            found[f"TIFF {mode} {compression}"] = encoded(colour.convert(mode), "TIFF", compression=compression)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", None):
        found[f"TIFF palette {compression}"] = encoded(colour.convert("P"), "TIFF", compression=compression)
        for order in "<>":
            samples = Image.fromarray(sixteen.astype(f"{order}u2"))
            found[f"TIFF 16 bit {order} {compression}"] = encoded(samples, "TIFF", compression=compression)
    found |= {
        "TIFF white is 0, 8 bit": encoded(three, "TIFF", tiffinfo={262: 0}),
        "TIFF LAB": encoded(colour.convert("LAB"), "TIFF"),
        "TIFF float": encoded(Image.fromarray(sixteen.astype(np.float32) / 65535), "TIFF"),
        "TIFF 32 bit": encoded(Image.fromarray(sixteen.astype(np.int32) * 1000), "TIFF"),
        "TIFF ink on transparency": encoded(see_through, "TIFF", compression="tiff_lzw"),
        "BigTIFF": encoded(three, "TIFF", big_tiff=True),
        "BMP 1 bit": encoded(bilevel, "BMP"),
        "BMP grey": encoded(three, "BMP"),
        "BMP palette": encoded(colour.convert("P"), "BMP"),
        "BMP RGB": encoded(colour, "BMP"),
        "BMP 32 bit": encoded(colour.convert("RGBA"), "BMP"),
        "GIF": encoded(three, "GIF"),
        "GIF palette": encoded(colour.convert("P"), "GIF"),
        "GIF with transparent paper": encoded(bilevel, "GIF", transparency=1),
        "GIF of two frames": encoded(three, "GIF", save_all=True, append_images=[grey(255, (56, 56))]),
        "WebP": encoded(colour, "WEBP"),
        "WebP lossless": encoded(colour, "WEBP", lossless=True),
        "WebP ink on transparency": encoded(see_through, "WEBP", lossless=True),
        "WebP of two frames": encoded(colour, "WEBP", save_all=True, append_images=[grey(255, (56, 56))]),
        "HEIC": encoded(colour, "HEIF", quality=90),
        "HEIC grey": encoded(three, "HEIF", quality=90),
        "HEIC ink on transparency": encoded(see_through, "HEIF", quality=95),
    }
    return found


@pytest.fixture(scope="session")
def broken(three: Image.Image) -> dict[str, tuple[bytes, str]]:
    """Files that give no picture, and the error that each must get."""
    tiff, lzw = encoded(three, "TIFF"), encoded(three, "TIFF", compression="tiff_lzw")
    unknown = bytearray(tiff)
    unknown[tiff.index(b"\x03\x01\x03\0\1\0\0\0\1\0") + 8] = 99  # the value of tag 259, Compression
    noise = Image.effect_noise((300, 300), 100)
    webp, heic = encoded(noise, "WEBP", quality=90), encoded(noise, "HEIF", quality=90)
    wide = encoded(Image.new("1", (26_000, 1000)), "TIFF", compression="group4")
    tall = encoded(Image.new("1", (1000, 26_000)), "GIF")
    canvas = bytearray(encoded(Image.new("RGBA", (300, 300)), "WEBP", exif=Image.Exif().tobytes(), lossless=True))
    canvas[24:30] = (16_000 - 1).to_bytes(3, "little") * 2  # VP8X's width and height
    bitmap = bytearray(encoded(three, "BMP"))
    bitmap[18:26] = (50_000).to_bytes(4, "little") * 2
    return {
        "TIFF cut off": (tiff[: len(tiff) // 2], "corrupt"),
        "TIFF's directory cut off": (lzw[:40], "corrupt"),
        "TIFF's header alone": (b"II*\0", "corrupt"),
        "TIFF of zeros": (b"MM\0*\0\0\0\x08" + bytes(400), "corrupt"),
        "TIFF of an unknown compression": (bytes(unknown), "format not supported"),
        "BMP cut off": (encoded(three, "BMP")[:500], "corrupt"),
        "GIF cut off": (encoded(noise, "GIF")[:5000], "corrupt"),
        "GIF's header alone": (b"GIF89a", "corrupt"),
        "WebP cut off": (webp[: len(webp) // 2], "corrupt"),
        "HEIC cut off": (heic[: len(heic) // 2], "corrupt"),
        "HEIC's first box alone": (heic[:40], "corrupt"),
        "TIFF of 26 megapixels": (wide, "too large"),
        "GIF of 26 megapixels": (tall, "too large"),
        "WebP that claims 256 megapixels": (bytes(canvas), "too large"),
        "BMP that claims 2500 megapixels": (bytes(bitmap), "too large"),
        "HEIC of 26 megapixels": (encoded(Image.new("L", (6500, 4000)), "HEIF", quality=1), "too large"),
        "AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(50), "not an image"),
        "text that begins with BM": (b"BMW drives on the left, he said.", "not an image"),
        "RIFF of sound": (b"RIFF\0\0\0\0WAVEfmt " + bytes(50), "not an image"),
        "PDF": (b"%PDF-1.7\n", "not an image"),
    }


Forms = dict[str, bytes]
Broken = dict[str, tuple[bytes, str]]
Write = Callable[[str, bytes], None]
