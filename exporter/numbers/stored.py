"""A reader in a file: what was fitted, and fields to verify a published version with."""

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from exporter.byte_strings import pack, unpack
from exporter.command import UserError
from exporter.contract import RUN_READER
from exporter.numbers.scorer import FLAT, FORM, HIDDEN, INPUTS, Weights


@dataclass(frozen=True)
class Reader:
    """What `digits-train numbers` leaves for `digits-export`.

    Attributes:
        weights: what was fitted, arrays of float16, or of float32 where there are few.
        samples: encoded pictures of fields.
    """

    weights: Weights
    samples: list[bytes]

    def save(self, path: Path) -> None:
        """Write an .npz."""
        arrays = {field.name: np.asarray(getattr(self.weights, field.name)) for field in fields(Weights)}
        np.savez(path, allow_pickle=False, **pack(self.samples), **arrays)

    @classmethod
    def load(cls, path: Path) -> "Reader":
        """Read what `save` wrote: the file itself, or the run folder that it is in.

        Raises:
            UserError: it is not there, damaged, or of another version.
        """
        path = path / RUN_READER if path.is_dir() else path
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            samples = unpack(arrays)
            weights = Weights(**{field.name: arrays[field.name] for field in fields(Weights)})
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} is no reader of numbers ({error}); make one with digits-train numbers") from None
        if weights.hidden.shape != (FORM + INPUTS, HIDDEN) or weights.form.shape != (FLAT, FORM):
            raise UserError(f"{path} is a reader of another version of digits; make one with digits-train numbers")
        return cls(weights, samples)
