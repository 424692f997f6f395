"""A watcher from its settings to its end by a signal: the library function behind digits-batch --watch.

A round takes files that are complete and has the engine answer them. With each answered request, rows are appended and
synced, the state is committed, and files are moved. So nothing that is answered is lost, and nothing is answered twice.
"""

import errno
import itertools
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

from batch.client.answers import Row
from batch.client.endpoint import Endpoint, ServerError
from batch.client.question import Question
from batch.client.server import find_server
from batch.client.window import Window
from batch.disk.offered import try_sync
from batch.engine import Engine, Policy
from batch.files.file import File
from batch.files.requests import cut
from batch.formats.pool import ConverterError
from batch.table.journal import hold, journal_of
from batch.watch.incoming import Incoming, Source
from batch.watch.missing import Missing
from batch.watch.moves import Mover
from batch.watch.outage import Outage
from batch.watch.parts import Answered, Parts
from batch.watch.roots import Root
from batch.watch.settings import Watch
from batch.watch.signals import Stop, StoppedError
from batch.watch.state import Known, State, state_of
from exporter.command import UserError
from exporter.contract import UNREADABLE

_ROUND = 8000  # files of a round: what is under way when a signal comes must not be too much
_READS = 5  # attempts at a file that cannot be read, as another program may have it open

Notify = Callable[[str], None]


@dataclass
class Figures:
    """What a watcher has done since it was started.

    Attributes:
        waiting: files that are seen, and not complete or not answered yet.
        rows: written.
        errors: rows with an error.
    """

    waiting: int = 0
    rows: int = 0
    errors: int = 0


def run_watch(
    watch: Watch, stop: Stop, notify: Notify = lambda _: None, show: Callable[[int, int, int], None] = lambda *_: None
) -> Figures:
    """Answer each file that comes, until a signal comes.

    Args:
        watch: what is to be done.
        stop: has taken the signals.
        notify: told in one line what the user should know.
        show: told of the files that wait, the rows, and the rows with errors, again and again.

    Raises:
        UserError: wrong usage, or another program changed the table.
        OSError: the disk is full, or fails; what is committed is kept, and `run_watch` goes on from there.
    """
    watch.check()
    if not (watch.roll.kind or state_of(watch.out).exists()) and os.path.lexists(watch.out):
        raise UserError(
            f"{watch.out} is there already, and {state_of(watch.out).name}, which says what of it is answered, is not; "
            "choose another --out"
        )
    lock = hold(watch.out, notify)
    try:
        is_synced = try_sync(lock.fileno())
        if not is_synced:
            notify(
                f"the file system of {watch.out} offers no syncing: if the machine fails, rows of the last minute may "
                "be lost or incomplete"
            )
        with State(state_of(watch.out), is_synced=is_synced) as state, ExitStack() as stack:
            watcher = _Watcher(watch, state, stop, notify, show, stack)
            try:
                watcher.run()
            except StoppedError:
                pass
            except sqlite3.Error as error:
                raise OSError(errno.EIO, str(error), str(state.path)) from None
            return watcher.figures
    finally:
        journal_of(watch.out).unlink(missing_ok=True)
        lock.close()


class _Watcher:
    """The parts of one watcher, and the loop over them."""

    def __init__(
        self,
        watch: Watch,
        state: State,
        stop: Stop,
        notify: Notify,
        show: Callable[[int, int, int], None],
        stack: ExitStack,
    ) -> None:
        roots = [Root(path) for path in watch.walk.paths]
        folders = [folder for folder in (watch.move_done, watch.move_failed) if folder is not None]
        self.figures = Figures()
        self._watch = watch
        self._stop = stop
        self._notify = notify
        self._show = show
        self._outage = Outage(notify)
        self._parts = stack.enter_context(closing(Parts(watch.out, watch.form, watch.roll, state, notify)))
        self._incoming = stack.enter_context(closing(Incoming(roots, watch.walk, watch.settle, folders, state, notify)))
        self._mover = Mover(watch.move_done, watch.move_failed, roots, state, notify)
        self._missing = Missing(roots, state)
        self._servers = watch.servers
        self._most = _ROUND

    def run(self) -> None:
        """Find the server, answer what comes, and find the server again if it fails, until a signal comes."""
        named = ", ".join(self._watch.walk.paths)
        quick = "by inotify, and with a look" if self._incoming.is_told else "with a look"
        self._notify(f"watching {named} {quick} every second; rows go to {self._watch.out}")
        has_connected = False
        while self._stop.signal is None:
            with ExitStack() as stack:
                # A signal need not wait for a server that does not answer.
                self._stop.is_waiting = True
                try:
                    endpoint, question = self._connect(stack)
                    has_connected = True
                    self._stop.is_waiting = False
                    self._serve(endpoint, question)
                except (ServerError, ConverterError) as error:
                    self._outage.tell(error)
                except _ConnectError as error:
                    if not has_connected:
                        raise error.reason from None
                    self._outage.tell(error.reason)
            self._stop.is_waiting = True
            self._outage.rest()

    def _connect(self, stack: ExitStack) -> tuple[Endpoint, Question[Any]]:
        watch = self._watch
        try:
            endpoint = stack.enter_context(
                find_server(self._servers, watch.security, watch.target, watch.timeout, self._outage.quiet)
            )
            question = watch.form.question(endpoint, watch.target, watch.timeout)
        except ServerError:
            raise
        except UserError as error:
            # A mistake of the user's at the start; later, a server that is being put right.
            raise _ConnectError(error) from None
        if not self._servers and not endpoint.name.startswith("unix:"):
            # It listened on localhost: if it goes down, wait for it, and start no other one.
            self._servers = tuple(replica.address for replica in endpoint.replicas)
        return endpoint, question

    def _serve(self, endpoint: Endpoint, question: Question[Any]) -> None:
        window = Window.over(len(endpoint.replicas), self._watch.in_flight, self._watch.form.in_flight)
        while self._stop.signal is None:
            sources = self._incoming.complete(self._most)
            if sources:
                self._answer(sources, endpoint, question, window)
            self._parts.end_if_over()
            self._mover.catch_up()
            self._missing.look()
            self.figures.waiting = self._incoming.waiting
            self._show(self.figures.waiting, self.figures.rows, self.figures.errors)
            if not sources:
                self._incoming.wait()

    def _answer(self, sources: list[Source], endpoint: Endpoint, question: Question[Any], window: Window) -> None:
        """Have the engine answer files; those that it does not get to wait again."""
        rows = _Rows(deque(sources), self._write)
        policy = Policy(self._watch.timeout)
        engine = Engine(
            endpoint,
            self._watch.target,
            question,
            expected=self._watch.form.expected,
            window=window,
            policy=policy,
            notify=self._outage.quiet,
            listeners=[rows],
        )
        files = itertools.chain.from_iterable(source.files for source in sources)
        batches = cut(files, self._watch.batch_size)
        try:
            # After a signal no more is sent, and what is under way is answered.
            engine.run(itertools.takewhile(lambda _: self._stop.signal is None, batches), None)
        except ServerError:
            # If one file is what the server fails over, it is alone in the end, and the others are answered.
            self._most = max(1, min(self._most, len(rows.left)) // 2)
            raise
        finally:
            self._incoming.put_back(rows.left)
        self._most = min(_ROUND, 2 * self._most)

    def _write(self, done: Sequence[tuple[Source, list[Row]]]) -> None:
        """Write the rows of files, unless one has changed under our hands or may yet be readable."""
        answered: list[Answered] = []
        for source, answers in done:
            is_readable = all(answer.error != UNREADABLE for answer in answers)
            if not source.is_unchanged():
                # Changed while it was read: its next form gets the row. Taken away: it was read, or gets none.
                if not is_readable or os.path.lexists(source.path):
                    continue
            elif not is_readable and source.attempts + 1 < _READS:
                self._incoming.put_back([source], unreadable=True)
                continue
            failed = any(answer.error for answer in answers)
            known = Known(source.key, source.size, source.mtime_ns, failed)
            answered.append(Answered(known, list(source.files), answers))
        if not answered:
            return
        inodes = {root.fact: root.inode() for root in {source.root for source, _ in done}}
        self._parts.write(answered, {fact: inode for fact, inode in inodes.items() if inode is not None})
        self._mover.move(one.known for one in answered)
        self.figures.rows += sum(len(one.answers) for one in answered)
        self.figures.errors += sum(1 for one in answered for answer in one.answers if answer.error)
        self._outage.end()
        self.figures.waiting = self._incoming.waiting
        self._show(self.figures.waiting, self.figures.rows, self.figures.errors)


class _ConnectError(Exception):
    """The server was found to lack what is asked, or to refuse it."""

    def __init__(self, reason: UserError) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass
class _Rows:
    """Puts the answers of requests together to those of files: a file of many pages may be in several requests.

    Attributes:
        left: files without all their answers, in the order in which these come.
    """

    left: deque[Source]
    write: Callable[[Sequence[tuple[Source, list[Row]]]], None]
    answers: list[Row] = field(default_factory=list)

    def add(self, _files: list[File], answers: list[Row]) -> None:
        self.answers += answers
        done: list[tuple[Source, list[Row]]] = []
        while self.left and len(self.left[0].files) <= len(self.answers):
            source = self.left.popleft()
            count = len(source.files)
            done.append((source, self.answers[:count]))
            del self.answers[:count]
        self.write(done)

    def start_over(self) -> None:
        """Never asked: a watcher keeps to no version."""
