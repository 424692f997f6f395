"""What is known of a file after it was asked about, and how it is read off a server's response."""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, Protocol, Self, SupportsIndex, TypeVar

from batch.client import wire_pb2 as wire
from batch.client.tensors import numbers, strings, table
from exporter.contract import CLASSES, CONFIDENCE, DIGIT, ERROR, NO_DIGIT, PROBABILITIES


class Row(Protocol):
    """The part of a row that a model answers, whatever is read in the images: a tuple of what is written down."""

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, place: SupportsIndex, /) -> Any: ...  # noqa: ANN401 - what was read comes first

    @property
    def confidence(self) -> str:
        """With four decimals."""

    @property
    def error(self) -> str:
        """Empty, or one of the contract's texts."""

    @property
    def version(self) -> str:
        """The model's; empty where no model was asked."""

    @property
    def group(self) -> int:
        """What a summary counts it under, if it has no error."""


AnyRow = TypeVar("AnyRow", bound=Row)


class Answer(NamedTuple):
    """The part of a row that a model answers, as it is written down.

    Attributes:
        digit: 0 to 9, or -1 with an error.
        confidence: with four decimals, so that the last bits of float32 products do not show.
        error: empty, or one of the contract's texts.
        version: the model's; empty where no model was asked, because the file could not be sent.
        probabilities: of each digit, likewise with four decimals; empty where they were not asked for.
    """

    digit: int
    confidence: str
    error: str
    version: str
    probabilities: tuple[str, ...] = ()

    @property
    def group(self) -> int:
        """What a summary counts it under: its digit."""
        return self.digit

    @classmethod
    def of(cls, values: list[Any]) -> Self:
        """The answer whose fields were written as JSON."""
        digit, confidence, error, version, probabilities = values
        return cls(digit, confidence, error, version, tuple(probabilities))


def read_answers(response: wire.PredictResponse, count: int, outputs: Collection[str]) -> list[Answer]:
    """The answers to a request of `count` images for some outputs.

    Raises:
        AnswerError: the response does not keep the contract.
    """
    version = str(response.model_spec.version.value)
    digits = numbers(response, DIGIT, count)
    confidences = [f"{confidence:.4f}" for confidence in numbers(response, CONFIDENCE, count)]
    errors = [""] * count
    if ERROR in outputs:
        errors = [error.decode(errors="replace") for error in strings(response, ERROR, count)]
    shares: list[tuple[str, ...]] = [()] * count
    if PROBABILITIES in outputs:
        shares = [tuple(f"{share:.4f}" for share in row) for row in table(response, PROBABILITIES, count, CLASSES)]
    rows = zip(digits, confidences, errors, shares, strict=True)
    return [Answer(int(digit), confidence, error, version, share) for digit, confidence, error, share in rows]


def fault(error: str, outputs: Collection[str]) -> Answer:
    """The answer for a file that no model could be asked about, or that a server refused."""
    return Answer(NO_DIGIT, "0.0000", error, "", ("0.0000",) * CLASSES if PROBABILITIES in outputs else ())
