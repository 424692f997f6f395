"""The engine: files in, answers out, several requests in flight, every fault of the server waited out.

Requests are sent in the order of the walk and their answers taken in the same order, from a bounded window. A fault
that may pass is retried with jittered exponential backoff (full jitter: Brooker, "Exponential Backoff And Jitter", AWS
Architecture Blog, 2015) until the server has failed for `timeout` seconds on end.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc

from batch.client import wire_pb2 as wire
from batch.client.answers import Answer, fault, read_answers
from batch.client.endpoint import Endpoint, Offer, Replica, ServerError, refusal
from batch.client.probe import probe
from batch.client.tensors import AnswerError, Target, predict_request
from batch.client.window import Window
from batch.files.contents import Contents, Fault
from batch.files.walk import MAX_REQUEST_BYTES, File
from batch.stores.faults import StoreError
from batch.stores.patience import Patience
from batch.summary import ErrorLimit, Summary
from batch.table.journal import Journal
from exporter.contract import REFUSED, TOO_LARGE

_RETRYABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        # The model was there before the first image: it is between two versions, or the server between two lives.
        grpc.StatusCode.NOT_FOUND,
        # A server that shuts down cancels what it was working on.
        grpc.StatusCode.CANCELLED,
    }
)
_OVERLOAD = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
# What gRPC says of connections that were cut in the middle of an answer, with other codes than UNAVAILABLE.
_CUT = ("RST_STREAM", "Stream removed", "Connection reset")
_TOO_LONG = "larger than max"  # what gRPC says of a message beyond the server's limit
_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 5.0
_ATTEMPT = 0.5  # of the timeout: a server that says nothing leaves time for another attempt
_STATUS_TIMEOUT_S = 5.0
_UNTOLD_S = 2.0  # of faults on end, before the user is told what is waited for


class Listener(Protocol):
    """Is told of answers as they come."""

    def add(self, files: list[File], answers: list[Answer]) -> None:
        """Of one request, in the order of the walk; those of an unfinished run included."""

    def start_over(self) -> None:
        """Forget what was told: the run begins again."""


class VersionSwappedError(Exception):
    """The version that a run was to keep to is gone; `newest` has taken its place."""

    def __init__(self, newest: int) -> None:
        super().__init__(newest)
        self.newest = newest


@dataclass
class _Part:
    """A part of a request, usually all of it, on its way."""

    places: list[int]
    """Of its images, among the request's files."""
    images: list[bytes]
    request: wire.PredictRequest
    replica: Replica
    future: "grpc.Future[wire.PredictResponse]"
    sent_at: float


@dataclass
class _Flight:
    """A request in flight: one that the walk was cut into and the journal counts; on the wire it may be several."""

    number: int
    files: list[File]
    answers: dict[int, Answer]
    """By place; first of the files that cannot be sent."""
    parts: deque[_Part]
    is_resumed: bool = False
    """Whether the journal has the answers already."""
    is_probed: bool = False


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


class Engine:
    """Sends requests to an endpoint and hands on their answers.

    Args:
        endpoint: where they go.
        target: what is asked.
        offer: the signature's input, and the outputs that are wanted.
        window: how many requests may be under way.
        policy: when to give up.
        notify: told in one line what the user should know.
        listeners: told of every answer.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        target: Target,
        offer: Offer,
        *,
        window: Window,
        policy: Policy,
        notify: Callable[[str], None] = lambda _: None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._endpoint = endpoint
        self._target = target
        self._offer = offer
        self._window = window
        self._policy = policy
        self._notify = notify
        self._listeners = listeners
        self._contents = Contents(Patience(policy.timeout, notify))
        self._flights: deque[_Flight] = deque()
        self._is_outage_told = False
        self.summary = Summary()

    def run(self, batches: Iterable[list[File]], journal: Journal | None) -> None:
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
                if done is None:
                    self._take_off(number, files)
                else:
                    self._flights.append(_Flight(number, files, dict(enumerate(done)), deque(), is_resumed=True))
            while self._flights:
                self._land(journal)
        except StoreError:
            # The server is well: what it has at hand need not be asked again.
            while self._flights:
                self._land(journal)
            raise
        finally:
            for flight in self._flights:
                for part in flight.parts:
                    part.future.cancel()
            self._contents.close()
            self.summary.unread_pages = self._contents.unread_pages

    def _ahead(
        self, batches: Iterable[list[File]], journal: Journal | None
    ) -> Iterator[tuple[list[File], list[Answer] | None]]:
        """Batches with what the journal has of them. What a store has of the next ones is being read meanwhile."""
        waiting: deque[tuple[list[File], list[Answer] | None]] = deque()
        for number, files in enumerate(batches):
            done = None if journal is None else journal.done(number, files)
            if done is None:
                self._contents.expect(files)
            waiting.append((files, done))
            while waiting and (done is not None or not self._contents.wants_more(waiting[0][0])):
                yield waiting.popleft()
        yield from waiting

    def _take_off(self, number: int, files: list[File]) -> None:
        flight = _Flight(number, files, {}, deque())
        self._flights.append(flight)
        places: list[int] = []
        images: list[bytes] = []
        octets = 0
        for place, image in enumerate(self._read(files)):
            if isinstance(image, Fault):
                flight.answers[place] = fault(image.text, self._offer.outputs)
                continue
            # The walk kept to the limit, by the sizes of files; as PNG they may be many times as large.
            if images and octets + len(image) > MAX_REQUEST_BYTES:
                self._send_more(flight, places, images)
                places, images, octets = [], [], 0
            places.append(place)
            images.append(image)
            octets += len(image)
        # An empty batch is never sent: TensorFlow Serving with batching lets it hang.
        if images:
            self._send_more(flight, places, images)

    def _read(self, files: list[File]) -> Iterator[bytes | Fault]:
        """The images of the newest flight, which is none without them."""
        try:
            yield from self._contents.read(files)
        except StoreError:
            for part in self._flights.pop().parts:
                part.future.cancel()
            raise

    def _send_more(self, flight: _Flight, places: list[int], images: list[bytes]) -> None:
        """Send a part of a flight, once there is room in the window for its second or later one."""
        while flight.parts and sum(len(one.parts) for one in self._flights) >= self._window.size:
            self._settle(next(one for one in self._flights if one.parts))
        flight.parts.append(self._send(places, images))

    def _land(self, journal: Journal | None) -> None:
        """Take the answers of the oldest request, write them down and hand them on."""
        flight = self._flights[0]
        while flight.parts:
            self._settle(flight)
        answers = [flight.answers[place] for place in range(len(flight.files))]
        self._check_version(answers)
        self._flights.popleft()
        if flight.is_resumed:
            self.summary.resumed += len(flight.files)
        elif journal is not None:
            journal.append(flight.number, flight.files, answers)
        self._count(flight.files, answers)

    def _settle(self, flight: _Flight) -> None:
        """Take the answers to the first part of a flight, or put its halves in its place."""
        part = flight.parts[0]
        try:
            response = self._answer(part)
        except grpc.RpcError as error:
            self._on_refusal(flight, part, error)
            return
        flight.parts.popleft()
        try:
            answers = read_answers(response, len(part.images), self._offer.outputs)
        except AnswerError as error:
            raise ServerError(f"{part.replica.address} does not keep the contract: {error}") from None
        flight.answers.update(zip(part.places, answers, strict=True))

    def _send(self, places: list[int], images: list[bytes]) -> _Part:
        request = predict_request(self._target, self._offer.input_name, images, self._offer.outputs)
        replica = self._endpoint.next_replica()
        future = replica.predict(request, self._policy.timeout * _ATTEMPT)
        return _Part(places, images, request, replica, future, time.monotonic())

    def _answer(self, part: _Part) -> wire.PredictResponse:
        """Wait for a response, sending again while the fault may pass. Raises RpcError for any other fault."""
        # Not from when it was sent: what the client itself has done since then is no fault of the server.
        since = time.monotonic()
        while True:
            try:
                response = part.future.result()
            except grpc.RpcError as error:
                if not _may_pass(error):
                    raise
                self._retry(part, error, since)
            else:
                part.replica.failures = 0
                self._window.on_success()
                self._is_outage_told = False
                return response

    def _retry(self, part: _Part, error: grpc.RpcError, since: float) -> None:
        reason = f"{part.replica.address}: {error.details()} ({error.code().name})"
        if error.code() is grpc.StatusCode.NOT_FOUND:
            self._look_for_swap(part.replica)
        if error.code() in _OVERLOAD:
            self._window.on_overload(part.sent_at)
        # The replica rests, and so do its next requests; others need not wait for it.
        part.replica.failures += 1
        longest = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2**part.replica.failures)
        part.replica.rests_until = time.monotonic() + random.uniform(0, longest)  # noqa: S311 - no secret
        replica = self._endpoint.next_replica()
        pause = max(0.0, replica.rests_until - time.monotonic())
        remaining = since + self._policy.timeout - time.monotonic()
        if remaining <= pause:
            raise ServerError(f"gave up after {self._policy.timeout:g} s of faults: {reason}")
        if not self._is_outage_told and remaining - pause < self._policy.timeout - _UNTOLD_S:
            self._notify(f"waiting for {reason}; trying again for {remaining:.0f} s")
            self._is_outage_told = True
        time.sleep(pause)
        self.summary.retries += 1
        part.replica = replica
        part.future = replica.predict(part.request, min(remaining - pause, self._policy.timeout * _ATTEMPT))
        part.sent_at = time.monotonic()

    def _on_refusal(self, flight: _Flight, part: _Part, error: grpc.RpcError) -> None:
        """Halve a request that is refused for one of its images, until that image alone carries the error."""
        is_too_long = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        if error.code() is not grpc.StatusCode.INVALID_ARGUMENT and not is_too_long:
            raise _refusal_of_request(part.replica.address, error)
        if not flight.is_probed:
            self._probe(part.replica, error)
            flight.is_probed = True
        flight.parts.popleft()
        if len(part.images) == 1:
            # The contract has a word for an image that is too long to be sent.
            text = TOO_LARGE if is_too_long else REFUSED
            flight.answers[part.places[0]] = fault(text, self._offer.outputs)
            return
        if not self.summary.splits:
            self._notify(
                f"{part.replica.address} refuses a request of {len(part.images)} images ({error.details()}): "
                "asking again in smaller ones"
            )
        self.summary.splits += 1
        half = len(part.images) // 2
        halves = [
            self._send(part.places[:half], part.images[:half]),
            self._send(part.places[half:], part.images[half:]),
        ]
        flight.parts.extendleft(reversed(halves))

    def _probe(self, replica: Replica, error: grpc.RpcError) -> None:
        """Raise ServerError if the server refuses any image: then it is not the images' fault."""
        try:
            self._answer(self._send([0], [probe()]))
        except grpc.RpcError:
            raise _refusal_of_request(replica.address, error) from None

    def _check_version(self, answers: list[Answer]) -> None:
        wanted = str(self._target.version)
        if self._policy.keep_version and any(answer.version not in ("", wanted) for answer in answers):
            raise VersionSwappedError(self._target.version or 0)

    def _look_for_swap(self, replica: Replica) -> None:
        """Raise VersionSwappedError if the version to keep to has made place for a newer one."""
        if not self._policy.keep_version:
            return
        newest = Target(self._target.model, self._target.signature)
        try:
            available = replica.available(newest, _STATUS_TIMEOUT_S)
        except grpc.RpcError:
            return  # it says no more of the model than Predict does
        if available and self._target.version not in available:
            raise VersionSwappedError(max(available))

    def _count(self, files: list[File], answers: list[Answer]) -> None:
        self.summary.add(answers)
        for listener in self._listeners:
            listener.add(files, answers)
        if self._policy.max_errors is not None and self._policy.max_errors.is_passed(self.summary):
            errors = ", ".join(f"{count:,} {text}" for text, count in self.summary.errors.most_common())
            raise ServerError(
                f"too many errors for --max-errors: {errors}, of {self.summary.rows:,} rows; see what is wrong with "
                "these files, or raise the limit"
            )


def _may_pass(error: grpc.RpcError) -> bool:
    details = error.details() or ""
    if error.code() in _RETRYABLE:
        return _TOO_LONG not in details
    return error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN) and any(cut in details for cut in _CUT)


def _refusal_of_request(address: str, error: grpc.RpcError) -> ServerError:
    """A fault in the middle of a run, whoever's it is: what is done is kept."""
    return ServerError(str(refusal(address, error)))
