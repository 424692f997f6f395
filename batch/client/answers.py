"""What is known of a file after it was asked about, and how it is read off a server's response."""

from collections.abc import Collection
from typing import NamedTuple

from batch.client import wire_pb2 as wire
from batch.client.tensors import numbers, strings, table
from exporter.contract import CLASSES, CONFIDENCE, DIGIT, ERROR, NO_DIGIT, PROBABILITIES


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
