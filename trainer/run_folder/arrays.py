"""Arrays that a run keeps on the way, so that an interrupted one goes on."""

from pathlib import Path

import numpy as np
import numpy.typing as npt


def write_arrays(path: Path, *unnamed: npt.NDArray[np.generic], **named: npt.NDArray[np.generic]) -> None:
    """Write an .npz, whole or not at all. Raises OSError.

    Args:
        path: the file.
        unnamed: arrays that NumPy calls `arr_0` and so on.
        named: arrays with names of their own.
    """
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, *unnamed, allow_pickle=False, **named)
    partial.replace(path)
