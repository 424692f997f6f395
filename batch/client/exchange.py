"""Images to a service and its answers back, every fault of the server waited out: beneath digits-batch and the client.

A fault that may pass is retried with jittered exponential backoff (full jitter: Brooker, "Exponential Backoff And
Jitter", AWS Architecture Blog, 2015) until the server has failed for `timeout` seconds on end. A request that is
refused for one of its images is halved until that image alone carries the error.

What takes time is written as generators of steps, so that there is one policy for threads and for event loops: `wait`
makes the steps in a thread, `aio.wait_async` in an event loop.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import grpc

from batch.client import wire_pb2 as wire
from batch.client.endpoint import Endpoint, Replica, ServerError, refusal
from batch.client.faults import may_pass
from batch.client.probe import probe
from batch.client.question import Answered, Question
from batch.client.tensors import AnswerError, Target, predict_request
from batch.client.window import MAX_REQUEST_BYTES, Window
from exporter.contract import REFUSED, TOO_LARGE

if TYPE_CHECKING:
    from batch.client.waited_call import WaitedCall

_OVERLOAD = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 5.0
_ATTEMPT = 0.5  # of the timeout: a server that says nothing leaves time for another attempt
_STATUS_TIMEOUT_S = 5.0
_UNTOLD_S = 2.0  # of faults on end, before the user is told what is waited for

Result = TypeVar("Result")
Call: TypeAlias = "grpc.Future[wire.PredictResponse] | WaitedCall[wire.PredictResponse]"
Step: TypeAlias = "Call | float | Callable[[], object]"
"""A call to be waited for, seconds to be waited, or work that takes time."""
Steps: TypeAlias = Generator[Step, None, Result]


class VersionSwappedError(Exception):
    """The version that was to be kept to is gone; `newest` has taken its place."""

    def __init__(self, newest: int) -> None:
        super().__init__(newest)
        self.newest = newest


@dataclass(eq=False)
class _Part:
    """A part of a request, usually all of it, on its way."""

    places: list[int]
    """Of its images, among the request's."""
    images: list[bytes]
    message: wire.PredictRequest
    replica: Replica
    future: Call
    sent_at: float


@dataclass(eq=False)
class Request(Generic[Answered]):
    """Images that were asked about together; on the wire it may be several messages.

    Attributes:
        digits: how many are expected in each image, by place; empty where the signature does not ask.
        count: how many images.
        answers: by place; first those of images that cannot be sent.
        parts: on their way.
        is_probed: whether it was found out that the server refuses these images, and not all.
    """

    digits: Sequence[int] = ()
    count: int = 0
    answers: dict[int, Answered] = field(default_factory=dict)
    parts: deque[_Part] = field(default_factory=deque)
    is_probed: bool = False


def wait(steps: Steps[Result]) -> Result:
    """Make the steps in this thread, and return what comes of them. Raises what they raise."""
    while True:
        try:
            step = next(steps)
        except StopIteration as done:
            result: Result = done.value
            return result
        if isinstance(step, float):
            time.sleep(step)
        elif callable(step):
            step()
        else:
            with suppress(grpc.FutureCancelledError):
                step.exception()


class Exchange(Generic[Answered]):
    """Sends requests of images to an endpoint and takes their answers.

    Args:
        endpoint: where they go.
        target: what is asked.
        question: the signature's input, the outputs that are wanted, and how they are read.
        window: how many messages may be under way.
        timeout: for how many seconds on end the server may fail.
        keep_version: whether all answers must come from the version that the target names.
        one_by_one: whether each request is sent only when it is waited for, by `wait`; nothing is under way before.
        notify: told in one line what the user should know.

    Attributes:
        retries: messages that were sent again.
        splits: messages that were halved, because the server took them together for no answer.
    """

    def __init__(  # noqa: PLR0913 - keyword arguments all but three
        self,
        endpoint: Endpoint,
        target: Target,
        question: Question[Answered],
        *,
        window: Window,
        timeout: float,
        keep_version: bool = False,
        one_by_one: bool = False,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._endpoint = endpoint
        self._target = target
        self._question = question
        self._window = window
        self._timeout = timeout
        self._keep_version = keep_version
        self._one_by_one = one_by_one
        self._notify = notify
        self._requests: deque[Request[Answered]] = deque()
        self._is_outage_told = False
        self.retries = 0
        self.splits = 0

    def begin(self, images: Iterable[bytes | str], digits: Sequence[int] = ()) -> Steps[Request[Answered]]:
        """Send images, without waiting for their answers.

        Args:
            images: encoded images; in the place of one that cannot be sent, the error of its answer.
            digits: how many are expected in each image, if the signature asks for it; 0 where that is unknown.

        Raises:
            ServerError: as `finish`, of a request that is under way already.
            Exception: what taking the images raises; then none of them counts as asked.
        """
        request: Request[Answered] = Request(digits)
        self._requests.append(request)
        try:
            yield from self._fill(request, images)
        except BaseException:
            # Its images cannot be had: it was never asked.
            self._requests.remove(request)
            _cancel(request)
            raise
        return request

    def _fill(self, request: Request[Answered], images: Iterable[bytes | str]) -> Steps[None]:
        """Send images as parts of a request."""
        places: list[int] = []
        encoded: list[bytes] = []
        octets = 0
        for place, image in enumerate(images):
            request.count += 1
            if isinstance(image, str):
                request.answers[place] = self._question.fault(image)
                continue
            # Who cut these images into requests knew the sizes of files; as PNG they may be many times as large.
            if encoded and octets + len(image) > MAX_REQUEST_BYTES:
                yield from self._send_more(request, places, encoded)
                places, encoded, octets = [], [], 0
            places.append(place)
            encoded.append(image)
            octets += len(image)
        # An empty batch is never sent: TensorFlow Serving with batching lets it hang.
        if encoded:
            yield from self._send_more(request, places, encoded)

    def finish(self, request: Request[Answered]) -> Steps[list[Answered]]:
        """Wait for the answers to a request, in the order of its images.

        Raises:
            ServerError: the server failed for too long, or refused, or does not keep the contract.
            VersionSwappedError: with `keep_version`, that version is gone.
        """
        while request.parts:
            yield from self._settle(request)
        self._requests.remove(request)
        return [request.answers[place] for place in range(request.count)]

    def cancel(self) -> None:
        """Cancel what is under way."""
        for request in self._requests:
            _cancel(request)
        self._requests.clear()

    def _send_more(self, request: Request[Answered], places: list[int], images: list[bytes]) -> Steps[None]:
        """Send a part of a request, once there is room in the window for its second or later one."""
        while request.parts and sum(len(one.parts) for one in self._requests) >= self._window.size:
            yield from self._settle(next(one for one in self._requests if one.parts))
        request.parts.append(self._send(request, places, images))

    def _settle(self, request: Request[Answered]) -> Steps[None]:
        """Take the answers to the first part of a request, or put its halves in its place."""
        part = request.parts[0]
        try:
            response = yield from self._answer(part)
        except grpc.RpcError as error:
            yield from self._on_refusal(request, part, error)
            return
        request.parts.popleft()
        try:
            answers = self._question.read(response, len(part.images))
        except AnswerError as error:
            raise ServerError(f"{part.replica.address} does not keep the contract: {error}") from None
        request.answers.update(zip(part.places, answers, strict=True))

    def _send(self, request: Request[Answered], places: list[int], images: list[bytes]) -> _Part:
        digits = [request.digits[place] for place in places] if request.digits else []
        message = predict_request(self._target, self._question.input_name, images, self._question.outputs, digits)
        replica = self._endpoint.next_replica()
        future = self._call(replica, message, self._timeout * _ATTEMPT)
        return _Part(places, images, message, replica, future, time.monotonic())

    def _call(self, replica: Replica, message: wire.PredictRequest, timeout: float) -> Call:
        return (replica.predict_when_waited_for if self._one_by_one else replica.predict)(message, timeout)

    def _answer(self, part: _Part) -> Steps[wire.PredictResponse]:
        """Wait for a response, sending again while the fault may pass. Raises RpcError for any other fault."""
        # Not from when it was sent: what the client itself has done since then is no fault of the server.
        since = time.monotonic()
        while True:
            yield part.future
            try:
                response = part.future.result()
            except grpc.RpcError as error:
                # The model was there before the first image: NOT_FOUND says that it is between two versions, or the
                # server between two lives.
                if error.code() is not grpc.StatusCode.NOT_FOUND and not may_pass(error):
                    raise
                yield from self._retry(part, error, since)
            else:
                part.replica.failures = 0
                self._window.on_success()
                self._is_outage_told = False
                return response

    def _retry(self, part: _Part, error: grpc.RpcError, since: float) -> Steps[None]:
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
        remaining = since + self._timeout - time.monotonic()
        if remaining <= pause:
            raise ServerError(f"gave up after {self._timeout:g} s of faults: {reason}")
        if not self._is_outage_told and remaining - pause < self._timeout - _UNTOLD_S:
            self._notify(f"waiting for {reason}; trying again for {remaining:.0f} s")
            self._is_outage_told = True
        yield pause
        self.retries += 1
        part.replica = replica
        part.future = self._call(replica, part.message, min(remaining - pause, self._timeout * _ATTEMPT))
        part.sent_at = time.monotonic()

    def _on_refusal(self, request: Request[Answered], part: _Part, error: grpc.RpcError) -> Steps[None]:
        """Halve a request that is refused for one of its images, until that image alone carries the error."""
        is_too_long = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        if error.code() is not grpc.StatusCode.INVALID_ARGUMENT and not is_too_long:
            yield from self._refuse(part.replica, error)
        if not request.is_probed:
            yield from self._probe(request, part, error)
            request.is_probed = True
        request.parts.popleft()
        if len(part.images) == 1:
            # The contract has a word for an image that is too long to be sent.
            text = TOO_LARGE if is_too_long else REFUSED
            request.answers[part.places[0]] = self._question.fault(text)
            return
        if not self.splits:
            self._notify(
                f"{part.replica.address} refuses a request of {len(part.images)} images ({error.details()}): "
                "asking again in smaller ones"
            )
        self.splits += 1
        half = len(part.images) // 2
        halves = [
            self._send(request, part.places[:half], part.images[:half]),
            self._send(request, part.places[half:], part.images[half:]),
        ]
        request.parts.extendleft(reversed(halves))

    def _probe(self, request: Request[Answered], part: _Part, error: grpc.RpcError) -> Steps[None]:
        """Raise ServerError if the server refuses any image: then it is not the images' fault."""
        try:
            yield from self._answer(self._send(request, part.places[:1], [probe()]))
        except grpc.RpcError:
            yield from self._refuse(part.replica, error)

    def _refuse(self, replica: Replica, error: grpc.RpcError) -> Steps[None]:
        """Raise ServerError, as the request itself is refused; what is done is kept."""
        missing: list[str] = []
        yield lambda: missing.extend(_missing_signature(replica, self._target))
        if missing:
            raise ServerError(missing[0])
        raise ServerError(str(refusal(replica, error)))

    def _look_for_swap(self, replica: Replica) -> None:
        """Raise VersionSwappedError if the version to keep to has made place for a newer one."""
        if not self._keep_version:
            return
        newest = Target(self._target.model, self._target.signature)
        try:
            available = replica.available(newest, _STATUS_TIMEOUT_S)
        except grpc.RpcError:
            return  # it says no more of the model than Predict does
        if available and self._target.version not in available:
            raise VersionSwappedError(max(available))


def _cancel(request: Request[Answered]) -> None:
    for part in request.parts:
        part.future.cancel()


def _missing_signature(replica: Replica, target: Target) -> list[str]:
    """Say that the version which serves now lacks the signature, if that is so. A version that has it was there."""
    try:
        if target.signature in replica.signatures(target, _STATUS_TIMEOUT_S):
            return []
        versions = [] if target.names_version else replica.available(target, _STATUS_TIMEOUT_S)
    except grpc.RpcError:
        return []
    version = f"version {max(versions)}" if versions else "the version that serves now"
    text = f"{replica.address}: {version} of model {target.model} has no signature {target.signature!r}, which the one "
    return [text + f"before it had; serve one that has it, or choose it with {replica.naming.model}"]
