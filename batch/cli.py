"""digits-batch: a table of predictions for folders of PNGs.

Imports nothing slow on top: `--help` should answer at once.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from batch import flags
from batch.compare import cli as compare
from batch.files.skipped import Skipped
from batch.files.walk import PNGS, STANDARD_INPUT, Walk, count, walk
from batch.stores.patience import Patience
from batch.stores.urls import is_url
from batch.terminal.ending import EXIT_INTERRUPTED, EXIT_NOT_FINISHED, EXIT_SOME_ERRORS, FULL, end, run_to_end
from batch.terminal.progress import notify, progress
from batch.terminal.streams import may_be_lost
from exporter.command import UserError, VersionOption
from exporter.contract import MODEL_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from batch.engine import Listener
    from batch.job import Job
    from batch.report.findings import Findings
    from batch.reports import AnyTally
    from batch.summary import Summary

_RESUME = "repeat the command to go on where this run stopped"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def predict(
    *,
    paths: flags.Paths = None,
    glob: flags.Glob = None,
    recursive: flags.Recursive = True,
    follow_links: flags.FollowLinks = True,
    bytes_column: flags.BytesColumn = None,
    id_column: flags.IdColumn = None,
    read: flags.Read = "digits",
    digits: flags.Digits = None,
    pattern: flags.Pattern = None,
    checksum: flags.WithChecksum = None,
    out: flags.Out = None,
    probabilities: flags.Probabilities = False,
    min_confidence: flags.MinConfidence = None,
    summary: flags.Summary = None,
    force: flags.Force = False,
    fresh: flags.Fresh = False,
    server: flags.Server = None,
    model: flags.Model = MODEL_NAME,
    signature: flags.Signature = None,
    model_version: flags.ModelVersion = None,
    model_label: flags.ModelLabel = None,
    one_version: flags.OneVersion = False,
    tls: flags.Tls = False,
    tls_ca: flags.TlsCa = None,
    tls_cert: flags.TlsCert = None,
    tls_key: flags.TlsKey = None,
    metadata: flags.Metadata = None,
    check: flags.Check = False,
    batch_size: flags.BatchSize = None,
    in_flight: flags.InFlight = None,
    timeout: flags.Timeout = 60.0,
    max_errors: flags.MaxErrors = None,
    truth: flags.Truth = None,
    report: flags.Report = None,
    watch: flags.Watch = False,
    settle: flags.Settle = None,
    roll: flags.RollParts = None,
    move_done: flags.MoveDone = None,
    move_failed: flags.MoveFailed = None,
    version: VersionOption = False,  # noqa: ARG001 - answered before the command runs
) -> None:
    """Predict the digit in each PNG. Write one row per image: path, digit, confidence, error, model_version.

    With --read numbers, read the digits of a whole field in each PNG: path, text, confidence, error, model_version.

    Exit codes: 0 all images answered; 1 some rows carry errors; 2 wrong usage, or nothing to do; 3 not finished;
    130 interrupted. After 3 or 130, repeat the command to resume. With --watch, SIGTERM ends it with 0.

    digits-batch compare OLD NEW tells what changed between two tables: see digits-batch compare --help. To predict a
    folder that is called compare, name it ./compare.
    """
    from batch.asked import form_of
    from batch.client.naming import FLAGS
    from batch.client.security import read_security
    from batch.client.tensors import Target
    from batch.job import Job
    from batch.summary import ErrorLimit

    if model_version is not None and model_label is not None:
        raise UserError("--model-version and --model-label exclude each other: give one")
    if not paths and not check:
        raise UserError("PATH is missing: name folders or files, or - for a list on standard input")
    if watch and any(is_url(path) for path in (*(paths or ()), out or "")):
        raise UserError("--watch works on local folders and tables: leave URLs out, or leave --watch out")
    if out is None and not check:
        raise UserError("--out is missing: name the table to write, such as --out preds.csv")
    form = form_of(
        read,
        digits=digits,
        pattern=pattern,
        checksum=checksum,
        probabilities=probabilities,
        min_confidence=min_confidence,
        boxes=report is not None and truth is not None,
    )
    job = Job(
        walk=Walk(
            tuple(paths or ()),
            tuple(glob or PNGS),
            recursive,
            follow_links,
            bytes_column,
            id_column,
            Patience(timeout, notify),
        ),
        out=_place(out),
        url=out if out is not None and is_url(out) else "",
        servers=tuple(server or ()),
        security=read_security(tls=tls, ca=tls_ca, certificate=tls_cert, key=tls_key, metadata=metadata, naming=FLAGS),
        target=Target(model, signature or form.signature, model_version, model_label),
        batch_size=batch_size or form.batch_size,
        in_flight=in_flight,
        timeout=timeout,
        max_errors=None if max_errors is None else ErrorLimit.parse(max_errors),
        one_version=one_version,
        form=form,
        fresh=fresh,
        force=force,
    )
    columns = {"--bytes-column": bytes_column, "--id-column": id_column}
    watching = {"--settle": settle, "--roll": roll, "--move-done": move_done, "--move-failed": move_failed}
    if not watch:
        _refuse({flag: value is not None for flag, value in watching.items()}, "only with --watch")
    if check:
        _check(job)
    elif watch:
        one_run = {"--truth": truth, "--report": report, "--summary": summary, "--max-errors": max_errors}
        _refuse({flag: value is not None for flag, value in one_run.items()}, "not with --watch, which has no end")
        tables = {flag: value is not None for flag, value in columns.items()}
        _refuse(tables, "not with --watch, which takes no archives")
        _refuse({"--one-version": one_version, "--force": force, "--fresh": fresh}, "not with --watch")
        _watch(job, flags.DEFAULT_SETTLE_S if settle is None else settle, roll, move_done, move_failed)
    else:
        _predict(job, truth, report, summary)


def _place(out: str | None) -> Path:
    """Where a table is written on this machine."""
    from batch.table.output import STANDARD_OUTPUT
    from batch.table.remote import local_place

    if out is None:
        return STANDARD_OUTPUT
    return local_place(out) if is_url(out) else Path(out)


def _check(job: "Job") -> None:
    from batch.job import check_server
    from batch.terminal.screen import Screen, print_notice

    try:
        text = check_server(job, notify)
    except KeyboardInterrupt:
        _stop("interrupted", EXIT_INTERRUPTED)
    with may_be_lost(1):
        print_notice(Screen(), text)


def _predict(job: "Job", truth: str | None, report: Path | None, summary: Path | None) -> None:
    from batch.accuracy.truth import check_truth
    from batch.client.endpoint import ServerError
    from batch.files.paths import PathList
    from batch.formats.pool import ConverterError
    from batch.job import run_job
    from batch.report.findings import Findings
    from batch.reports import check_report, make_tally, reads_numbers
    from batch.stores.faults import StoreError
    from batch.summary import check_summary
    from batch.table.output import STANDARD_OUTPUT
    from exporter.label_file import DIGITS, TEXTS

    streams = job.out == STANDARD_OUTPUT
    again = "repeat the command to begin again" if streams else _RESUME
    tally = None if truth is None else make_tally(truth, job)
    findings = None if report is None else Findings()
    is_listed = STANDARD_INPUT in job.walk.paths
    listed: Iterable[str] = PathList(sys.stdin.buffer) if is_listed else ()
    try:
        if truth is not None and tally is not None:
            job.walk.check()
            folders = TEXTS.folders if reads_numbers(job) else DIGITS.folders
            check_truth(tally.truth, truth, walk(job.walk, Skipped(), listed, reads=False), folders)
        if report is not None:
            check_report(report, truth, job)
        if summary is not None:
            check_summary(summary, job.out)
        # To count the objects of a store takes as many requests as to list them.
        is_uncounted = is_listed or job.walk.has_urls
        # Rows that go to the same terminal leave no line for a bar.
        is_hidden = streams and sys.stdout is not None and sys.stdout.isatty()
        with progress(None if is_uncounted else lambda: count(job.walk), is_hidden=is_hidden) as show:
            listeners: list[Listener[Any]] = [one for one in (show, tally, findings) if one is not None]
            found, skipped = run_job(job, notify, *listeners, listed=listed)
    except (ServerError, ConverterError, StoreError) as error:
        _stop(f"{error}; {again}", EXIT_NOT_FINISHED)
    except BrokenPipeError:
        # Whoever read standard output has gone, with what they wanted.
        _stop("standard output was closed before all rows were written", EXIT_NOT_FINISHED)
    except OSError as error:
        remedy = f"make room, then {again}" if error.errno in FULL else again
        _stop(f"cannot write {error.filename or job.out}: {error.strerror}; {remedy}", EXIT_NOT_FINISHED)
    except KeyboardInterrupt:
        _stop(f"interrupted; {again}", EXIT_INTERRUPTED)
    words = [] if report is None or findings is None else _report(report, job, found, skipped, findings, tally)
    _conclude(job, found, skipped, tally, words, summary)


def _report(
    folder: Path, job: "Job", found: "Summary", skipped: Skipped, findings: "Findings", tally: "AnyTally | None"
) -> list[str]:
    from batch.reports import write_report
    from batch.stores.faults import StoreError

    try:
        return write_report(folder, job, found, skipped, findings, tally)
    except StoreError as error:
        _stop(f"{job.name} is complete, but its report is not: {error}", EXIT_NOT_FINISHED)
    except OSError as error:
        _stop(
            f"{job.name} is complete, but its report is not: {error.filename or folder}: {error.strerror}",
            EXIT_NOT_FINISHED,
        )
    except KeyboardInterrupt:
        _stop(f"interrupted; {job.name} is complete, its report is not", EXIT_INTERRUPTED)


def _refuse(given: dict[str, bool], reason: str) -> None:
    """Raise UserError for the first option that is given."""
    for flag, is_given in given.items():
        if is_given:
            raise UserError(f"{flag} works {reason}: leave it out")


def _watch(job: "Job", settle: float, roll: str | None, move_done: Path | None, move_failed: Path | None) -> None:
    import signal
    from dataclasses import fields

    from batch.asked import Asked
    from batch.terminal.watching import watching
    from batch.watch.settings import Roll, Watch
    from batch.watch.signals import Stop
    from batch.watch.watcher import run_watch

    watch = Watch(
        **{one.name: getattr(job, one.name) for one in fields(Asked)},
        settle=settle,
        roll=Roll() if roll is None else Roll.parse(roll),
        move_done=move_done,
        move_failed=move_failed,
    )
    stop = Stop()
    try:
        with stop.on_signals(), watching(notify) as show:
            figures = run_watch(watch, stop, notify, show)
    except OSError as error:
        # SQLite calls a quota that is used up an I/O error, so the remedy is the same for all.
        _stop(
            f"cannot write {error.filename or job.out}: {error.strerror}; make room, then {_RESUME}", EXIT_NOT_FINISHED
        )
    notify(f"stopped: {figures.rows:,} rows written, {figures.errors:,} with an error; {_RESUME}")
    raise typer.Exit(EXIT_INTERRUPTED if stop.signal is signal.SIGINT else 0)


def _conclude(
    job: "Job",
    found: "Summary",
    skipped: Skipped,
    tally: "AnyTally | None",
    report: list[str],
    summary: Path | None,
) -> None:
    from batch.accuracy.number_tally import NumberTally
    from batch.summary import write_summary
    from batch.table.output import STANDARD_OUTPUT
    from batch.terminal.display import print_accuracy, print_summary
    from batch.terminal.numbers import print_number_accuracy
    from batch.terminal.screen import Screen, print_notice

    # A table on standard output is not to be mixed with words.
    streams = job.out == STANDARD_OUTPUT
    with may_be_lost(2 if streams else 1):
        screen = Screen(stderr=streams)
        print_summary(screen, found, skipped, job.name, job.form.heads)
        if isinstance(tally, NumberTally):
            print_number_accuracy(screen, tally)
        elif tally is not None:
            print_accuracy(screen, tally)
        for line in report:
            print_notice(screen, line)
    if summary is not None:
        try:
            write_summary(summary, found, skipped, job.settings())
        except OSError as error:
            _stop(f"{job.name} is complete, but {summary} is not written: {error.strerror}", EXIT_NOT_FINISHED)
    raise typer.Exit(_exit_code(found, skipped))


def _exit_code(summary: "Summary", skipped: Skipped) -> int:
    return EXIT_SOME_ERRORS if summary.errors or skipped.folders else 0


def _stop(text: str, code: int) -> NoReturn:
    end("digits-batch", text, code)


def main() -> None:
    """Run the command, or `digits-batch compare`, which is another one: a PATH may follow `digits-batch` at once."""
    if sys.argv[1:2] == [compare.NAME]:
        run_to_end(compare.PROGRAM, lambda: compare.app(sys.argv[2:], prog_name=compare.PROGRAM))
    else:
        run_to_end("digits-batch", app)


if __name__ == "__main__":
    main()
