"""What a search has found so far, on disk: one line of JSON for each finished trial.

A search that goes on asks KerasTuner for the same trials again, which the same seed gives, and answers from here.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from exporter.command import UserError

_SETTINGS = "search.json"
_TRIALS = "trials.jsonl"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A recipe that was fitted, and how well it reads digits that were held out from its fit."""

    number: int
    """From 1; 0 is the recipe itself."""
    values: dict[str, float]
    """By the names of the space."""
    epochs: int
    accuracy: float
    """Share of the held-out digits answered right after the last epoch."""
    loss: float
    """Their mean cross-entropy, in nats."""
    seconds: float
    """Wall time of the fit."""


def trials_done(folder: Path) -> int:
    """How many trials an interrupted search has left."""
    return len(_read(folder / _TRIALS)) if folder.exists() else 0


class Journal:
    """The finished trials of a search.

    Args:
        folder: made if it is not there.
        settings: what tells the search from others, as JSON has it.

    Raises:
        UserError: the folder holds another search's.
        OSError: it cannot be written; so does `add`.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._folder = folder
        path, text = folder / _SETTINGS, json.dumps(settings, sort_keys=True)
        if not (path.exists() and path.read_text(encoding="utf-8") == text):
            if trials_done(folder):
                raise UserError(f"{folder} holds an interrupted search of another kind; remove it or change --out")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            partial = path.with_suffix(".partial")
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        self.trials = {trial.number: trial for trial in _read(folder / _TRIALS)}

    def add(self, trial: Trial) -> None:
        """Keep a finished trial, whatever happens next."""
        path = self._folder / _TRIALS
        # Whole lines alone: a process that was killed while it wrote has left a part of one.
        lines = [json.dumps(asdict(each)) + "\n" for each in (*self.trials.values(), trial)]
        partial = path.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        self.trials[trial.number] = trial


def _read(path: Path) -> list[Trial]:
    if not path.exists():
        return []
    return [Trial(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
