"""How a trial reads: its values, the line about it, the table of all, its row in a CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from trainer.recipes import Recipe
from trainer.search.journal import Trial
from trainer.search.space import varied


def shown(name: str, value: float) -> str:
    """A value of the space, short."""
    return f"{value:.3g}" if name == "learning_rate" else f"{value:g}"


def described(trial: Trial, recipe: Recipe) -> str:
    """A line about a trial of a recipe."""
    values = ", ".join(f"{name.replace('_', ' ')} {shown(name, value)}" for name, value in trial.values.items())
    parameters = varied(recipe, trial.values).parameters
    return (
        f"accuracy {trial.accuracy:.4f} after {trial.epochs} epoch{'s' * (trial.epochs != 1)}; {values}; "
        f"{parameters:,} parameters, {trial.seconds:.1f} s"
    )


def table_of(trials: Sequence[Trial], own: Trial) -> Table:
    """All trials, those of most epochs first, the best of them on top, and among them the recipe itself.

    80 columns are wide enough for it.
    """
    table = Table(box=None, padding=(0, 1), collapse_padding=True, pad_edge=False, header_style="bold")
    names = list(own.values)
    for heading in ("trial", "epochs", *(name.replace("_", " ") for name in names), "accuracy", "seconds"):
        table.add_column(heading, justify="right")
    for trial in sorted((own, *trials), key=lambda each: (-each.epochs, -each.accuracy, each.loss)):
        table.add_row(
            str(trial.number) if trial is not own else "recipe",
            str(trial.epochs),
            *(shown(name, trial.values[name]) for name in names),
            f"{trial.accuracy:.2%}",
            f"{trial.seconds:.1f}",
        )
    return table


def write_csv(path: Path, trials: Sequence[Trial], own: Trial, recipe: Recipe) -> None:
    """Write a row for each trial in the order in which they were made, the recipe itself first, as number 0."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["trial", "epochs", *own.values, "parameters", "accuracy", "loss", "seconds"])
        for trial in (own, *trials):
            parameters = varied(recipe, trial.values).parameters
            figures = (parameters, trial.accuracy, trial.loss, trial.seconds)
            rows.writerow([trial.number, trial.epochs, *trial.values.values(), *figures])
