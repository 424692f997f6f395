"""Fits many variants of a recipe and says which reads held-out digits best.

Hyperband (Li et al. 2018) fits many variants for few epochs and goes on with the best of them: KerasTuner's, with its
seeded random values. A variant that goes on is fitted anew over more epochs, as its learning rate may fall over all of
them; so each trial's figures are those that a run of such a recipe has.
"""

import hashlib
import logging
import tempfile
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import keras_tuner
from rich.console import Console

from trainer.bar import bar
from trainer.data.datasets import Dataset, load
from trainer.recipes import Recipe
from trainer.run_folder.runs import CouldNotWriteError
from trainer.search.journal import Journal, Trial
from trainer.search.space import Choices, Continuous, space_of, values_of, varied
from trainer.search.trials import OWN, Trials, held_out_of

Method = Literal["hyperband", "random"]

_OBJECTIVE = "accuracy"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search came to."""

    recipe: Recipe
    """The best trial's settings, with the epochs and the share of validation of the recipe searched."""
    best: Trial
    own: Trial
    """The recipe as it is, fitted to the same images."""
    trials: list[Trial]
    """In the order in which they were made."""
    held_out: int
    """How many digits judged them."""


def search(
    recipe: Recipe,
    *,
    trials: int,
    method: Method,
    data: Path | None,
    kept: Path,
    seed: int,
    console: Console,
) -> Found:
    """Fit variants of a recipe to five sixths of the training images; the others judge. Test images are not used.

    Args:
        recipe: what to vary.
        trials: how many variants; one that goes on for more epochs counts again. There may be fewer, if no others are
            found.
        method: Hyperband, or random variants over all epochs.
        data: the data set, None for Keras' download.
        kept: folder of what an interrupted search left, and where this one leaves it.
        seed: the same one on the same processor gives the same trials.
        console: where progress is shown, if it is a terminal.

    Raises:
        UserError: a recipe that cannot be searched, a data set that cannot be used, or a folder that cannot be written.
    """
    space_of(recipe)  # before anything takes long
    # Each fit has a graph of its own, of which TensorFlow warns as of a mistake.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    dataset = load(data)
    held_out = held_out_of(dataset)
    try:
        journal = Journal(kept, _settings(recipe, dataset, method, seed))
        if journal.trials:
            console.print(f"going on after {len(journal.trials)} of {trials + 1} fits", highlight=False)
        with bar(console) as progress:
            fits = Trials(recipe, dataset, journal, count=trials, seed=seed, progress=progress)
            own = fits.finish(OWN, values_of(recipe), recipe.epochs)
            made = _Tuner(_oracle(recipe, method, trials, seed), fits).made_trials()
    except OSError as error:
        raise CouldNotWriteError(f"{kept}: {error}; make room there, and repeat the command to go on") from error
    best = best_of(made)
    return Found(
        recipe=replace(varied(recipe, best.values), name=f"{recipe.name[:93]}-search"),
        best=best,
        own=own,
        trials=made,
        held_out=held_out,
    )


def best_of(trials: list[Trial]) -> Trial:
    """Of the trials with most epochs, the one with the highest accuracy; of equals the one with the lowest loss."""
    most = max(trial.epochs for trial in trials)
    return max((trial for trial in trials if trial.epochs == most), key=lambda trial: (trial.accuracy, -trial.loss))


def _settings(recipe: Recipe, dataset: Dataset, method: Method, seed: int) -> dict[str, Any]:
    """What must be the same for a search to go on; the number of trials need not."""
    return {
        "recipe": asdict(recipe),
        "seed": seed,
        "method": method,
        "images": hashlib.sha256(dataset.x_train.tobytes() + dataset.y_train.tobytes()).hexdigest(),
        "versions": {name: version(name) for name in ("digits", "keras-tuner", "keras", "tensorflow")},
    }


def _oracle(recipe: Recipe, method: Method, trials: int, seed: int) -> keras_tuner.Oracle:
    """What says which values to try next."""
    space = keras_tuner.HyperParameters()
    for name, of in space_of(recipe).items():
        match of:
            case Continuous():
                space.Float(name, of.low, of.high, sampling="log")
            case Choices():
                space.Choice(name, list(of.values), ordered=True)
    settings = {
        "objective": keras_tuner.Objective(_OBJECTIVE, "max"),
        "seed": 1 + seed,  # for 0 it would draw one
        "hyperparameters": space,
    }
    if method == "random":
        return keras_tuner.oracles.RandomSearchOracle(max_trials=trials, **settings)
    # As many rounds as it takes.
    oracle = keras_tuner.oracles.HyperbandOracle(max_epochs=recipe.epochs, hyperband_iterations=trials, **settings)
    oracle.max_trials = trials
    return oracle


class _StoppedError(keras_tuner.errors.FatalError):  # type: ignore[misc] # KerasTuner ships no types
    """Stops KerasTuner, which takes other exceptions for trials that fail. Its cause is what happened."""


class _Tuner(keras_tuner.engine.base_tuner.BaseTuner):  # type: ignore[misc] # the same
    """KerasTuner's loop over trials.

    Its own files are not written to a place that lasts: a process that is killed may leave half of one.
    """

    def __init__(self, oracle: keras_tuner.Oracle, fits: Trials) -> None:
        self._files = tempfile.TemporaryDirectory()
        super().__init__(oracle, directory=self._files.name, project_name="search")
        self._fits = fits
        self._made: list[Trial] = []

    def made_trials(self) -> list[Trial]:
        """Run all trials and return them; what goes wrong in one is raised."""
        with self._files:
            try:
                self.search(verbose=0)
            except _StoppedError as stopped:
                raise stopped.__cause__ or stopped from None
        return self._made

    def run_trial(self, trial: Any, **_settings: object) -> dict[str, float]:  # noqa: ANN401 - KerasTuner's class
        """One trial; KerasTuner calls it."""
        values = trial.hyperparameters.values
        epochs = int(values.get("tuner/epochs", self._fits.recipe.epochs))
        own = {name: value for name, value in values.items() if not name.startswith("tuner/")}
        try:
            self._made.append(self._fits.finish(1 + int(trial.trial_id), own, epochs))
        except Exception as error:
            raise _StoppedError from error
        return {_OBJECTIVE: self._made[-1].accuracy}
