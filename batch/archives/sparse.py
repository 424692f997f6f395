"""Files in tar archives that were written without their longer runs of zeros, as `tar -S` does.

GNU tar's manual, "Storing Sparse Files": the old format, and versions 0.0, 0.1 and 1.0 in pax records.
"""

from dataclasses import dataclass

from batch.archives.source import Stream

PAX_NAME = b"GNU.sparse.name"
_MAP = b"GNU.sparse.map"
_OFFSET, _LENGTH = b"GNU.sparse.offset", b"GNU.sparse.numbytes"
_SIZES = (b"GNU.sparse.realsize", b"GNU.sparse.size")
_BLOCK = 512
_ENTRY = 24  # bytes of an offset and a length in the old format
_MOST_PIECES = 100_000


@dataclass(frozen=True)
class Form:
    """Where the pieces of a file belong.

    Attributes:
        size: of the file, in bytes.
        pieces: offset and length of each, in the order in which they are stored.
    """

    size: int
    pieces: list[tuple[int, int]]

    def unpack(self, packed: bytes) -> bytes | None:
        """The file with its zeros; None if the pieces do not fit."""
        content = bytearray(self.size)
        at = 0
        for offset, length in self.pieces:
            piece = packed[at : at + length]
            if len(piece) < length or offset + length > self.size:
                return None
            content[offset : offset + length] = piece
            at += length
        return bytes(content)


def collect(records: dict[bytes, bytes], key: bytes, value: bytes) -> None:
    """Add a pax record; the pieces of version 0.0, which come as one pair of records each, as version 0.1 has them."""
    if key in (_OFFSET, _LENGTH):
        before = records.get(_MAP)
        records[_MAP] = value if before is None else before + b"," + value
    else:
        records[key] = value


def is_pax(records: dict[bytes, bytes]) -> bool:
    """Whether pax records speak of such a file."""
    return _MAP in records or b"GNU.sparse.major" in records


def read_pax_map(stream: Stream, records: dict[bytes, bytes], size: int) -> tuple[Form, int]:
    """The form of a file by its pax records, and how many bytes are stored after the map.

    Raises:
        ValueError: they are damaged.
    """
    real = next((int(records[key]) for key in _SIZES if key in records), size)
    if records.get(b"GNU.sparse.major") != b"1":
        return Form(real, _pairs([int(value) for value in records[_MAP].split(b",") if value])), size
    # Version 1.0: the numbers are at the beginning of the data, a line each, filled up to a whole block.
    lines: list[bytes] = []
    rest, used = b"", 0
    while not lines or len(lines) < 1 + 2 * _count(lines[0]):
        block = stream.read(_BLOCK)
        used += len(block)
        if len(block) < _BLOCK or used > size:
            raise ValueError("cut off")
        *found, rest = (rest + block).split(b"\n")
        lines += found
    numbers = [int(line) for line in lines[1 : 1 + 2 * _count(lines[0])]]
    return Form(real, _pairs(numbers)), size - used


def read_old_map(stream: Stream, header: bytes) -> Form:
    """The form of a file by its header of the old format, and the blocks that go on with it.

    Raises:
        ValueError: they are damaged.
    """
    numbers = [number(header[at : at + 12]) for at in range(386, 386 + 4 * _ENTRY, 12)]
    goes_on = header[482]
    while goes_on:
        block = stream.read(_BLOCK)
        if len(block) < _BLOCK or len(numbers) > 2 * _MOST_PIECES:
            raise ValueError("cut off")
        numbers += [number(block[at : at + 12]) for at in range(0, 21 * _ENTRY, 12)]
        goes_on = block[504]
    return Form(number(header[483:495]), _pairs(numbers))


def skip_old_map(stream: Stream, header: bytes) -> None:
    """Pass over the blocks that `read_old_map` reads."""
    goes_on = header[482]
    while goes_on:
        block = stream.read(_BLOCK)
        goes_on = len(block) == _BLOCK and block[504]


def number(field: bytes) -> int:
    """A number of a header. Raises ValueError."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise ValueError("negative")
        return int.from_bytes(field, "big") & ~(1 << (8 * len(field) - 1))
    text = field.partition(b"\0")[0].strip()
    if not text:
        return 0
    if not text.isdigit():
        raise ValueError("no number")
    return int(text, 8)


def _count(line: bytes) -> int:
    count = int(line)
    if not 0 <= count <= _MOST_PIECES:
        raise ValueError("no number of pieces")
    return count


def _pairs(numbers: list[int]) -> list[tuple[int, int]]:
    if len(numbers) % 2 or any(one < 0 for one in numbers):
        raise ValueError("no pieces")
    return [pair for pair in zip(numbers[::2], numbers[1::2], strict=True) if pair[1]]
