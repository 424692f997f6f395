"""digits-batch: a table of predictions for folders of PNGs.

Imports nothing slow on top: `--help` should answer at once.
"""

import contextlib
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from batch.client.window import DEFAULT_IN_FLIGHT
from batch.files.walk import DEFAULT_BATCH_SIZE, PNGS, STANDARD_INPUT, Skipped, Walk, count, walk
from batch.terminal.progress import notify, progress
from exporter.command import UserError, VersionOption, require_extra, run
from exporter.contract import MODEL_NAME, SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batch.accuracy.tally import Tally
    from batch.engine import Listener
    from batch.job import Job
    from batch.summary import Summary

EXIT_SOME_ERRORS = 1
EXIT_NOT_FINISHED = 3
EXIT_INTERRUPTED = 130
_RESUME = "repeat the command to go on where this run stopped"

# Panels of --help.
_INPUT, _OUTPUT, _SERVER, _PACE, _CHECKS = "What is read", "What is written", "Who is asked", "How", "How good it is"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def predict(
    *,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Folders to walk for *.png, or single files; - reads paths from standard input, separated by newlines "
            "or NUL.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The table: .csv, .jsonl or .parquet; - for CSV on standard output, which cannot be resumed.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    glob: Annotated[
        list[str] | None,
        typer.Option(
            "--glob",
            metavar="PATTERN",
            help="Names to take in folders instead of '*.png'; may be repeated.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive/--no-recursive", help="Walk folders in folders.", rich_help_panel=_INPUT)
    ] = True,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add the probability of each digit.", rich_help_panel=_OUTPUT)
    ] = False,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence",
            metavar="P",
            min=0,
            max=1,
            help="Add a column, review: 1 for errors and where the confidence is lower.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            "--summary",
            metavar="FILE.json",
            dir_okay=False,
            help="Write there counts, errors by reason, versions, rate, time and retries.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a finished table.", rich_help_panel=_OUTPUT)
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Throw away an unfinished run's rows, do not resume it.", rich_help_panel=_OUTPUT),
    ] = False,
    server: Annotated[
        list[str] | None,
        typer.Option(
            "--server",
            envvar="DIGITS_SERVER",
            metavar="HOST:PORT",
            help="gRPC address; repeat it for replicas, or give a dns:///NAME:PORT of several. Without it: "
            "localhost:8500 if something listens there, else the built-in server.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="Name of the served model.", rich_help_panel=_SERVER)
    ] = MODEL_NAME,
    signature: Annotated[
        str, typer.Option("--signature", help="Its signature for encoded images.", rich_help_panel=_SERVER)
    ] = SIGNATURE,
    model_version: Annotated[
        int | None,
        typer.Option("--model-version", min=1, help="Ask this version instead of the newest.", rich_help_panel=_SERVER),
    ] = None,
    model_label: Annotated[
        str | None,
        typer.Option("--model-label", help="Ask the version with this label, such as stable.", rich_help_panel=_SERVER),
    ] = None,
    one_version: Annotated[
        bool,
        typer.Option(
            "--one-version",
            help="Take all rows from one version: start over, once, if a newer one takes its place.",
            rich_help_panel=_SERVER,
        ),
    ] = False,
    tls: Annotated[
        bool,
        typer.Option("--tls", help="Encrypt, trusting the system's authorities.", rich_help_panel=_SERVER),
    ] = False,
    tls_ca: Annotated[
        Path | None,
        typer.Option(
            "--tls-ca", metavar="FILE", help="Encrypt, trusting these authorities, PEM.", rich_help_panel=_SERVER
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            "--tls-cert", metavar="FILE", help="Our certificate for mutual TLS, PEM.", rich_help_panel=_SERVER
        ),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="Its private key, PEM.", rich_help_panel=_SERVER)
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            "--metadata",
            metavar="FILE",
            help="Lines of 'name: value' to send with each call, such as a bearer token; or DIGITS_METADATA in the "
            "environment.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only check that the server has what is asked for.", rich_help_panel=_SERVER),
    ] = False,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Most images in a request.", rich_help_panel=_PACE)
    ] = DEFAULT_BATCH_SIZE,
    in_flight: Annotated[
        int | None,
        typer.Option(
            "--in-flight",
            min=1,
            help=f"Requests under way; without it {DEFAULT_IN_FLIGHT} for each server, fewer while it is overloaded.",
            rich_help_panel=_PACE,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            min=0.1,
            help="Seconds on end that the server may fail before the run stops.",
            rich_help_panel=_PACE,
        ),
    ] = 60.0,
    max_errors: Annotated[
        str | None,
        typer.Option(
            "--max-errors",
            metavar="N|P%",
            help="Stop when more rows than that carry errors; a share counts from a hundred rows on.",
            rich_help_panel=_PACE,
        ),
    ] = None,
    truth: Annotated[
        str | None,
        typer.Option(
            "--truth",
            metavar="parent|FILE",
            help="Compare with true digits: 'parent' for the names of the files' folders, or a CSV of path,label.",
            rich_help_panel=_CHECKS,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FOLDER",
            help="With --truth, write there confusion.png, mistakes.png, mistakes.csv and accuracy.json.",
            rich_help_panel=_CHECKS,
        ),
    ] = None,
    version: VersionOption = False,  # noqa: ARG001 - answered before the command runs
) -> None:
    """Predict the digit in each PNG; write a row per image: path, digit, confidence, error, model_version.

    Exit codes: 0 every image answered; 1 finished, some rows carry errors; 2 wrong usage, or nothing to do;
    3 could not finish; 130 interrupted. After 3 and 130 the same command goes on where it stopped.
    """
    from batch.client.security import read_security
    from batch.client.tensors import Target
    from batch.job import Job
    from batch.summary import ErrorLimit
    from batch.table.output import STANDARD_OUTPUT, Form

    if model_version is not None and model_label is not None:
        raise UserError("--model-version and --model-label exclude each other: give one")
    if not paths and not check:
        raise UserError("PATH is missing: name folders or files, or - for a list on standard input")
    if out is None and not check:
        raise UserError("--out is missing: name the table to write, such as --out preds.csv")
    job = Job(
        walk=Walk(tuple(paths or ()), tuple(glob or PNGS), recursive),
        out=STANDARD_OUTPUT if out is None else Path(out),
        servers=tuple(server or ()),
        security=read_security(tls=tls, ca=tls_ca, certificate=tls_cert, key=tls_key, metadata=metadata),
        target=Target(model, signature, model_version, model_label),
        batch_size=batch_size,
        in_flight=in_flight,
        timeout=timeout,
        max_errors=None if max_errors is None else ErrorLimit.parse(max_errors),
        one_version=one_version,
        form=Form(probabilities, min_confidence),
        fresh=fresh,
        force=force,
    )
    if check:
        _check(job)
    else:
        _predict(job, truth, report, summary)


def _check(job: "Job") -> None:
    from rich.console import Console

    from batch.job import check_server
    from batch.terminal.display import print_notice

    try:
        text = check_server(job, notify)
    except KeyboardInterrupt:
        _stop("interrupted", EXIT_INTERRUPTED)
    print_notice(Console(), text)


def _predict(job: "Job", truth: str | None, report: Path | None, summary: Path | None) -> None:
    from batch.accuracy.tally import Tally
    from batch.accuracy.truth import check_truth, read_truth
    from batch.client.endpoint import ServerError
    from batch.files.paths import PathList
    from batch.job import run_job
    from batch.table.output import STANDARD_OUTPUT

    streams = job.out == STANDARD_OUTPUT
    again = "repeat the command to begin again" if streams else _RESUME
    tally = None if truth is None else Tally(read_truth(truth, job.out))
    is_listed = STANDARD_INPUT in job.walk.paths
    listed: Iterable[str] = PathList(sys.stdin.buffer) if is_listed else ()
    try:
        if truth is not None and tally is not None:
            job.walk.check()
            check_truth(tally.truth, truth, walk(job.walk, Skipped(), listed))
        if report is not None:
            _check_report(report, truth, job)
        if summary is not None:
            _check_summary(summary, job)
        with progress(None if is_listed else lambda: count(job.walk)) as show:
            listeners: list[Listener] = [show] if tally is None else [show, tally]
            found, skipped = run_job(job, notify, *listeners, listed=listed)
    except ServerError as error:
        _stop(f"{error}; {again}", EXIT_NOT_FINISHED)
    except BrokenPipeError:
        # Whoever read standard output has gone, with what they wanted.
        _stop("standard output was closed before all rows were written", EXIT_NOT_FINISHED)
    except OSError as error:
        _stop(f"cannot write {error.filename or job.out}: {error.strerror}; make room, then {again}", EXIT_NOT_FINISHED)
    except KeyboardInterrupt:
        _stop(f"interrupted; {again}", EXIT_INTERRUPTED)
    _conclude(job, found, skipped, tally, report, summary)


def _conclude(
    job: "Job",
    found: "Summary",
    skipped: Skipped,
    tally: "Tally | None",
    report: Path | None,
    summary: Path | None,
) -> None:
    from rich.console import Console

    from batch.summary import write_summary
    from batch.table.output import STANDARD_OUTPUT
    from batch.terminal.display import print_accuracy, print_notice, print_summary

    # A table on standard output is not to be mixed with words.
    terminal = Console(stderr=job.out == STANDARD_OUTPUT)
    print_summary(terminal, found, skipped, str(job.out))
    if tally is not None:
        print_accuracy(terminal, tally)
        if report is not None:
            print_notice(terminal, _write_report(report, tally, job.out))
    if summary is not None:
        try:
            write_summary(summary, found, skipped, job.settings())
        except OSError as error:
            _stop(f"{job.out} is complete, but {summary} is not written: {error.strerror}", EXIT_NOT_FINISHED)
    raise typer.Exit(_exit_code(found, skipped))


def _check_summary(summary: Path, job: "Job") -> None:
    """Find what would keep a summary from being written before the run, not after it."""
    if os.path.realpath(summary) == os.path.realpath(job.out):
        raise UserError(f"--summary {summary} is the table itself: choose another file")
    if not summary.parent.is_dir():
        raise UserError(f"--summary {summary}: there is no folder {summary.parent}")
    if summary.is_dir():
        raise UserError(f"--summary {summary} is a folder: name a file in it")


def _check_report(folder: Path, truth: str | None, job: "Job") -> None:
    """Find what would keep a report from being written before the run, not after it."""
    if truth is None:
        raise UserError("--report needs --truth: which answers are mistakes is known only where the digits are")
    require_extra("train", "matplotlib", "PIL", "numpy")
    from batch.accuracy.report import prepare

    prepare(folder, [path for path in job.walk.paths if path != STANDARD_INPUT], job.out)


def _write_report(folder: Path, tally: "Tally", out: Path) -> str:
    from batch.accuracy.report import write

    try:
        return write(folder, tally)
    except OSError as error:
        _stop(
            f"{out} is complete, but its report is not: {error.filename or folder}: {error.strerror}", EXIT_NOT_FINISHED
        )
    except KeyboardInterrupt:
        _stop(f"interrupted; {out} is complete, its report is not", EXIT_INTERRUPTED)


def _exit_code(summary: "Summary", skipped: Skipped) -> int:
    return EXIT_SOME_ERRORS if summary.errors or skipped.folders else 0


def _stop(text: str, code: int) -> NoReturn:
    with contextlib.suppress(OSError):
        print(f"digits-batch: {text}", file=sys.stderr)  # noqa: T201 - Rich would wrap the line
    raise typer.Exit(code)


def main() -> None:
    """Run the command."""
    # Imports and rows are many objects and hardly any cycles: looking for those rarely saves a run a hundredth.
    gc.set_threshold(100_000)
    try:
        run("digits-batch", app)
    except SystemExit as done:
        _leave(done)
        raise


def _leave(done: SystemExit) -> None:
    """End the process at once: Python takes 30 ms to take itself apart, and everything is closed and synced by now."""
    with contextlib.suppress(OSError):  # a broken pipe or a full disk is Python's to tell
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(done.code if isinstance(done.code, int) else done.code is not None)


if __name__ == "__main__":
    main()
