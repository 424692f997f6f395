"""PNGs that Pillow does not write, and pictures read back, for every room's tests."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

Image = npt.NDArray[np.uint8]

# x and y of the first pixel, and the steps, of Adam7's passes (PNG specification, 8.2).
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk with its length and CRC."""
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def write_png(
    samples: npt.NDArray[Any],
    *,
    depth: int = 8,
    colour: int = 0,
    palette: bytes = b"",
    transparency: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """A PNG of samples [h, w, channels] in any form that the specification knows; Pillow writes only some."""
    height, width, channels = samples.shape
    assert channels == _CHANNELS[colour]
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = []
    for x, y, dx, dy in passes:
        part = samples[y::dy, x::dx]
        if part.size:
            rows += [b"\0" + _pack(row.ravel(), depth) for row in part]
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour, 0, 0, int(interlaced)])
    chunks = [chunk(b"IHDR", header)]
    chunks += [chunk(b"PLTE", palette)] if palette else []
    chunks += [chunk(b"tRNS", transparency)] if transparency else []
    return b"".join([b"\x89PNG\r\n\x1a\n", *chunks, chunk(b"IDAT", zlib.compress(b"".join(rows))), chunk(b"IEND", b"")])


def field_png(digits: Sequence[Image]) -> bytes:
    """A field of digits [28, 28], white on black: dark ones on white paper, one every 22 pixels."""
    line = np.pad(np.concatenate([digit[:, 3:-3] for digit in digits], axis=1), 12)
    return write_png(255 - line[:, :, None])


def _pack(row: npt.NDArray[Any], depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    bits = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
    return np.packbits(bits.ravel()).tobytes()


def odd_pngs(digit: Image) -> dict[str, bytes]:
    """One digit, white on black 28x28, in every form of PNG there is."""
    grey = digit[:, :, None].astype(int)
    inverse = 255 - grey
    black = np.zeros_like(grey)
    ramp = bytes(range(256))
    greys = bytes(level for level in ramp for _ in range(3))
    big = np.kron(inverse[:, :, 0], np.ones((71, 107), int))[:, :, None]
    forms: dict[str, bytes] = {}
    for depth in (1, 2, 4, 8, 16):
        top = (1 << depth) - 1
        scaled = (grey * top + 127) // 255 if depth < 8 else grey * (top // 255)
        forms[f"grey {depth} bit"] = write_png(scaled, depth=depth)
        forms[f"grey {depth} bit interlaced"] = write_png(top - scaled, depth=depth, interlaced=True)
        if depth <= 8:
            levels = bytes(level * 255 // top for level in range(top + 1) for _ in range(3))
            forms[f"palette {depth} bit"] = write_png(scaled, depth=depth, colour=3, palette=levels)
    forms |= {
        "palette with transparent paper": write_png(
            (grey > 128).astype(int), depth=1, colour=3, palette=b"\0\0\0\0\0\0", transparency=b"\0\xff"
        ),
        "palette interlaced": write_png(inverse, colour=3, palette=greys, interlaced=True),
        "grey with transparent level": write_png(inverse, transparency=b"\0\xff"),
        "RGB": write_png(np.concatenate([grey, grey, grey], 2), colour=2),
        "RGB 16 bit": write_png(np.concatenate([inverse * 257] * 3, 2), depth=16, colour=2),
        "RGB blue ink": write_png(np.concatenate([inverse, inverse, 255 - grey // 4], 2), colour=2),
        "grey with alpha": write_png(np.concatenate([inverse, black + 255], 2), colour=4),
        "grey with alpha 16 bit": write_png(np.concatenate([inverse * 257, black + 65535], 2), depth=16, colour=4),
        "RGBA": write_png(np.concatenate([inverse] * 3 + [black + 255], 2), colour=6, interlaced=True),
        "RGBA 16 bit": write_png(np.concatenate([grey * 257] * 3 + [black + 65535], 2), depth=16, colour=6),
        "black ink on transparency": write_png(np.concatenate([black] * 3 + [grey], 2), colour=6),
        "white ink on transparency": write_png(np.concatenate([black + 255] * 3 + [grey], 2), colour=6),
        "2000x3000 black on white": write_png(big),
        "2000x3000 ink on transparency": write_png(np.concatenate([np.zeros_like(big)] * 3 + [255 - big], 2), colour=6),
    }
    return forms


def pixels(path: Path) -> npt.NDArray[np.int64]:
    """The pixels of a PNG, [h, w, 3], RGB."""
    with PIL.Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"), np.int64)
