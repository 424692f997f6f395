"""The engine: files in, answers out, in the order of the walk, several requests in flight.

Requests are sent in the order of the walk and their answers taken in the same order, from a bounded window. What
becomes of one request, and of the server's faults, is in `client/exchange.py`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol

from batch.client.answers import AnyRow
from batch.client.endpoint import Endpoint, ServerError
from batch.client.exchange import Exchange, Request, VersionSwappedError, wait
from batch.client.question import Question
from batch.client.tensors import Target
from batch.client.window import Window
from batch.files.contents import Contents, Fault
from batch.files.file import File
from batch.stores.faults import StoreError
from batch.stores.patience import Patience
from batch.summary import ErrorLimit, Summary
from batch.table.journal import Journal


class Listener(Protocol[AnyRow]):
    """Is told of answers as they come."""

    def add(self, files: list[File], answers: list[AnyRow]) -> None:
        """Of one request, in the order of the walk; those of an unfinished run included."""

    def start_over(self) -> None:
        """Forget what was told: the run begins again."""


@dataclass
class _Flight(Generic[AnyRow]):
    """A request in flight: one that the walk was cut into and the journal counts.

    Attributes:
        number: of the request in the walk.
        files: asked about.
        request: on its way; None where the journal has the answers already.
        resumed: these answers.
    """

    number: int
    files: list[File]
    request: Request[AnyRow] | None
    resumed: list[AnyRow]


@dataclass(frozen=True)
class Policy:
    """When a run gives up.

    Attributes:
        timeout: for how many seconds on end the server may fail.
        max_errors: how many error rows end the run; None for any number.
        keep_version: whether all rows must come from the version that the target names.
    """

    timeout: float
    max_errors: ErrorLimit | None = None
    keep_version: bool = False


class Engine(Generic[AnyRow]):
    """Sends requests to an endpoint and hands on their answers.

    Args:
        endpoint: where they go.
        target: what is asked.
        question: the signature's input, the outputs that are wanted, and how they are read.
        expected: how many digits the server is told to expect in each image; None where the signature does not ask.
        window: how many requests may be under way.
        policy: when to give up.
        notify: told in one line what the user should know.
        listeners: told of every answer.
        contents: reads the files; closed with the run.
    """

    def __init__(  # noqa: PLR0913 - its parts, most of them by name
        self,
        endpoint: Endpoint,
        target: Target,
        question: Question[AnyRow],
        *,
        expected: int | None = None,
        window: Window,
        policy: Policy,
        notify: Callable[[str], None] = lambda _: None,
        listeners: Sequence[Listener[AnyRow]] = (),
        contents: Contents | None = None,
    ) -> None:
        self._target = target
        self._expected = expected
        self._window = window
        self._policy = policy
        self._listeners = listeners
        self._exchange = Exchange(
            endpoint,
            target,
            question,
            window=window,
            timeout=policy.timeout,
            keep_version=policy.keep_version,
            notify=notify,
        )
        self._contents = contents or Contents(Patience(policy.timeout, notify))
        self._flights: deque[_Flight[AnyRow]] = deque()
        self.summary = Summary()

    def run(self, batches: Iterable[list[File]], journal: Journal[AnyRow] | None) -> None:
        """Ask for every batch that the journal does not have, and write down there what is answered.

        Raises:
            ServerError: the server failed for too long, or refused, or there are too many errors; the journal keeps
                what was answered.
            ConverterError: pictures are to be converted, and cannot be; likewise.
            StoreError: files are to be read from a store, which failed for too long, or refuses; likewise.
            VersionSwappedError: with `keep_version`, that version is gone.
            OSError: the journal, or what a listener writes, cannot be written.
        """
        try:
            for number, (files, done) in enumerate(self._ahead(batches, journal)):
                while len(self._flights) >= self._window.size:
                    self._land(journal)
                request = self._send(files) if done is None else None
                self._flights.append(_Flight(number, files, request, done or []))
            while self._flights:
                self._land(journal)
        except StoreError:
            # The server is well: what it has at hand need not be asked again.
            while self._flights:
                self._land(journal)
            raise
        finally:
            self._exchange.cancel()
            self._contents.close()
            self.summary.retries, self.summary.splits = self._exchange.retries, self._exchange.splits
            self.summary.unread_pages = self._contents.unread_pages

    def _ahead(
        self, batches: Iterable[list[File]], journal: Journal[AnyRow] | None
    ) -> Iterator[tuple[list[File], list[AnyRow] | None]]:
        """Batches with what the journal has of them. What a store has of the next ones is being read meanwhile."""
        waiting: deque[tuple[list[File], list[AnyRow] | None]] = deque()
        for number, files in enumerate(batches):
            done = None if journal is None else journal.done(number, files)
            if done is None:
                self._contents.expect(files)
            waiting.append((files, done))
            while waiting and (done is not None or not self._contents.wants_more(waiting[0][0])):
                yield waiting.popleft()
        yield from waiting

    def _send(self, files: list[File]) -> Request[AnyRow]:
        images = (one.text if isinstance(one, Fault) else one for one in self._contents.read(files))
        digits = () if self._expected is None else [self._expected] * len(files)
        return wait(self._exchange.begin(images, digits))

    def _land(self, journal: Journal[AnyRow] | None) -> None:
        """Take the answers of the oldest request, write them down and hand them on."""
        flight = self._flights[0]
        answers = flight.resumed if flight.request is None else wait(self._exchange.finish(flight.request))
        self._check_version(answers)
        self._flights.popleft()
        if flight.request is None:
            self.summary.resumed += len(flight.files)
        elif journal is not None:
            journal.append(flight.number, flight.files, answers)
        self._count(flight.files, answers)

    def _check_version(self, answers: list[AnyRow]) -> None:
        wanted = str(self._target.version)
        if self._policy.keep_version and any(answer.version not in ("", wanted) for answer in answers):
            raise VersionSwappedError(self._target.version or 0)

    def _count(self, files: list[File], answers: list[AnyRow]) -> None:
        self.summary.add(answers)
        for listener in self._listeners:
            listener.add(files, answers)
        if self._policy.max_errors is not None and self._policy.max_errors.is_passed(self.summary):
            errors = ", ".join(f"{count:,} {text}" for text, count in self.summary.errors.most_common())
            raise ServerError(
                f"too many errors for --max-errors: {errors}, of {self.summary.rows:,} rows; see what is wrong with "
                "these files, or raise the limit"
            )
