"""Where an interrupted fit goes on: weights, optimizer and figures after each epoch, beside the run folder to be."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from exporter.command import UserError
from trainer.recipes import Recipe
from trainer.run_folder.runs import CHECKPOINT, LESSONS, History, epochs_done

_SETTINGS = "settings.json"
_PARTIAL = f".partial{CHECKPOINT}"


class Checkpoints(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Keeps the newest epoch of a fit on disk; one that is killed at any moment goes on from there.

    Args:
        folder: made if it is not there.
        recipe: what is fitted.
        seed: of the fit.
        images: how many are fitted and how many validate.
        teachers: what tells a student's teachers from others.

    Raises:
        UserError: the folder holds another fit's.
        OSError: it cannot be written; so do the methods.
    """

    def __init__(
        self, folder: Path, recipe: Recipe, *, seed: int, images: tuple[int, int], teachers: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._folder = folder
        self.history: History = {}
        settings = json.dumps(
            {"recipe": asdict(recipe), "seed": seed, "images": images, "teachers": list(teachers)}, sort_keys=True
        )
        path = folder / _SETTINGS
        if path.exists() and path.read_text(encoding="utf-8") == settings:
            return
        if epochs_done(folder):
            raise UserError(f"{folder} holds an interrupted fit of another kind; remove it or choose another --out")
        shutil.rmtree(folder, ignore_errors=True)  # teachers' answers for another fit
        folder.mkdir(parents=True)
        _write(path, settings)

    @property
    def lessons(self) -> Path:
        """File of teachers' answers."""
        return self._folder / LESSONS

    def restore(self, model: keras.Model) -> int:
        """Bring a compiled network to where the fit stopped, and return how many epochs are done."""
        epoch = epochs_done(self._folder)
        if epoch:
            # Its variables are made by the first step otherwise.
            model.optimizer.build(model.trainable_variables)
            model.load_weights(self._weights(epoch))
            self.history = json.loads(self._figures(epoch).read_text(encoding="utf-8"))
        return epoch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save; Keras calls it."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        _write(self._figures(epoch + 1), json.dumps(self.history))
        self.model.save_weights(self._folder / _PARTIAL)
        (self._folder / _PARTIAL).replace(self._weights(epoch + 1))
        if epoch:
            self._weights(epoch).unlink(missing_ok=True)
            self._figures(epoch).unlink(missing_ok=True)

    def _weights(self, epoch: int) -> Path:
        return self._folder / f"{epoch}{CHECKPOINT}"

    def _figures(self, epoch: int) -> Path:
        return self._folder / f"{epoch}.json"


def _write(path: Path, text: str) -> None:
    partial = path.with_name("partial.json")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)  # noqa: PTH105 - at once, and over an older one
