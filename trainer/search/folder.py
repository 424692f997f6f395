"""What a search leaves behind: the best recipe, the trials and their picture."""

from pathlib import Path
from typing import Final

from exporter.command import counted
from trainer.recipe_file import recipe_text
from trainer.recipes import Recipe
from trainer.run_folder.runs import RECIPE, CouldNotWriteError
from trainer.search.picture import parallel_coordinates
from trainer.search.search import Found
from trainer.search.space import space_of
from trainer.search.words import write_csv

TRIALS: Final = "trials.csv"
PICTURE: Final = "trials.png"


def write_found(folder: Path, found: Found, recipe: Recipe, *, seed: int) -> None:
    """Fill the folder of a finished search of a recipe.

    Raises:
        CouldNotWriteError: the disk does not take it.
    """
    best = found.best
    comments = (
        f"Trial {best.number} of digits-train search {recipe.name} --trials {len(found.trials)} --seed {seed}.",
        f"After {best.epochs} epochs it read {best.accuracy:.2%} of {found.held_out:,} held-out training digits,",
        f"and {recipe.name} itself {found.own.accuracy:.2%} after {found.own.epochs}.",
        "Fit it with digits-train --recipe and this file.",
    )
    count = counted(len(found.trials), "trial")
    try:
        (folder / RECIPE).write_text(recipe_text(found.recipe, *comments), encoding="utf-8")
        write_csv(folder / TRIALS, found.trials, found.own, recipe)
        parallel_coordinates(
            folder / PICTURE,
            found.trials,
            best,
            space_of(recipe),
            title=f"{recipe.name}: {count}, the best reads {best.accuracy:.2%} of held-out digits",
        )
    except OSError as error:
        raise CouldNotWriteError(
            f"{folder.parent}: cannot be written ({error}); make room there, and repeat the command"
        ) from error


def verdict(found: Found, recipe: Recipe) -> str:
    """Say how good the best trial is, beside the recipe itself, and what that is worth."""
    best, own, epochs = found.best, found.own, recipe.epochs
    said = (
        f"best: trial {best.number}, {best.accuracy:.2%} of {found.held_out:,} held-out training digits; "
        f"{recipe.name} itself {own.accuracy:.2%}"
    )
    if best.epochs < epochs:
        return f"{said}. No trial had all {epochs} epochs, the best {best.epochs}: give more --trials"
    return said if best.accuracy > own.accuracy else f"{said}. No trial is better: keep {recipe.name}"
