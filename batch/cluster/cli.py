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
from batch.files.walk import DEFAULT_BATCH_SIZE, PNGS, STANDARD_INPUT, Walk
from batch.terminal.ending import EXIT_INTERRUPTED, EXIT_NOT_FINISHED, FULL, end, run_to_end
from batch.terminal.progress import notify, progress
from batch.terminal.streams import may_be_lost
from exporter.command import UserError, VersionOption
from exporter.contract import MODEL_NAME, SIGNATURE

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
    probabilities: flags.Probabilities = False,
    min_confidence: flags.MinConfidence = None,
    server: flags.Server = None,
    model: flags.Model = MODEL_NAME,
    signature: flags.Signature = SIGNATURE,
    model_version: flags.ModelVersion = None,
    model_label: flags.ModelLabel = None,
    tls: flags.Tls = False,
    tls_ca: flags.TlsCa = None,
    tls_cert: flags.TlsCert = None,
    tls_key: flags.TlsKey = None,
    metadata: flags.Metadata = None,
    batch_size: flags.BatchSize = DEFAULT_BATCH_SIZE,
    timeout: flags.Timeout = 60.0,
    shard_files: job_flags.ShardFiles = job_flags.DEFAULT_SHARD_FILES,
    shard_bytes: job_flags.ShardBytes = None,
) -> None:
    """Walk once, and write down in JOB which images each shard has and how they are asked about.

    The version of the model is pinned: --model-version, or that of the server, or of the included model.
    """
    from dataclasses import replace

    from batch.client.security import read_security
    from batch.client.tensors import Target
    from batch.cluster.folder import JobFolder
    from batch.cluster.plan import pin_version, plan_job
    from batch.cluster.planned import Plan, find_job
    from batch.files.paths import PathList
    from batch.job import begin
    from batch.table.output import Form
    from batch.terminal.planning import planning

    if model_version is not None and model_label is not None:
        raise UserError("--model-version and --model-label exclude each other: give one")
    if not paths:
        raise UserError("PATH is missing: name folders or files, or - for a list on standard input")
    walk = Walk(tuple(paths), tuple(glob or PNGS), recursive, follow_links)
    folder = JobFolder(job)
    target = Target(model, signature, model_version, model_label)
    requests = min(batch_size, shard_files)
    form = Form(probabilities, min_confidence)
    wanted = Plan(walk, str(Path.cwd()), target, requests, form, shard_files, shard_bytes)
    with _ended(job):
        found = find_job(folder)
        if found is not None:
            _check_repeated(job, found, wanted)
            return
        listed = PathList(sys.stdin.buffer, once=True) if STANDARD_INPUT in paths else ()
        walked = begin(walk, listed)
        security = read_security(tls=tls, ca=tls_ca, certificate=tls_cert, key=tls_key, metadata=metadata)
        pinned = Target(model, signature, pin_version(target, tuple(server or ()), security, timeout))
        with planning() as show:
            planned = plan_job(folder, replace(wanted, target=pinned), walked, show)
    _print_planned(job, planned)


def _check_repeated(job: str, found: "Planned", wanted: "Plan") -> None:
    from dataclasses import replace

    from batch.client.tensors import Target

    target = wanted.target
    if target.version is None:
        wanted = replace(wanted, target=Target(target.model, target.signature, found.plan.target.version))
    differing = [name for name, value in wanted.settings().items() if found.plan.settings()[name] != value]
    if differing:
        raise UserError(
            f"{job} is planned already, with other settings ({', '.join(differing)}): plan in another folder"
        )
    notify(f"{job} was planned already, on {found.when}, with these settings: that plan counts, as it found the files")


def _print_planned(job: str, planned: "Planned") -> None:
    from batch.terminal.display import Screen, print_notice, print_passed_over

    target = planned.plan.target
    with may_be_lost(1):
        screen = Screen()
        print_passed_over(screen, planned.skipped)
        print_notice(
            screen,
            f"{job}: {planned.files:,} images in {planned.shards:,} shards, for version {target.version} of model "
            f"{target.model}; next: digits-job work {job}, on any number of machines",
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
) -> None:
    """Answer the shards of JOB that are missing: all of them, together with other workers, or those of one index.

    Exit codes: 0 if these shards are done, whether or not rows carry errors; 3 if not.
    """
    from batch.client.security import read_security
    from batch.cluster.shard import Asking
    from batch.cluster.work import Share
    from batch.cluster.work import work as work_on

    security = read_security(tls=tls, ca=tls_ca, certificate=tls_cert, key=tls_key, metadata=metadata)
    asking = Asking(tuple(server or ()), security, in_flight, timeout)
    share = Share.parse(index, of, os.environ)
    with _ended(job), progress(None) as show:
        worked = work_on(job, share, asking, notify, listeners=[show], tell=_print_shard)
    if worked.failed:
        _stop(f"not answered: {len(worked.failed):,} shards of {job}; {_RESUME}", EXIT_NOT_FINISHED)


def _print_shard(marker: "Marker") -> None:
    summary = marker.summary
    errors = f", {summary.errors.total():,} with an error" if summary.errors else ""
    notify(
        f"shard {marker.shard}: {summary.rows:,} rows{errors}, in {summary.seconds:.1f} s: {summary.rate:,.0f} images/s"
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
