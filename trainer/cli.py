"""`digits-train`: fit a recipe on MNIST and leave a run folder."""

import _thread
import itertools
import os
import shutil
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from exporter.command import (
    SHIPPED_MODEL,
    SHIPPED_READER,
    UserError,
    VersionOption,
    counted,
    quiet_tensorflow,
    require_extra,
    run,
)
from trainer.data.labels import DIGITS, FIELDS, read_labels
from trainer.recipe_file import read_recipe
from trainer.recipes import RECIPES, Recipe, find
from trainer.run_folder.runs import LESSONS, RECIPE, checkpoints_of, epochs_done, new_run_folder, usual_name
from trainer.search.journal import trials_done
from trainer.search.space import space_of

READER = "numbers"
"""Not the name of a network, but of the reader of fields."""
ADAPT = "adapt"
"""Nor this: it goes on with a fitted network."""
_SHIPPED_VERSION = SHIPPED_MODEL / "1"
SEARCH = "search"
"""Nor this: it is followed by the recipe to vary."""

_NAMED = "RECIPE"
_TAKES = {
    _NAMED: ("--recipe", "--teacher", "--h5"),
    SEARCH: ("--recipe", "--trials", "--tuner"),
    READER: ("--from",),
    ADAPT: ("--from", "--labels", "--fields", "--numbers", "--group"),
}
"""The flags of each, besides those that all take."""

_TRIALS = 20
_AGAIN_S = 0.05  # after which an interrupt that was lost comes again

_PIPE_COLUMNS = 120  # where there is no terminal to fold for, the table keeps its rows whole

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def _print_recipes(value: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if not value:
        return
    table = Table(box=None, padding=(0, 1), collapse_padding=True, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    table.add_column("layers", min_width=10)  # the one that folds on a narrow terminal
    for heading in ("outputs", "loss"):
        table.add_column(heading, no_wrap=True)
    for heading in ("epochs", "batch", "validation", "parameters"):
        table.add_column(heading, no_wrap=True, justify="right")
    for recipe in RECIPES.values():
        table.add_row(
            recipe.name,
            _layers(recipe),
            recipe.outputs,
            "one-hot" if recipe.one_hot else "sparse",
            str(recipe.epochs),
            str(recipe.batch),
            f"{recipe.validation:.0%}" if recipe.validation else "none",
            f"{recipe.parameters:,}",
        )
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)
    raise typer.Exit


def _layers(recipe: Recipe) -> str:
    parts = [f"{len(recipe.convolutions)} convolutions"] if recipe.convolutions else []
    for units, alike in itertools.groupby(recipe.hidden):
        count = len(list(alike))
        parts.append(f"{count}x{units}" if count > 1 else str(units))
    if recipe.batch_norm:
        parts.append("batch norm")
    if recipe.dropout:
        parts.append(f"dropout {recipe.dropout:g}")
    if recipe.distillation:
        parts.append("taught")
    elif recipe.augmentation:
        parts.append("distortion")
    return ", ".join(parts)


@app.command(
    epilog="Exit codes: 0 done; 2 wrong usage or data; 3 the run folder could not be written; 130 interrupted."
)
def train(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="The network to fit; --list shows all. Or numbers, for a reader of fields; adapt; or search.",
            show_default=False,
        ),
    ] = None,
    searched: Annotated[
        str | None,
        typer.Argument(metavar="VARIED", help="For search: the recipe to vary.", show_default=False),
    ] = None,
    *,
    recipe_file: Annotated[
        Path | None,
        typer.Option("--recipe", help="File of a recipe, in place of RECIPE; search writes one.", show_default=False),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="For search: how many variants to fit.", show_default="20"),
    ] = None,
    tuner: Annotated[
        Literal["hyperband", "random"] | None,
        typer.Option(
            help="For search: fit many variants for few epochs and go on with the best, or random ones for all epochs.",
            show_default="hyperband",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="DIGITS_DATA",
            help="Folder with MNIST's four IDX files or mnist.npz, or an .npz file. Without it, Keras downloads MNIST.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder to create. It must not exist.", show_default="runs/RECIPE-seedN"),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**32 - 1,
            help="Seed of everything random. The same seed on the same processor gives the same weights.",
        ),
    ] = 0,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            help="Run folder of a teacher, for a recipe that learns from teachers. Repeatable.",
            show_default="TEACHER-seed0, TEACHER-seed1 and so on, as many as the recipe has, beside --out",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="The run folder, or the published version, of the network to go on with: for numbers, it judges what "
            "may be a digit; for adapt, it is adapted.",
            show_default="for adapt the included model",
        ),
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            help="For adapt: a folder of folders named by digit, a CSV of path,label, or the record of a review. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    fields: Annotated[
        list[Path] | None,
        typer.Option(
            help="For adapt: labels of whole fields of several digits, as --labels; the network learns from their "
            "digits, and a reader of numbers from the fields. Repeatable.",
            show_default=False,
        ),
    ] = None,
    numbers: Annotated[
        Path | None,
        typer.Option(
            help="For adapt with --fields: run folder of digits-train numbers, or its reader.npz, to go on with.",
            show_default="the included reader",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="For adapt: which pictures belong together, such as a writer's: parent for those of a folder, a "
            "column of the CSV, or a regular expression with a group in parentheses. Figures are about groups that the "
            "network has not seen.",
            show_default="each picture alone",
        ),
    ] = None,
    h5: Annotated[bool, typer.Option("--h5", help="Also save the network as mnist_model.h5.")] = False,
    list_recipes: Annotated[  # noqa: ARG001 - its callback does it all
        bool,
        typer.Option("--list", help="Print the recipes and exit.", callback=_print_recipes, is_eager=True),
    ] = False,
    version: VersionOption = False,  # noqa: ARG001 - the same
) -> None:
    """Fit a network on MNIST. Write a run folder with the model, metrics, history, warm-up digits and pictures.

    digits-train RECIPE

    digits-train --recipe FILE

    digits-train search RECIPE --trials 20

    digits-train numbers --from RUN

    digits-train adapt --labels FILE

    If the run is interrupted, repeat the command to resume after the last whole epoch.
    """
    flags: dict[str, object] = {"--recipe": recipe_file, "--teacher": teacher, "--from": source, "--h5": h5}
    flags |= {"--labels": labels, "--fields": fields, "--numbers": numbers, "--group": group}
    flags |= {"--trials": trials, "--tuner": tuner}
    _refuse_mixed(name, flags)
    if name == SEARCH:
        _search(_asked(searched, recipe_file), trials or _TRIALS, tuner or "hyperband", data=data, out=out, seed=seed)
        return
    if searched is not None:
        raise UserError(f"one network is fitted at a time; leave {searched} away")
    if name == ADAPT:
        out = out or Path("runs") / usual_name(ADAPT, seed)
        given = labels or [], fields or []
        _adapt(*given, source or _SHIPPED_VERSION, numbers, data=data, group=group, out=out, seed=seed)
        return
    if name == READER:
        _train_reader(source, data=data, out=out or Path("runs") / usual_name(READER, seed), seed=seed)
        return
    recipe = _asked(name, recipe_file)
    out = out or Path("runs") / usual_name(recipe.name, seed)
    if recipe.distillation is not None:
        usual = [usual_name(recipe.distillation.teacher, number) for number in recipe.distillation.seeds]
        teachers = teacher or [out.with_name(name) for name in usual]
    elif teacher:
        raise UserError(f"{recipe.name} learns from labels alone; leave --teacher away")
    else:
        teachers = []
    require_extra("train", "tensorflow", "keras", "matplotlib", "PIL")
    # Progress goes to standard error; standard output has the result alone.
    console = Console(stderr=True)
    checkpoints = checkpoints_of(out)
    try:
        with new_run_folder(out) as folder:
            with console.status("Starting TensorFlow"):
                quiet_tensorflow()
                from trainer import training  # TensorFlow takes seconds to import
            paths = training.Paths(data=data, teachers=teachers, checkpoints=checkpoints, folder=folder)
            summary = training.train(recipe, paths, seed=seed, h5=h5, console=console)
    except KeyboardInterrupt:
        typer.echo(f"digits-train: interrupted, {_what_is_kept(checkpoints)}", err=True)
        sys.stderr.flush()
        # At once: TensorFlow's threads are in the middle of a step, and may crash while the interpreter is taken down.
        os._exit(130)
    shutil.rmtree(checkpoints, ignore_errors=True)
    typer.echo(f"{out}")
    typer.echo(f"test accuracy {summary.accuracy:.2%}, loss {summary.loss:.4f}, {summary.seconds:.1f} s")


def _train_reader(source: Path | None, *, data: Path | None, out: Path, seed: int) -> None:
    if source is None:
        raise UserError("numbers needs a network that judges single digits; name its run folder with --from")
    require_extra("train", "tensorflow", "keras", "matplotlib", "PIL")
    console = Console(stderr=True)
    kept = checkpoints_of(out)
    try:
        with new_run_folder(out) as folder:
            with console.status("Starting TensorFlow"):
                quiet_tensorflow()
                from trainer.numbers import training
            summary = training.train_reader(
                source, data=data, folder=folder, kept=kept, seed=seed, console=console, amounts=training.Amounts()
            )
    except KeyboardInterrupt:
        typer.echo("digits-train: interrupted, the same command goes on with the strings that are read", err=True)
        sys.stderr.flush()
        os._exit(130)
    shutil.rmtree(kept, ignore_errors=True)
    typer.echo(f"{out}")
    typer.echo(
        f"strings of test digits read exactly {summary.exact:.2%}, digit error {summary.digit_error:.2%}, "
        f"{summary.seconds:.1f} s"
    )


def _adapt(
    labels: list[Path],
    fields: list[Path],
    source: Path,
    numbers: Path | None,
    *,
    data: Path | None,
    group: str | None,
    out: Path,
    seed: int,
) -> None:
    if not labels and not fields:
        raise UserError(
            "adapt learns from labels; name a CSV or a folder of them with --labels, or those of whole fields with "
            "--fields"
        )
    if numbers is not None and not fields:
        raise UserError(f"--numbers {numbers}: a reader learns from fields alone; label some with --fields")
    require_extra("train", "tensorflow", "keras", "matplotlib", "PIL")
    console = Console(stderr=True)
    kept = checkpoints_of(out)
    of_digits = read_labels(labels, DIGITS) if labels else None
    of_fields = read_labels(fields, FIELDS) if fields else None
    try:
        with new_run_folder(out) as folder:
            with console.status("Starting TensorFlow"):
                quiet_tensorflow()
                from trainer.adapt import report, training
                from trainer.adapt.given import Asked
                from trainer.adapt.settings import Settings
            asked = Asked(
                labels=of_digits,
                fields=of_fields,
                source=source,
                reader=numbers or SHIPPED_READER,
                data=data,
                group=group,
                seed=seed,
            )
            outcome = training.adapt(asked, folder=folder, kept=kept, console=console, settings=Settings())
    except KeyboardInterrupt:
        typer.echo("digits-train: interrupted, the same command goes on with the folds that are done", err=True)
        sys.stderr.flush()
        os._exit(130)
    shutil.rmtree(kept, ignore_errors=True)
    typer.echo(f"{out}")
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(report.table(outcome))
    for sentence in report.verdict(outcome):
        typer.echo(sentence)


def _refuse_mixed(name: str | None, flags: Mapping[str, object]) -> None:
    """UserError if a flag is given that what is asked for does not take."""
    takes = _TAKES.get(name or _NAMED, _TAKES[_NAMED])
    for flag, value in flags.items():
        if value and flag not in takes:
            owners = " or ".join(f"digits-train {owner}" for owner, own in _TAKES.items() if flag in own)
            raise UserError(f"{flag} is for {owners}, not for {name or 'this'}; leave it away")


def _asked(name: str | None, file: Path | None) -> Recipe:
    """The recipe that is named, or that a file holds."""
    if name is not None and file is not None:
        raise UserError(f"name a recipe, {name}, or give its file with --recipe, not both")
    if file is not None:
        return read_recipe(file)
    if name is None:
        raise UserError(
            f"which recipe? One of {', '.join(RECIPES)}; --list shows them. Or a file, with --recipe; "
            "numbers, for a reader; or adapt"
        )
    return find(name)


def _search(
    recipe: Recipe,
    trials: int,
    tuner: Literal["hyperband", "random"],
    *,
    data: Path | None,
    out: Path | None,
    seed: int,
) -> None:
    space_of(recipe)  # before TensorFlow starts
    require_extra("train", "tensorflow", "keras", "matplotlib", "PIL")
    require_extra("search", "keras_tuner")
    out = out or Path("runs") / usual_name(f"{SEARCH}-{recipe.name}", seed)
    console = Console(stderr=True)
    kept = checkpoints_of(out)
    try:
        with new_run_folder(out) as folder:
            with console.status("Starting TensorFlow"):
                quiet_tensorflow()
                from trainer.search.folder import verdict, write_found
                from trainer.search.search import search
                from trainer.search.words import table_of
            found = search(recipe, trials=trials, method=tuner, data=data, kept=kept, seed=seed, console=console)
            write_found(folder, found, recipe, seed=seed)
    except KeyboardInterrupt:
        done = trials_done(kept)
        typer.echo(f"digits-train: interrupted, {counted(done, 'fit')} kept, the same command goes on", err=True)
        sys.stderr.flush()
        os._exit(130)
    shutil.rmtree(kept, ignore_errors=True)
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table_of(found.trials, found.own))
    typer.echo(verdict(found, recipe))
    typer.echo(f"{out / RECIPE}")


def _what_is_kept(checkpoints: Path) -> str:
    """Say what an interrupted run has left, and remove its folder if that is nothing."""
    done = epochs_done(checkpoints)
    if done:
        return f"{counted(done, 'epoch')} kept, the same command goes on from there"
    if (checkpoints / LESSONS).exists():
        return "the teachers' answers are kept, the same command goes on from there"
    shutil.rmtree(checkpoints, ignore_errors=True)
    return "nothing was kept"


def main() -> None:
    """Run `digits-train`."""
    _repeat_lost_interrupts()
    run("digits-train", app)


def _repeat_lost_interrupts() -> None:
    """Have Ctrl-C come once more where Python drops it, as in a callback of a weak reference of a freed network."""
    usual = sys.unraisablehook

    def hook(lost: "sys.UnraisableHookArgs") -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            usual(lost)
            return
        again = threading.Timer(_AGAIN_S, _thread.interrupt_main)
        again.daemon = True
        again.start()

    sys.unraisablehook = hook


if __name__ == "__main__":
    main()
