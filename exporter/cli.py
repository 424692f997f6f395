"""digits-export: publish a trained run as the next version of a served model; show what its normaliser does."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from exporter.command import SHIPPED_MODEL, UserError, VersionOption, quiet_tensorflow, require_extra, run
from exporter.gate import objections

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def export(
    *,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN | FILES...",
            help="Run folder of digits-train, or a published version to publish anew; or pictures for --show.",
        ),
    ],
    to: Annotated[Path | None, typer.Option("--to", help="Model folder. RUN becomes its next version.")] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16"],
        typer.Option(
            "--dtype",
            help="Data type of the matrix products. bfloat16 is about twice as fast on processors with AMX or "
            "AVX512_BF16; on other processors such a version uses float32.",
        ),
    ] = "float32",
    numbers: Annotated[
        Path | None,
        typer.Option(
            "--numbers",
            help="Run folder of digits-train numbers, or its reader.npz: the version also reads fields of several "
            "digits.",
            show_default="the reader of RUN, if it was adapted to fields",
        ),
    ] = None,
    accept_worse: Annotated[
        bool,
        typer.Option(
            "--accept-worse",
            help="Publish an adapted run even if it is not known to be better, or reads less of MNIST.",
        ),
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Draw how the normaliser sees FILES, and the answers, to --out.")
    ] = False,
    read: Annotated[
        Literal["digits", "numbers"],
        typer.Option("--read", help="With --show: what FILES hold, single digits or fields of several."),
    ] = "digits",
    out: Annotated[Path | None, typer.Option("--out", help="With --show: PNG to write.")] = None,
    model: Annotated[
        Path,
        typer.Option(
            "--model", help="With --show: model folder whose newest version answers.", show_default="the shipped model"
        ),
    ] = SHIPPED_MODEL,
    version: VersionOption = False,  # noqa: ARG001 - answered before the command runs
) -> None:
    """Publish a run as the next version of a model: write it, verify it in a fresh process, warm it up, rename it.

    digits-export RUN --to FOLDER

    digits-export --show FILES... --out sheet.png
    """
    if show:
        if out is None or to is not None:
            raise UserError("--show needs --out for its picture, and no --to")
        _show(paths, model, out, read)
    else:
        if to is None or out is not None:
            raise UserError("name the model folder with --to, or draw pictures with --show FILES... --out sheet.png")
        if len(paths) != 1:
            raise UserError(f"one run folder is published at a time, not {len(paths)}")
        _publish(paths[0], to, dtype, numbers, accept_worse=accept_worse)


def _publish(run_folder: Path, to: Path, dtype: str, numbers: Path | None, *, accept_worse: bool) -> None:
    against = objections(run_folder)
    if against and not accept_worse:
        raise UserError(
            f"{run_folder} is not published: {'; '.join(against)}. --accept-worse publishes it all the same"
        )
    require_extra("train", "tensorflow", "keras", "tensorflow_serving")
    from rich.console import Console

    with Console(stderr=True).status("starting TensorFlow") as status:
        quiet_tensorflow()
        from exporter.publish import publish

        folder = publish(run_folder, to, on_step=status.update, dtype=dtype, reader=numbers)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    typer.echo(
        f"published {folder}: version {folder.name}, {size / 1e6:.1f} MB, verified as Python and the server run it"
    )
    if against:
        typer.echo(f"accepted: {'; '.join(against)}")


def _show(files: list[Path], model: Path, out: Path, read: str) -> None:
    require_extra("train", "tensorflow", "PIL")
    quiet_tensorflow()
    from exporter.show import show, show_numbers

    if read == "numbers":
        show_numbers(files, model, out)
    else:
        show(files, model, out)
    typer.echo(f"drawn {out}: {len(files)} pictures")


def main() -> None:
    """Run the command."""
    run("digits-export", app)


if __name__ == "__main__":
    main()
