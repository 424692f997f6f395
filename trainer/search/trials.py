"""The fits of a search: each finished once, kept in the journal, shown on the terminal."""

import io
import time
from dataclasses import replace

import keras
from rich.console import Console
from rich.progress import Progress

from exporter.command import UserError
from exporter.picture.normalise import normalise_arrays
from trainer.data.datasets import Dataset
from trainer.data.nondigits import NonDigits, non_digits
from trainer.fitting.fit import Material, fit
from trainer.fitting.network import build
from trainer.recipes import Recipe
from trainer.search.journal import Journal, Trial
from trainer.search.space import Values, varied
from trainer.search.words import described

HELD_OUT = 1 / 6
"""Share of the training images, from their end, that judges the trials: 10,000 of MNIST's."""

OWN = 0
"""Number of the fit of the recipe itself."""

_POOL = 5_000  # most pictures that are no digit


class Trials:
    """Fits variants of a recipe, but for those that the journal has.

    Args:
        recipe: of which the variants are.
        dataset: its training images are used; the last of them judge.
        journal: what is finished.
        count: how many trials there will be.
        seed: of each fit.
        progress: shows the trials.
    """

    def __init__(
        self, recipe: Recipe, dataset: Dataset, journal: Journal, *, count: int, seed: int, progress: Progress
    ) -> None:
        self.recipe = recipe
        self.held_out = held_out_of(dataset)
        self._fitted = len(dataset.x_train) - self.held_out
        self._journal = journal
        self._count = count
        self._seed = seed
        self._progress = progress
        self._task = progress.add_task("reading the images", total=count + 1)
        self._labels = dataset.y_train
        self._images = normalise_arrays(dataset.x_train)
        self._others = None
        if recipe.non_digits:
            pictures = non_digits(min(_POOL, self._fitted), digits=dataset.x_train[: self._fitted], seed=seed)
            self._others = NonDigits(pictures, recipe.non_digits)

    def finish(self, number: int, values: Values, epochs: int) -> Trial:
        """A trial's figures, from the journal or a fit.

        Raises:
            OSError: the journal cannot be written.
        """
        trial = self._journal.trials.get(number)
        if trial is None or (trial.values, trial.epochs) != (values, epochs):
            trial = self._fit(number, values, epochs)
            self._journal.add(trial)
            if not self._progress.disable:
                line = f"{self._name(number)}: {described(trial, self.recipe)}"
                self._progress.console.print(line, highlight=False)
        self._progress.update(self._task, completed=number + 1)
        return trial

    def _name(self, number: int) -> str:
        return "the recipe itself" if number == OWN else f"trial {number}/{self._count}"

    def _fit(self, number: int, values: Values, epochs: int) -> Trial:
        variant = replace(varied(self.recipe, values), epochs=epochs, validation=HELD_OUT)

        def show(done: int) -> None:
            where = f"{self._name(number)}, epoch {min(done + 1, epochs)}/{epochs}"
            self._progress.update(self._task, completed=number + done / epochs, description=where)

        show(0)
        start = time.perf_counter()
        # From its start even where it was interrupted: another order of the images would give other figures.
        keras.utils.clear_session()
        keras.utils.set_random_seed(self._seed)
        history = fit(
            build(variant),
            Material(self._images, self._labels, self._others),
            variant,
            seed=self._seed,
            console=Console(file=io.StringIO()),  # a line for each epoch of each trial would be too many
            after_epoch=show,
        )
        return Trial(
            number=number,
            values=dict(values),
            epochs=epochs,
            accuracy=history["val_accuracy"][-1],
            loss=history["val_loss"][-1],
            seconds=round(time.perf_counter() - start, 3),
        )


def held_out_of(dataset: Dataset) -> int:
    """How many training images judge; UserError where there are too few."""
    images = len(dataset.x_train)
    held_out = round(HELD_OUT * images)
    if not 0 < held_out < images:
        raise UserError(f"{images} training images are too few to hold out a sixth of them; give more with --data")
    return held_out
