"""The client for other services: images in, predictions out, with the same requests and retries as digits-batch."""

import functools
import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self, TypeAlias

import grpc

from batch.client.answers import Answer
from batch.client.endpoint import Endpoint, Offer, refusal
from batch.client.exchange import Exchange, Request, Steps, wait
from batch.client.fields import NumberPrediction, NumbersQuestion, cut_fields, look_for_numbers
from batch.client.naming import ARGUMENTS
from batch.client.question import Answered, Question
from batch.client.security import Security
from batch.client.tensors import STATES, Target
from batch.client.window import DEFAULT_BATCH_SIZE, DEFAULT_IN_FLIGHT, FIELDS_IN_FLIGHT, Window
from exporter.contract import MAX_FILE_BYTES, MODEL_NAME, NUMBERS_SIGNATURE, SIGNATURE, TOO_LARGE, UNREADABLE

Image: TypeAlias = bytes | os.PathLike[str]
"""An encoded image, PNG or JPEG, or the file that holds one."""


@dataclass(frozen=True)
class Prediction:
    """What the model says of one image.

    Attributes:
        digit: 0 to 9; -1 with an error.
        confidence: calibrated probability of the digit, with four decimals; 0 with an error.
        error: why there is no digit, a text of `exporter.contract`; empty if there is one.
        model_version: that answered; None where no model was asked, as the image could not be sent.
        probabilities: of the digits 0 to 9, with four decimals; zeros with an error, None if they were not asked for.
    """

    digit: int
    confidence: float
    error: str
    model_version: int | None
    probabilities: tuple[float, ...] | None


class BaseClient:
    """A model on one server or several replicas: what the clients for threads and for event loops share.

    Making a client sends nothing; its first call waits until the model is AVAILABLE.

    Args:
        servers: gRPC addresses of replicas: HOST:PORT, unix:PATH, or dns:///NAME:PORT that stands for several.
        model: its name.
        signature: of `predict`; takes encoded images.
        version: asked for instead of the newest.
        label: likewise, by its name.
        security: TLS and the metadata of calls.
        timeout: for how many seconds on end the servers may fail before a call does.
        in_flight: most requests under way in one call; None for 8 for each server, 2 in
            `predict_numbers`; fewer while it is overloaded.
    """

    def __init__(
        self,
        *servers: str,
        model: str = MODEL_NAME,
        signature: str = SIGNATURE,
        version: int | None = None,
        label: str | None = None,
        security: Security = Security(),  # noqa: B008 - immutable
        timeout: float = 60.0,
        in_flight: int | None = None,
    ) -> None:
        if not servers:
            raise TypeError('name a server, such as "localhost:8500"')
        if version is not None and label is not None:
            raise TypeError("version and label exclude each other: give one")
        self._endpoint = Endpoint(servers, security, ARGUMENTS)
        self._target = Target(model, signature, version, label)
        self._timeout = timeout
        self._in_flight = in_flight
        self._offers: dict[bool, Offer] = {}
        self._numbers_target = replace(self._target, signature=NUMBERS_SIGNATURE)
        self._reads_numbers = False

    def _predict(
        self, images: Iterable[Image], *, probabilities: bool, one_by_one: bool = False
    ) -> Steps[list[Prediction]]:
        """The predictions for images, in order; `one_by_one` as for Exchange. Raises as `Client.predict`."""
        if probabilities not in self._offers:
            yield functools.partial(self._look, probabilities=probabilities)
        batches: Iterator[tuple[list[Image], Sequence[int]]] = ((batch, ()) for batch in _cut(images))
        answers = yield from self._ask(self._target, self._offers[probabilities], batches, one_by_one=one_by_one)
        return [_prediction(answer) for answer in answers]

    def _predict_numbers(
        self, images: Iterable[Image], digits: int | Sequence[int], *, alternatives: bool, boxes: bool
    ) -> Steps[list[NumberPrediction]]:
        """As `Client.predict_numbers`."""
        if not self._reads_numbers:
            yield self._look_for_numbers
        question = NumbersQuestion(alternatives, boxes)
        batches = cut_fields(images, digits)
        return (yield from self._ask(self._numbers_target, question, batches, usual=FIELDS_IN_FLIGHT))

    def _ask(
        self,
        target: Target,
        question: Question[Answered],
        batches: Iterable[tuple[list[Image], Sequence[int]]],
        *,
        usual: int = DEFAULT_IN_FLIGHT,
        one_by_one: bool = False,
    ) -> Steps[list[Answered]]:
        """The answers to requests of images, each with how many digits are expected in them, in order."""
        window = Window.over(len(self._endpoint.replicas), self._in_flight, usual)
        exchange = Exchange(
            self._endpoint, target, question, window=window, timeout=self._timeout, one_by_one=one_by_one
        )
        requests: deque[Request[Answered]] = deque()
        answers: list[Answered] = []
        try:
            for batch, digits in batches:
                contents: list[bytes | str] = [image if isinstance(image, bytes) else "" for image in batch]
                if any(not isinstance(image, bytes) for image in batch):
                    yield functools.partial(_fill, contents, batch)
                while len(requests) >= window.size:
                    answers += yield from exchange.finish(requests.popleft())
                requests.append((yield from exchange.begin(contents, digits)))
            while requests:
                answers += yield from exchange.finish(requests.popleft())
        finally:
            exchange.cancel()
        return answers

    def _status(self) -> dict[int, str]:
        """As `Client.status`."""
        reasons = []
        for replica in self._endpoint.replicas:
            try:
                states = replica.states(self._target, self._timeout)
            except grpc.RpcError as error:
                reasons.append(refusal(replica, error))
            else:
                return {version: STATES.get(state, str(state)) for version, state in states.items()}
        raise reasons[0]

    def _look(self, *, probabilities: bool) -> None:
        self._endpoint.wait_until_available(self._target, self._timeout)
        self._offers[probabilities] = self._endpoint.offer(self._target, self._timeout, probabilities=probabilities)

    def _look_for_numbers(self) -> None:
        self._endpoint.wait_until_available(self._numbers_target, self._timeout)
        look_for_numbers(self._endpoint, self._numbers_target, self._timeout)
        self._reads_numbers = True


class Client(BaseClient):
    """Asks a model about images, from any number of threads.

    ```python
    with Client("localhost:8500") as client:
        for prediction in client.predict([Path("a.png"), png]):
            print(prediction.digit, prediction.confidence, prediction.error)
    ```
    """

    def predict(self, images: Iterable[Image], *, probabilities: bool = False) -> list[Prediction]:
        """Predict the digit in each image.

        Args:
            images: encoded images or their files, any number: they are cut into requests of at most 1000 images and
                16 MiB, and read as they are sent.
            probabilities: whether those of all digits are wanted, too.

        Returns:
            A prediction for each image, in the same order. An image that cannot be read, decoded or sent has its error
            in its own prediction and changes no other.

        Raises:
            UserError: the server has no such model, version or signature, or wants other credentials.
            ServerError: a UserError; the servers failed for `timeout` seconds on end, or refused the request.
        """
        return wait(self._predict(images, probabilities=probabilities))

    def predict_one(self, image: Image, *, probabilities: bool = False) -> Prediction:
        """Predict the digit in one image. As `predict`."""
        return wait(self._predict([image], probabilities=probabilities, one_by_one=True))[0]

    def predict_numbers(
        self,
        images: Iterable[Image],
        digits: int | Sequence[int] = 0,
        *,
        alternatives: bool = False,
        boxes: bool = False,
    ) -> list[NumberPrediction]:
        """Read the digits in each image of a field, one line of at most 32.

        Args:
            images: encoded images or their files, any number: they are cut into requests of at most 64 images and
                16 MiB, and read as they are sent.
            digits: how many are expected, in all images or in each; 0 where that is unknown.
            alternatives: whether other readings are wanted, too.
            boxes: whether the places of digits are wanted, too.

        Returns:
            A prediction for each image, as `predict`.

        Raises:
            UserError: as `predict`; or the model's version has no signature `numbers`.
            ServerError: as `predict`.
            ValueError: `digits` has a number beyond 0 to 32, or not one for each image.
        """
        return wait(self._predict_numbers(images, digits, alternatives=alternatives, boxes=boxes))

    def status(self) -> dict[int, str]:
        """The state of each version of the model, by TensorFlow Serving's names, such as `AVAILABLE`.

        With several replicas, of the first that answers. Raises as `predict`; nothing is tried twice.
        """
        return self._status()

    def close(self) -> None:
        """Close all connections. Calls under way fail."""
        self._endpoint.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _cut(images: Iterable[Image]) -> Iterator[list[Image]]:
    """As many images as a request takes; the exchange cuts those that turn out too large."""
    rest = iter(images)
    while batch := list(itertools.islice(rest, DEFAULT_BATCH_SIZE)):
        yield batch


def _fill(contents: list[bytes | str], images: list[Image]) -> None:
    """Put what files hold into the places of their paths, or the error of what cannot be sent."""
    for place, image in enumerate(images):
        contents[place] = image if isinstance(image, bytes) else _read(image)


def _read(path: "os.PathLike[str]") -> bytes | str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - any PathLike
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError:
        return UNREADABLE
    return content if len(content) <= MAX_FILE_BYTES else TOO_LARGE


def _prediction(answer: Answer) -> Prediction:
    return Prediction(
        digit=answer.digit,
        confidence=float(answer.confidence),
        error=answer.error,
        model_version=int(answer.version) if answer.version else None,
        probabilities=tuple(map(float, answer.probabilities)) or None,
    )
