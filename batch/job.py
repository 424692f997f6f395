"""One job from arguments to a finished table: the library function behind digits-batch."""

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batch.archives.kinds import is_archive
from batch.asked import Asked
from batch.client.endpoint import Endpoint, ServerError
from batch.client.exchange import VersionSwappedError
from batch.client.question import Question
from batch.client.server import find_server
from batch.client.tensors import Target
from batch.client.window import Window
from batch.disk.offered import sync_folder
from batch.engine import Engine, Listener, Policy
from batch.files.file import File
from batch.files.requests import cut
from batch.files.skipped import Skipped
from batch.files.walk import STANDARD_INPUT, Walk, name_filter, walk
from batch.stores.patience import Patience
from batch.summary import ErrorLimit, Summary
from batch.table.journal import Journal, journal_of
from batch.table.output import STANDARD_OUTPUT, Output, Stream, check_output, refuse_to_overwrite
from batch.table.place import place_of
from batch.table.remote import check_remote, make_folder, put_table
from exporter.command import UserError

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Job(Asked):
    """What is to be done, once.

    Attributes:
        max_errors: how many error rows end the run.
        one_version: whether all rows must come from one version of the model.
        fresh: throw away the rows of an unfinished run.
        force: overwrite a finished table.
        url: where the finished table is put; then `out` is its `local_place`. Empty for a table that stays local.
    """

    max_errors: ErrorLimit | None = None
    one_version: bool = False
    fresh: bool = False
    force: bool = False
    url: str = ""

    @property
    def name(self) -> str:
        """What people call the table."""
        return self.url or str(self.out)

    def settings(self) -> dict[str, object]:
        """What decides the rows and their grouping into requests: a journal with other settings is not continued."""
        return {
            "paths": list(self.walk.paths),
            "glob": list(self.walk.globs),
            "recursive": self.walk.recursive,
            "follow-links": self.walk.follow_links,
            "bytes-column": self.walk.bytes_column,
            "id-column": self.walk.id_column,
            "model": self.target.model,
            "signature": self.target.signature,
            "model-version": self.target.version,
            "model-label": self.target.label,
            "one-version": self.one_version,
            "batch-size": self.batch_size,
            **self.form.settings,
        }


def run_job(
    job: Job, notify: Notify = lambda _: None, *listeners: Listener[Any], listed: Iterable[str] = ()
) -> tuple[Summary, Skipped]:
    """Predict every file and write the table.

    Args:
        job: what is to be done.
        notify: told in one line what the user should know while it goes.
        listeners: each is told of every request's files and their answers.
        listed: the paths that `-` among the job's stands for; walked again where a run starts over.

    Returns:
        What was found, and what was passed over.

    Raises:
        UserError: wrong usage, or nothing to do; nothing is written then.
        ServerError: the server failed for too long, or there are too many errors; `run_job` with the same job goes on
            where it stopped.
        ConverterError: pictures are to be converted to PNG, and the process for it does not start; likewise.
        StoreError: a store that files are read from, or the table is put to, failed for too long, or refuses; likewise.
        OSError: the disk is full; likewise.
    """
    walked = begin(job.walk, listed)
    if job.out == STANDARD_OUTPUT:
        if job.one_version:
            raise UserError("--one-version may have to start over, which --out - cannot: name a file")
        stream = Stream(job.form)
        try:
            return _Run(job, None, notify, (stream, *listeners)).ask_all(walked, listed)
        finally:
            stream.close()
    check_output(job.out, job.name)
    place = place_of(job.out)
    patience = Patience(job.timeout, notify)
    _refuse_to_replace_images(job.walk, job.out, job.url)
    if not job.force and (job.fresh or not journal_of(place).exists()):
        _refuse_to_overwrite(job, place, patience)
    if job.url:
        make_folder(place)
    journal = Journal(place, job.settings(), restore=job.form.restore, fresh=job.fresh, notify=notify)
    try:
        # A run that was killed when all was done but the clearing away is done again, which takes no request.
        force = job.force or (journal.has_come_to_end if job.url else journal.has_written_output())
        if not force:
            _refuse_to_overwrite(job, place, patience)
        if job.url:
            check_remote(job.url, patience, replace=True)
            notify(f"rows are kept in {journal.path} until {job.url} is written")
        output = Output(place, job.form, job.out.suffix)
        try:
            found = _Run(job, journal, notify, (output, *listeners)).ask_all(walked, listed)
            journal.append_inode(output.sync(notify))
            if job.url:
                put_table(output.temporary, job.url, patience, replace=job.force)
            else:
                output.take_place(force=force)
        finally:
            output.discard()
        journal.remove()
        sync_folder(place.parent)
    finally:
        journal.close()
    return found


def _refuse_to_overwrite(job: Job, place: Path, patience: Patience) -> None:
    if job.url:
        check_remote(job.url, patience, replace=False)
    else:
        refuse_to_overwrite(place)


def check_server(job: Job, notify: Notify = lambda _: None) -> str:
    """Check that the job's server has what it asks for and answers a test image; say in one line what it has.

    Raises:
        UserError: it has no such model, version or signature.
        ServerError: it does not answer, or not as the contract says.
    """
    with find_server(job.servers, job.security, job.target, job.timeout, notify) as endpoint:
        question = job.form.question(endpoint, job.target, job.timeout)
        version = endpoint.wait_until_available(job.target, job.timeout)
        endpoint.try_out(job.target, question, job.timeout)
        outputs = ", ".join(question.outputs)
        return (
            f"model {job.target.model} version {version} is AVAILABLE on {endpoint.name} and has answered a test "
            f"image; signature {job.target.signature} takes {question.input_name} and answers {outputs}"
        )


@dataclass(frozen=True)
class Walked:
    """A walk, and what it passes over as it goes on."""

    skipped: Skipped
    files: Iterator[File]


def begin(what: Walk, listed: Iterable[str], *, expands: bool = True) -> Walked:
    """Begin a walk, as `walk` does. Raises UserError if it takes no file at all."""
    what.check()
    skipped = Skipped()
    files = walk(what, skipped, listed, expands=expands)
    first = next(files, None)
    if first is None:
        raise UserError(f"nothing to do: no {' or '.join(what.globs)} in {_named(what)}{_instead(skipped)}")
    return Walked(skipped, itertools.chain((first,), files))


@dataclass(frozen=True)
class _Run:
    """What the steps of one run share."""

    job: Job
    journal: Journal[Any] | None
    notify: Notify
    listeners: tuple[Listener[Any], ...]

    def ask_all(self, walked: Walked, listed: Iterable[str]) -> tuple[Summary, Skipped]:
        """Ask for every file of a walk that has begun; `listed` is for a walk that starts over."""
        job = self.job
        with find_server(job.servers, job.security, job.target, job.timeout, self.notify) as endpoint:
            question = job.form.question(endpoint, job.target, job.timeout)
            if not job.one_version:
                return self._ask(job.target, endpoint, question, walked)
            version = endpoint.wait_until_available(job.target, job.timeout)
            try:
                return self._ask(replace(job.target, version=version, label=None), endpoint, question, walked)
            except VersionSwappedError as swap:
                self.notify(f"not all rows can come from one version: starting over on version {swap.newest}")
                version = swap.newest
            if self.journal is not None:
                self.journal.start_over()
            for listener in self.listeners:
                listener.start_over()
            skipped = Skipped()
            again = Walked(skipped, walk(job.walk, skipped, listed))
            try:
                return self._ask(replace(job.target, version=version, label=None), endpoint, question, again)
            except VersionSwappedError as swap:
                raise ServerError(
                    f"version {version} made place for {swap.newest} before --one-version was done: the second swap "
                    "in one run"
                ) from None

    def _ask(
        self, target: Target, endpoint: Endpoint, question: Question[Any], walked: Walked
    ) -> tuple[Summary, Skipped]:
        job = self.job
        engine = Engine(
            endpoint,
            target,
            question,
            expected=job.form.expected,
            window=Window.over(len(endpoint.replicas), job.in_flight, job.form.in_flight),
            policy=Policy(job.timeout, job.max_errors, keep_version=job.one_version),
            notify=self.notify,
            listeners=self.listeners,
        )
        started = time.monotonic()
        engine.run(cut(walked.files, job.batch_size), self.journal)
        engine.summary.seconds = time.monotonic() - started
        return engine.summary, walked.skipped


def _refuse_to_replace_images(what: Walk, out: Path, url: str) -> None:
    """Raise UserError if the table would take the place of a Parquet file that images are read from."""
    folder, _, name = url.rpartition("/")
    is_under = any(path.rstrip("/") == folder for path in what.paths) and name_filter(what.globs)(name)
    if url and is_archive(url) and (url in what.paths or is_under):
        raise UserError(f"--out {url} would take the place of an object that is to be read: choose another --out")
    place = os.path.realpath(out)
    for path in what.paths:
        is_of_folder = os.path.dirname(place) == os.path.realpath(path) and name_filter(what.globs)(out.name)  # noqa: PTH120 - a path that is no UTF-8 stays as it is
        if is_archive(place) and os.path.lexists(place) and (os.path.realpath(path) == place or is_of_folder):
            raise UserError(f"--out {out} would take the place of a file that is to be read: choose another --out")


def _named(what: Walk) -> str:
    return ", ".join("standard input" if path == STANDARD_INPUT else path for path in what.paths)


def _instead(skipped: Skipped) -> str:
    """What was there instead of PNGs."""
    found = [f"{count} {ending}" for ending, count in skipped.other_images.most_common()]
    found += [f"{folder} could not be listed: {reason}" for folder, reason in skipped.folders.items()]
    found += [f"{skipped.unwalked} folders, not walked"] if skipped.unwalked else []
    found += [f"{skipped.links} links, not followed"] if skipped.links else []
    found += [f"{skipped.specials} that are no files"] if skipped.specials else []
    found += [f"{skipped.archive_links} links in archives"] if skipped.archive_links else []
    found += [f"{skipped.unopened} archives"] if skipped.unopened else []
    return f" (found {'; '.join(found)})" if found else ""
