"""The body of a request as it was before its sender compressed it."""

import zlib

from aiohttp import web

from serving.status import invalid_argument

_GZIP = 16 + zlib.MAX_WBITS
_NO_GZIP = "the body is no gzip, as its Content-Encoding says, or not all of it"


def uncompressed(body: bytes, encoding: str, most: int) -> bytes:
    """Undo gzip where Content-Encoding has it, as net_http of TensorFlow Serving does; other encodings are ignored.

    Raises StatusError INVALID_ARGUMENT for a body that is no gzip, is cut short, or does not match its checksum;
    HTTPRequestEntityTooLarge where more than `most` bytes come out.
    """
    if "gzip" not in encoding or not body:
        return body
    pieces, room = [], most
    while body:  # one member after the other
        member = zlib.decompressobj(_GZIP)
        try:
            pieces.append(member.decompress(body, room + 1))
        except zlib.error as error:
            raise invalid_argument(f"{_NO_GZIP}: {error}") from None
        room -= len(pieces[-1])
        if room < 0:
            raise web.HTTPRequestEntityTooLarge(most, most - room)
        if not member.eof:
            raise invalid_argument(_NO_GZIP)
        body = member.unused_data
    return b"".join(pieces)
