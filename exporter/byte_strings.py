"""Byte strings in an .npz: as bytes and lengths, as NumPy's own strings would lose trailing zeros."""

from typing import Any

import numpy as np
import numpy.typing as npt

_OCTETS, _LENGTHS = "octets", "lengths"


def pack(strings: list[bytes] | npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Arrays, by name, that hold byte strings."""
    return {
        _OCTETS: np.frombuffer(b"".join(strings), np.uint8),
        _LENGTHS: np.array([len(string) for string in strings]),
    }


def unpack(arrays: dict[str, npt.NDArray[Any]]) -> list[bytes]:
    """Take those arrays out of others, and the strings out of them. Raises KeyError if they are not there."""
    pieces = np.split(arrays.pop(_OCTETS), np.cumsum(arrays.pop(_LENGTHS))[:-1])
    return [piece.tobytes() for piece in pieces]
