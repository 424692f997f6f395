"""digits-job: a table of predictions for more images than one process, or one machine, answers.

Imports nothing slow on top: `--help` should answer at once.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from batch import flags
from batch.cluster import flags as job_flags
from batch.files.walk import PNGS, STANDARD_INPUT, Walk
from batch.terminal.ending import EXIT_INTERRUPTED, EXIT_NOT_FINISHED, EXIT_SOME_ERRORS, FULL, end, run_to_end
from batch.terminal.progress import notify, progress
from batch.terminal.streams import is_live, may_be_lost
from exporter.command import UserError, VersionOption, counted
from exporter.contract import MODEL_NAME

if TYPE_CHECKING:
    from batch.cluster.marker import Marker
    from batch.cluster.planned import Plan, Planned

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def digits_job(
    *,
    version: VersionOption = False,
) -> None:
    """Predict the digit in each of any number of images: plan a job, have workers answer it, finish its table.

    Exit codes: 0 done; 1 finished, some rows carry errors; 2 wrong usage, or nothing to do; 3 not finished;
    130 interrupted. Any command can be repeated.
    """


@app.command()
def plan(
    *,
    job: job_flags.JobPath,
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
    probabilities: flags.Probabilities = False,
    min_confidence: flags.MinConfidence = None,
    server: flags.Server = None,
    model: flags.Model = MODEL_NAME,
    signature: flags.Signature = None,
    model_version: flags.ModelVersion = None,
    model_label: flags.ModelLabel = None,
    tls: flags.Tls = False,
    tls_ca: flags.TlsCa = None,
    tls_cert: flags.TlsCert = None,
    tls_key: flags.TlsKey = None,
    metadata: flags.Metadata = None,
    batch_size: flags.BatchSize = None,
    timeout: flags.Timeout = 60.0,
    shard_files: job_flags.ShardFiles = None,
    shard_bytes: job_flags.ShardBytes = None,
) -> None:
    """Walk once, and write down in JOB which images each shard has and how they are asked about.

    The version of the model is pinned: --model-version, or that of the server, or of the included model.
    """
    from dataclasses import replace

    from batch.asked import form_of
    from batch.client.naming import FLAGS
    from batch.client.security import read_security
    from batch.client.tensors import Target
    from batch.cluster.display import planning
    from batch.cluster.folder import open_folder
    from batch.cluster.plan import pin_version, plan_job
    from batch.cluster.planned import Plan, find_job
    from batch.files.paths import PathList
    from batch.job import begin

    if model_version is not None and model_label is not None:
        raise UserError("--model-version and --model-label exclude each other: give one")
    if not paths:
        raise UserError("PATH is missing: name folders or files, or - for a list on standard input")
    walk = Walk(tuple(paths), tuple(glob or PNGS), recursive, follow_links, bytes_column, id_column)
    folder = open_folder(job)
    form = form_of(
        read,
        digits=digits,
        pattern=pattern,
        checksum=checksum,
        probabilities=probabilities,
        min_confidence=min_confidence,
    )
    target = Target(model, signature or form.signature, model_version, model_label)
    shard_files = shard_files or job_flags.DEFAULT_SHARD_FILES[read]
    requests = min(batch_size or form.batch_size, shard_files)
    wanted = Plan(walk, str(Path.cwd()), target, requests, form, shard_files, shard_bytes)
    with _ended(job):
        found = find_job(folder)
        if found is not None:
            _check_repeated(job, found, wanted)
            return
        listed = PathList(sys.stdin.buffer, once=True) if STANDARD_INPUT in paths else ()
        walked = begin(walk, listed, expands=False)
        security = read_security(tls=tls, ca=tls_ca, certificate=tls_cert, key=tls_key, metadata=metadata, naming=FLAGS)
        pinned = Target(model, target.signature, pin_version(target, tuple(server or ()), security, timeout))
        with planning() as show:
            planned = plan_job(folder, replace(wanted, target=pinned), walked, show)
    _print_planned(job, planned)


def _check_repeated(job: str, found: "Planned", wanted: "Plan") -> None:
    from dataclasses import replace

    from batch.client.tensors import Target

    target = wanted.target
    if target.version is None:
        wanted = replace(wanted, target=Target(target.model, target.signature, found.plan.target.version))
    differing = [name for name, value in wanted.settings().items() if found.plan.settings().get(name) != value]
    if differing:
        raise UserError(
            f"{job} is planned already, with other settings ({', '.join(differing)}): plan in another folder"
        )
    notify(f"{job} was planned already, on {found.when}, with these settings: that plan counts, as it found the files")


def _print_planned(job: str, planned: "Planned") -> None:
    from batch.terminal.display import print_passed_over
    from batch.terminal.screen import Screen, print_notice

    target = planned.plan.target
    images = counted(planned.files - planned.archives, "image")
    if planned.archives:
        images += f" and {counted(planned.archives, 'archive')}"
    with may_be_lost(1):
        screen = Screen()
        print_passed_over(screen, planned.skipped)
        print_notice(
            screen,
            f"{job}: {images} in {counted(planned.shards, 'shard')}, for version {target.version} of model "
            f"{target.model}; next: digits-job run {job}, or digits-job work {job} on any number of machines",
        )


@app.command()
def work(
    *,
    job: job_flags.JobPath,
    index: job_flags.Index = None,
    of: job_flags.Of = None,
    server: flags.Server = None,
    tls: flags.Tls = False,
    tls_ca: flags.TlsCa = None,
    tls_cert: flags.TlsCert = None,
    tls_key: flags.TlsKey = None,
    metadata: flags.Metadata = None,
    in_flight: flags.InFlight = None,
    timeout: flags.Timeout = 60.0,
    in_process: job_flags.IsInProcess = False,
    saved_model: job_flags.SavedModel = None,
) -> None:
    """Answer the shards of JOB that are missing: all of them, together with other workers, or those of one index.

    Exit codes: 0 if these shards are done, whether or not rows carry errors; 3 if not.
    """
    from batch.client.naming import FLAGS
    from batch.client.security import read_security
    from batch.cluster.shard import Asking
    from batch.cluster.work import Share
    from batch.cluster.work import work as work_on

    security = read_security(tls=tls, ca=tls_ca, certificate=tls_cert, key=tls_key, metadata=metadata, naming=FLAGS)
    model = _saved_model(saved_model, in_process=in_process, server=server)
    asking = Asking(tuple(server or ()), security, in_flight, timeout, model)
    share = Share.parse(index, of, os.environ)
    with _ended(job), progress(None) as show:
        worked = work_on(job, share, asking, notify, listeners=[show], tell=_print_shard)
    if worked.failed:
        _stop(f"not answered: {counted(len(worked.failed), 'shard')} of {job}; {_RESUME}", EXIT_NOT_FINISHED)


def _saved_model(saved_model: str | None, *, in_process: bool, server: list[str] | None) -> str | None:
    """The folder of the model that a worker loads itself; None where a server is asked."""
    from batch.client.server import included_model

    if not in_process:
        if saved_model is not None:
            raise UserError("--saved-model needs --in-process: a server has its own model")
        return None
    if server:
        raise UserError("--in-process and --server exclude each other: give one")
    return str(included_model().parent) if saved_model is None else str(Path(saved_model).absolute())


@app.command()
def run(
    *,
    job: job_flags.JobPath,
    engine: job_flags.Engine = job_flags.EngineName.LOCAL,
    workers: job_flags.Workers = None,
    scheduler: job_flags.Scheduler = None,
    master: job_flags.Master = None,
    attempts: job_flags.Attempts = job_flags.DEFAULT_ATTEMPTS,
    server: flags.Server = None,
    tls: flags.Tls = False,
    tls_ca: flags.TlsCa = None,
    tls_cert: flags.TlsCert = None,
    tls_key: flags.TlsKey = None,
    metadata: flags.Metadata = None,
    in_flight: flags.InFlight = None,
    timeout: flags.Timeout = 60.0,
    in_process: job_flags.IsInProcess = False,
    saved_model: job_flags.SavedModel = None,
) -> None:
    """Answer the shards of JOB that are missing, with several workers.

    Exit codes: 0 if all shards are done, whether or not rows carry errors; 3 if not.
    """
    from batch.client.naming import FLAGS
    from batch.client.security import read_security
    from batch.cluster.display import answering
    from batch.cluster.engines.choice import choose
    from batch.cluster.shard import Asking, missing
    from batch.cluster.status import status_of

    security = read_security(tls=tls, ca=tls_ca, certificate=tls_cert, key=tls_key, metadata=metadata, naming=FLAGS)
    model = _saved_model(saved_model, in_process=in_process, server=server)
    asking = Asking(tuple(server or ()), security, in_flight, timeout, model)
    run_engine = choose(engine.value, asking, attempts, workers=workers, scheduler=scheduler, master=master)
    failed: dict[int, Exception] = {}
    with _ended(job):
        before = status_of(job)
        with answering(before, notify) as show:

            def tell(number: int, error: Exception | None) -> None:
                if error is None:
                    show.shard()
                else:
                    failed[number] = error
                    notify(f"shard {number} failed: {error}")

            if before.missing:
                run_engine(job, missing(job), asking, tell, notify=notify, show=show.rows)
    if failed:
        _stop(f"not answered: {counted(len(failed), 'shard')} of {job}; {_RESUME}", EXIT_NOT_FINISHED)
    notify(f"done: {counted(before.shards, 'shard')}; next: digits-job finish {job} --out preds.csv")


@app.command()
def status(
    *,
    job: job_flags.JobPath,
    as_json: job_flags.AsJson = False,
) -> None:
    """Show how far JOB is: shards done, missing and failed, rows, errors, rate and time left.

    Exit codes: 0 if all shards are done; 3 if not.
    """
    import json

    from batch.cluster.display import print_status
    from batch.cluster.status import status_of
    from batch.terminal.screen import Screen

    with _ended(job):
        found = status_of(job)
    with may_be_lost(1):
        if as_json:
            typer.echo(json.dumps(found.to_json(), indent=2))
        else:
            print_status(Screen(), job, found)
    raise typer.Exit(EXIT_NOT_FINISHED if found.missing else 0)


@app.command()
def finish(
    *,
    job: job_flags.JobPath,
    out: job_flags.Out,
    summary: flags.Summary = None,
    force: flags.Force = False,
) -> None:
    """Write the table of JOB, in the order of the walk, once no shard is missing.

    Exit codes: 0 all images answered; 1 some rows carry errors; 2 wrong usage; 3 shards are missing.
    """
    from batch.cluster.display import joining
    from batch.cluster.finish import finish_job
    from batch.cluster.folder import open_folder
    from batch.cluster.parts import UnfinishedError
    from batch.cluster.planned import open_job
    from batch.summary import check_summary, write_summary
    from batch.terminal.display import print_summary
    from batch.terminal.screen import Screen

    with _ended(job):
        if summary is not None:
            check_summary(summary, Path(out))
        with joining(open_job(open_folder(job)).files) as show:
            try:
                found, planned = finish_job(job, out, force=force, notify=notify, show=show)
            except UnfinishedError as error:
                _stop(str(error), EXIT_NOT_FINISHED)
    with may_be_lost(1):
        print_summary(Screen(), found, planned.skipped, out, planned.plan.form.heads)
    if summary is not None:
        try:
            write_summary(summary, found, planned.skipped, planned.plan.settings())
        except OSError as error:
            _stop(f"{out} is complete, but {summary} is not written: {error.strerror}", EXIT_NOT_FINISHED)
    raise typer.Exit(EXIT_SOME_ERRORS if found.errors or planned.skipped.folders else 0)


def _print_shard(marker: "Marker") -> None:
    """For logs: on a terminal there is a display."""
    if is_live():
        return
    summary = marker.summary
    errors = f", {summary.errors.total():,} with an error" if summary.errors else ""
    notify(
        f"shard {marker.shard}: {counted(summary.rows, 'row')}{errors}, in {summary.seconds:.1f} s: "
        f"{summary.rate:,.0f} images/s"
    )


_RESUME = "repeat the command to go on"


@contextmanager
def _ended(job: str) -> Iterator[None]:
    """Turn what keeps a command from its end into a line and an exit code."""
    try:
        yield
    except UserError as error:
        if error.exit_code != EXIT_NOT_FINISHED:
            raise
        _stop(f"{error}; {_RESUME}", EXIT_NOT_FINISHED)
    except OSError as error:
        remedy = f"make room, then {_RESUME}" if error.errno in FULL else _RESUME
        _stop(f"{error.filename or job}: {error.strerror or error}; {remedy}", EXIT_NOT_FINISHED)
    except KeyboardInterrupt:
        _stop(f"interrupted; {_RESUME}", EXIT_INTERRUPTED)


def _stop(text: str, code: int) -> NoReturn:
    end("digits-job", text, code)


def main() -> None:
    """Run the command."""
    run_to_end("digits-job", app)


if __name__ == "__main__":
    main()
