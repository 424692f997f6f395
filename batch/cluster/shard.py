"""Answers one shard of a job: the function under every engine, and under `digits-job work`."""

import hashlib
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from batch.client.answers import Row
from batch.client.endpoint import ServerError
from batch.client.exchange import VersionSwappedError
from batch.client.security import Security
from batch.client.window import Window
from batch.cluster.folder import Draft, JobFolder, open_folder
from batch.cluster.manifest import ShardError, read_shard
from batch.cluster.marker import Marker, failure_name, marker_name, note_failure, read_marker, read_markers
from batch.cluster.opening import Opening, at
from batch.cluster.planned import Plan, Planned, open_job
from batch.cluster.reach import let_go, reach
from batch.engine import Engine, Listener, Policy
from batch.files.contents import Contents
from batch.files.file import File
from batch.files.requests import cut
from batch.files.skipped import Skipped
from batch.stores.patience import Patience
from batch.summary import Summary
from batch.table.columns import Columns
from batch.table.output import render
from exporter.command import UserError

Notify = Callable[[str], None]
_DIGEST_LETTERS = 16  # of a part's name


@dataclass(frozen=True)
class Asking:
    """How a worker reaches the model; no part of the job, and never written to it.

    Attributes:
        servers: gRPC addresses of replicas; none looks on localhost:8500, then starts the built-in server.
        security: TLS and call metadata.
        in_flight: requests under way; None for as many as the server takes well.
        timeout: seconds on end that the server may fail.
        saved_model: the folder of a SavedModel that the worker loads itself instead of asking a server.
    """

    servers: tuple[str, ...] = ()
    security: Security = field(default_factory=Security)
    in_flight: int | None = None
    timeout: float = 60.0
    saved_model: str | None = None


def run_shard(
    job: str,
    number: int,
    asking: Asking,
    notify: Notify = lambda _: None,
    *,
    listeners: Sequence[Listener[Any]] = (),
) -> Marker:
    """Answer a shard, unless it is done, and mark it as done.

    Any number of workers may do so at the same time, and any of them may die at any moment. A worker's connection to
    the model stays open for its next shard; `let_go` closes it.

    Args:
        job: the job's folder.
        number: of the shard.
        asking: how to reach the model.
        notify: told in one line what the user should know while it goes.
        listeners: told of the answers.

    Returns:
        Its marker, or that of whoever was done before.

    Raises:
        UserError: there is no such job, or the server does not have its model or version.
        ServerError: the server failed for too long.
        ShardError: none of the files is here, as where a share is not mounted; or its manifest is damaged.
        ConverterError: pictures are to be converted to PNG, and the process for it does not start.
        OSError: the part cannot be written.
    """
    folder = open_folder(job)
    planned = open_job(folder)
    marker = read_marker(folder, planned, number)
    if marker is not None:
        return marker
    try:
        marker = _Shard(folder, planned, number).answer(asking, notify, listeners)
    except (UserError, OSError) as error:
        # The next attempt looks for the server anew.
        let_go()
        with suppress(OSError):
            note_failure(folder, number, socket.gethostname(), reason_of(error))
        raise
    with suppress(OSError):
        folder.remove(failure_name(number))
    return marker


def missing(job: str) -> Iterator[int]:
    """The shards without a valid marker. Raises UserError if there is no such job, OSError if it cannot be read."""
    folder = open_folder(job)
    planned = open_job(folder)
    return (number for number, marker in enumerate(read_markers(folder, planned)) if marker is None)


def reason_of(error: UserError | OSError) -> str:
    """Why a shard failed, for people."""
    if isinstance(error, OSError):
        return f"{error.filename or 'the job'}: {error.strerror or error}"
    return str(error)


@dataclass(frozen=True)
class _Shard:
    """A shard that is being answered."""

    folder: JobFolder
    planned: Planned
    number: int

    def answer(self, asking: Asking, notify: Notify, listeners: Sequence[Listener[Any]]) -> Marker:
        with self.folder.draft() as draft:
            part = _Part(draft, self.planned.plan.form)
            summary, skipped = self._ask(asking, notify, part, listeners)
            name = f"parts/{self.number:05}-{part.sha256[:_DIGEST_LETTERS]}.csv"
            draft.put(name)
        marker = Marker(
            self.planned.id,
            self.number,
            name,
            part.size,
            part.sha256,
            socket.gethostname(),
            time.time(),
            summary,
            skipped,
        )
        return self._mark(marker)

    def _ask(
        self, asking: Asking, notify: Notify, part: "_Part", listeners: Sequence[Listener[Any]]
    ) -> tuple[Summary, Skipped]:
        plan = self.planned.plan
        shard = read_shard(self.folder, self.planned.id, self.number)
        endpoint, question = reach(plan.target, plan.form, asking, notify)
        prefix = _prefix(plan)
        patience = Patience(asking.timeout, notify)
        opening = Opening(replace(plan.walk, patience=patience), prefix)
        contents = Contents(patience, as_planned=True)
        engine = Engine(
            endpoint,
            plan.target,
            question,
            expected=plan.form.expected,
            window=Window.over(len(endpoint.replicas), asking.in_flight, plan.form.in_flight),
            policy=Policy(asking.timeout, keep_version=True),
            notify=notify,
            listeners=[part, *listeners],
            contents=contents,
        )
        started = time.monotonic()
        try:
            requests = cut(opening.open(shard.files), plan.batch_size, shard.requests_before)
            engine.run(part.note(requests, prefix), None)
        except VersionSwappedError as swap:
            raise ServerError(
                f"{endpoint.name} has version {swap.newest} of model {plan.target.model} in place of version "
                f"{plan.target.version}, which the job is planned for: serve that version again"
            ) from None
        if part.was_there and contents.gone + opening.gone == part.was_there:
            raise ShardError(
                f"none of the {part.was_there:,} files of shard {self.number} is on {socket.gethostname()}: have it "
                f"mount what holds {part.first}"
            )
        engine.summary.seconds = time.monotonic() - started
        return engine.summary, opening.skipped

    def _mark(self, marker: Marker) -> Marker:
        """Put the marker, unless another worker was first; then the marker and the part are that worker's."""
        name = marker_name(self.number)
        if self.folder.put_new(name, marker.to_json()):
            return marker
        first = read_marker(self.folder, self.planned, self.number)
        if first is None:
            # Damaged, or its part is.
            self.folder.put(name, marker.to_json())
            return marker
        if first.part != marker.part:
            self.folder.remove(marker.part)
        return first


class _Part:
    """Writes the rows of a shard as they come.

    Attributes:
        size: how many bytes were written.
        was_there: how many files the walk had found, of those that were asked for.
        first: the path of the first one.
    """

    def __init__(self, draft: Draft, form: Columns[Any]) -> None:
        self._draft = draft
        self._form = form
        self._hash = hashlib.sha256()
        self._requests: deque[list[File]] = deque()
        self.size = 0
        self.was_there = 0
        self.first = ""

    @property
    def sha256(self) -> str:
        """Of what was written."""
        return self._hash.hexdigest()

    def note(self, requests: Iterable[list[File]], prefix: str) -> Iterator[list[File]]:
        """The requests as files are found here; their rows will have the paths of the walk."""
        for files in requests:
            self._requests.append(files)
            self.was_there += sum(1 for file in files if file.mtime_ns)
            found = [at(file, prefix) for file in files] if prefix else files
            self.first = self.first or found[0].path
            yield found

    def add(self, _files: list[File], answers: list[Row]) -> None:
        octets = render(".csv", self._form, self._requests.popleft(), answers, header=not self.size)
        self._draft.write(octets)
        self._hash.update(octets)
        self.size += len(octets)

    def start_over(self) -> None:
        """Never asked: a shard keeps to the version of its job."""


def _prefix(plan: Plan) -> str:
    """What is put before relative paths; nothing where they are those of the plan."""
    try:
        here = os.getcwd()  # noqa: PTH109 - a path that is no UTF-8 stays as it is
    except OSError:
        here = ""  # it was deleted
    return "" if here == plan.folder else os.path.join(plan.folder, "")  # noqa: PTH118 - likewise
