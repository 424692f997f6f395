"""What a file is, by its first bytes; names do not count."""

import importlib.util
from functools import cache

EXTRA = "formats"
"""The extra whose modules read what follows."""

HEIC = "HEIC"

_SERVED = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # PNG and JPEG: the server's own
# Classic TIFF and BigTIFF, of either byte order.
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_STARTS = (
    *((start, "TIFF") for start in TIFF_STARTS),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
# A text may begin with BM: a bitmap goes on with the size of its second header.
_BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
# Brands of ISO/IEC 23008-12 whose pictures are HEVC; `mif1` alone may be AVIF.
_HEVC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})


def foreign_kind(image: bytes) -> str | None:
    """`TIFF`, `BMP`, `GIF`, `WebP` or `HEIC`, of a file that begins so; None for what is sent as it is.

    Args:
        image: the file, or its first bytes, a few hundred at least.
    """
    if image.startswith(_SERVED):
        return None
    for start, kind in _STARTS:
        if image.startswith(start):
            return kind
    if image.startswith(b"RIFF") and image[8:12] == b"WEBP":
        return "WebP"
    if image.startswith(b"BM") and int.from_bytes(image[14:18], "little") in _BITMAP_HEADERS:
        return "BMP"
    return HEIC if _is_heic(image) else None


def _is_heic(image: bytes) -> bool:
    if image[4:8] != b"ftyp":
        return False
    box = image[8 : min(int.from_bytes(image[:4], "big"), 512)]
    # The major brand, its version, then compatible brands, of four bytes each.
    return any(box[place : place + 4] in _HEVC_BRANDS for place in range(0, len(box), 4) if place != 4)


@cache
def can_read(kind: str) -> bool:
    """Whether what reads a kind is installed. Imports nothing of it."""
    modules = ("PIL", "pillow_heif") if kind == HEIC else ("PIL",)
    return all(importlib.util.find_spec(module) is not None for module in modules)
