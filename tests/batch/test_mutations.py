"""PNGs with every kind of damage, among intact ones, through client and server."""

import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from exporter.contract import ERRORS
from tests.batch.support import Row, read_rows
from tests.conftest import ROOT, RunBatch
from tests.support import chunk

_SIGNATURE_BYTES = 8


def _flip(png: bytes, random: np.random.Generator) -> bytes:
    """Some bits inverted."""
    octets = bytearray(png)
    for _ in range(random.integers(1, 9)):
        octets[random.integers(len(octets))] ^= 1 << random.integers(8)
    return bytes(octets)


def _truncate(png: bytes, random: np.random.Generator) -> bytes:
    return png[: random.integers(len(png))]


def _splice(png: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """The head of one file and the tail of another."""
    return png[: random.integers(len(png))] + other[random.integers(len(other)) :]


def _chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Kinds and bodies, as far as the lengths lead."""
    chunks = []
    place = _SIGNATURE_BYTES
    while place + 8 <= len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        chunks.append((png[place + 4 : place + 8], png[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def _mend(png: bytes) -> bytes:
    """Right CRCs on damaged chunks: what looks whole gets further into a decoder."""
    return png[:_SIGNATURE_BYTES] + b"".join(chunk(*each) for each in _chunks(png))


def _redeal(png: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """Chunks of two files, some of them, in any order after the header."""
    header, *rest = _chunks(png)
    deck = rest + _chunks(other)
    order = random.permutation(len(deck))[: random.integers(1, len(deck) + 1)]
    return png[:_SIGNATURE_BYTES] + chunk(*header) + b"".join(chunk(*deck[place]) for place in order)


def _rot(png: bytes, random: np.random.Generator) -> bytes:
    """Bits inverted in the pixels before they were compressed, filter types among them; everything else is right."""
    chunks = _chunks(png)
    pixels = bytearray(zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT")))
    for _ in range(random.integers(1, 30)):
        pixels[random.integers(len(pixels))] ^= 1 << random.integers(8)
    before = [each for each in chunks if each[0] not in (b"IDAT", b"IEND")]
    whole = [*before, (b"IDAT", zlib.compress(bytes(pixels))), (b"IEND", b"")]
    return png[:_SIGNATURE_BYTES] + b"".join(chunk(*each) for each in whole)


_MUTATIONS: tuple[Callable[[bytes, bytes, np.random.Generator], bytes], ...] = (
    lambda png, _, random: _flip(png, random),
    lambda png, _, random: _mend(_flip(png, random)),
    lambda png, _, random: _truncate(png, random),
    lambda png, _, random: _mend(_truncate(png, random)),
    _splice,
    _redeal,
    lambda png, _, random: _rot(png, random),
)


def _answers(rows: list[Row]) -> dict[str, tuple[str, float]]:
    return {Path(row["path"]).name: (row["digit"], float(row["confidence"])) for row in rows}


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_damaged_files_among_intact_ones(
    tmp_path: Path,
    digits_batch: RunBatch,
    server: str,
    mnist_pngs: list[bytes],
    all_odd_pngs: dict[str, bytes],
    count: int,
) -> None:
    """Each damaged file has its one row, and its intact neighbours the same answers as without it."""
    sources = [path.read_bytes() for path in sorted((ROOT / "samples").rglob("*.png"))]
    sources += [png for name, png in all_odd_pngs.items() if "2000x3000" not in name]
    random = np.random.default_rng(3)
    for folder in ("among", "alone"):
        (tmp_path / folder).mkdir()
    damaged = [f"{number:05} damaged.png" for number in range(count)]
    intact = [f"{number:05} intact.png" for number in range(count)]
    for number in range(count):
        png, other = (sources[place] for place in random.integers(len(sources), size=2))
        mutation = _MUTATIONS[random.integers(len(_MUTATIONS))]
        (tmp_path / "among" / damaged[number]).write_bytes(mutation(png, other, random))
        for folder in ("among", "alone"):
            (tmp_path / folder / intact[number]).write_bytes(mnist_pngs[number % len(mnist_pngs)])

    result = digits_batch("among", "--out", "among.csv", "--server", server)
    assert result.returncode in (0, 1), result.stderr
    assert "Traceback" not in result.stderr
    rows = read_rows(tmp_path / "among.csv")
    assert [Path(row["path"]).name for row in rows] == sorted(damaged + intact)
    assert all((row["digit"] in "0123456789") if not row["error"] else row["digit"] == "-1" for row in rows)
    errors = Counter(row["error"] for row in rows)
    assert set(errors) <= {"", *ERRORS}
    # Damage is found, and some files are readable in spite of it.
    assert count / 4 < errors.total() - errors[""] < count

    # The same server goes on.
    result = digits_batch("alone", "--out", "alone.csv", "--server", server)
    assert result.returncode == 0, result.stderr
    among, alone = _answers(rows), _answers(read_rows(tmp_path / "alone.csv"))
    assert sorted(alone) == intact
    assert {name: among[name][0] for name in intact} == {name: alone[name][0] for name in intact}
    assert max(abs(among[name][1] - alone[name][1]) for name in intact) <= 0.0005
