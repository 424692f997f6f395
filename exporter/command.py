"""What the command lines share: errors for people, the missing-extra line, counts, `--version`."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from exporter.contract import MODEL_NAME, RUN_READER

SHIPPED_MODEL: Final = Path(__file__).parent.parent / "serving" / "models" / MODEL_NAME
"""The model folder that comes with digits: beside this package, in a checkout as in a wheel."""
SHIPPED_READER: Final = SHIPPED_MODEL.parent / RUN_READER
"""The reader of numbers that is in it."""


class UserError(Exception):
    """Something the user can put right.

    Its text says what happened, to which file or flag, and what to do; it is printed as one line, without a traceback.
    """

    exit_code = 2


def require_extra(extra: str, *modules: str) -> None:
    """Raise UserError, naming the extra, unless all its modules are installed. Imports none of them."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(f"{missing[0]} is not installed: {how_to_install(extra)}")


def how_to_install(extra: str) -> str:
    """Say how to install an extra of digits, which is on no package index: from a checkout, or from a wheel of it."""
    return f"run pip install '.[{extra}]' in a checkout of digits, or pip install 'WHEEL[{extra}]' with its wheel file"


def counted(number: int, noun: str) -> str:
    """A number and what is counted, in the singular or with an s: "1 shard", "2,000 shards"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def quiet_tensorflow() -> None:
    """Import TensorFlow without its start-up chatter, unless the user has lowered TF_CPP_MIN_LOG_LEVEL to read it.

    The chatter of its C++ libraries ignores that variable until they are loaded, hence the closed standard error.
    Keras is told to compute with it, whatever the user's other projects have it compute with.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        return
    import logging  # noqa: PLC0415 - it takes a tenth of a short run's start

    # What it advises about graphs that are built often is no word for users, and would break the progress line.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.stderr.flush()
    standard_error = os.dup(2)
    with open(os.devnull, "wb") as devnull:  # noqa: PTH123 - a device, no path of ours
        os.dup2(devnull.fileno(), 2)
    try:
        importlib.import_module("tensorflow")
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)


def _print_version(value: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if value:
        from importlib.metadata import version  # noqa: PLC0415 - it takes a tenth of a short run's start

        typer.echo(f"digits {version('digits')}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
]


def run(program: str, app: Callable[[], object]) -> None:
    """Run a Typer app; a UserError becomes one line on standard error and its exit code."""
    try:
        app()
    except UserError as error:
        with suppress(OSError):  # standard error may be full, or read by nobody
            print(f"{program}: {error}", file=sys.stderr)  # noqa: T201 - Rich would wrap the line
        sys.exit(error.exit_code)
