"""An image that no model for handwritten digits has a reason to refuse: it tells a bad image from a bad request."""

import zlib

from exporter.contract import SIDE


def probe() -> bytes:
    """A PNG of a one in MNIST's form: a white stroke on black, 28x28, grey of 8 bits."""
    rows = bytearray()
    for row in range(SIDE):
        inked = 4 <= row < 24
        rows += b"\0" + bytes(255 if inked and 12 <= column < 16 else 0 for column in range(SIDE))
    header = SIDE.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    chunks = (b"IHDR" + header, b"IDAT" + zlib.compress(bytes(rows)), b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") for chunk in chunks
    )
