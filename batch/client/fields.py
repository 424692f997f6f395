"""Fields of several digits: what the signature `numbers` is asked, and what it answers."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from batch.client import wire_pb2 as wire
from batch.client.endpoint import Endpoint
from batch.client.tensors import AnswerError, Target, numbers, string_table, strings, table
from batch.client.window import FIELDS_A_REQUEST
from exporter.command import UserError
from exporter.contract import (
    ALTERNATIVE_CONFIDENCE,
    ALTERNATIVE_COUNT,
    ALTERNATIVES,
    BOXES,
    CONFIDENCE,
    COUNT,
    DIGITS,
    ERROR,
    IMAGE_BYTES,
    MAX_DIGITS,
    NUMBERS_OUTPUTS,
    TEXT,
)

Image = TypeVar("Image")


class Box(NamedTuple):
    """Where a digit stands, in pixels of the upright picture."""

    top: float
    left: float
    bottom: float
    right: float


@dataclass(frozen=True)
class NumberPrediction:
    """What the model reads in one field.

    Attributes:
        text: the digits alone, without points, commas, dashes, rules and boxes; empty with an error.
        confidence: calibrated probability that the whole text is right, with four decimals; 0 with an error.
        error: why there is no text, a text of `exporter.contract`; empty if there is one.
        model_version: that answered; None where no model was asked, as the image could not be sent.
        alternatives: different readings with their confidences, at most 5, the best first, which is `text`; none with
            an error, None if they were not asked for.
        boxes: of each digit of `text`; none with an error, None if they were not asked for.
    """

    text: str
    confidence: float
    error: str
    model_version: int | None
    alternatives: tuple[tuple[str, float], ...] | None = None
    boxes: tuple[Box, ...] | None = None


@dataclass(frozen=True)
class NumbersQuestion:
    """What `numbers` is asked for, and how its answers are read.

    Attributes:
        alternatives: whether other readings are wanted, too.
        boxes: whether places of digits are wanted, too.
    """

    alternatives: bool
    boxes: bool

    @property
    def input_name(self) -> str:
        """The input for encoded images."""
        return IMAGE_BYTES

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that are wanted."""
        alternatives = (ALTERNATIVES, ALTERNATIVE_CONFIDENCE) if self.alternatives else ()
        boxes = (COUNT, BOXES) if self.boxes else ()
        return (TEXT, CONFIDENCE, *alternatives, *boxes, ERROR)

    def read(self, response: wire.PredictResponse, count: int) -> list[NumberPrediction]:
        """The answers of a response for `count` fields. Raises AnswerError if it does not keep the contract."""
        texts = [_digits(text, TEXT) for text in strings(response, TEXT, count)]
        confidences = [round(confidence, 4) for confidence in numbers(response, CONFIDENCE, count)]
        errors = [error.decode(errors="replace") for error in strings(response, ERROR, count)]
        version = int(response.model_spec.version.value)
        alternatives = _alternatives(response, count) if self.alternatives else [None] * count
        boxes = _boxes(response, texts) if self.boxes else [None] * count
        rows = zip(texts, confidences, errors, alternatives, boxes, strict=True)
        return [
            NumberPrediction(text, float(confidence), error, version, others, places)
            for text, confidence, error, others, places in rows
        ]

    def fault(self, error: str) -> NumberPrediction:
        """The answer for a field that no model could be asked about, or that a server refused."""
        return NumberPrediction("", 0.0, error, None, () if self.alternatives else None, () if self.boxes else None)


def look_for_numbers(endpoint: Endpoint, target: Target, timeout: float) -> None:
    """Look whether the model reads fields of several digits.

    Raises:
        UserError: it has no signature `numbers`, or one that does not keep the contract; says what to do.
        ServerError: the server does not answer within `timeout` seconds.
    """
    replica, signatures = endpoint.signatures(target, timeout)
    model = f"model {target.model} on {replica.address}"
    if target.signature not in signatures:
        raise UserError(
            f"{model} cannot read fields of several digits: it has no signature {target.signature!r}; serve a version "
            f"that was published with digits-export --numbers, or choose another with {replica.naming.model}"
        )
    signature = signatures[target.signature]
    if set(signature.inputs) != {IMAGE_BYTES, DIGITS} or not set(NUMBERS_OUTPUTS) <= set(signature.outputs):
        raise UserError(
            f"signature {target.signature!r} of {model} takes {', '.join(sorted(signature.inputs))} and answers "
            f"{', '.join(sorted(signature.outputs))}; wanted are {IMAGE_BYTES} and {DIGITS}, and "
            f"{', '.join(NUMBERS_OUTPUTS)}; choose another with {replica.naming.model}"
        )


def cut_fields(images: Iterable[Image], digits: int | Sequence[int]) -> Iterator[tuple[list[Image], list[int]]]:
    """Requests of fields, each with how many digits are expected in them.

    Raises:
        ValueError: `digits` has a number that no field may have, or not one for each image.
    """
    expected = itertools.repeat(digits) if isinstance(digits, int) else iter(digits)
    rest = iter(images)
    count = 0
    while batch := list(itertools.islice(rest, FIELDS_A_REQUEST)):
        some = list(itertools.islice(expected, len(batch)))
        count += len(some)
        if len(some) < len(batch):
            raise ValueError(f"digits has {count} numbers, and there are more images: give one for each image")
        for number in some:
            if not 0 <= number <= MAX_DIGITS:
                raise ValueError(f"digits is {number}: give 1 to {MAX_DIGITS}, or 0 where it is unknown")
        yield batch, some
    if not isinstance(digits, int) and len(digits) > count:
        raise ValueError(f"digits has {len(digits)} numbers for {count} images: give one for each image")


def _alternatives(response: wire.PredictResponse, count: int) -> list[tuple[tuple[str, float], ...]]:
    texts = string_table(response, ALTERNATIVES, count, ALTERNATIVE_COUNT)
    confidences = table(response, ALTERNATIVE_CONFIDENCE, count, ALTERNATIVE_COUNT)
    return [
        tuple(
            (_digits(text, ALTERNATIVES), round(float(confidence), 4))
            for text, confidence in zip(*row, strict=True)
            if text
        )
        for row in zip(texts, confidences, strict=True)
    ]


def _boxes(response: wire.PredictResponse, texts: list[str]) -> list[tuple[Box, ...]]:
    counts = numbers(response, COUNT, len(texts))
    found = []
    for text, count, row in zip(texts, counts, table(response, BOXES, len(texts), MAX_DIGITS, 4), strict=True):
        if count != len(text):
            raise AnswerError(f"output {COUNT} has {count} where {TEXT} has {len(text)} digits")
        found.append(tuple(Box(*row[start : start + 4]) for start in range(0, 4 * len(text), 4)))
    return found


def _digits(text: bytes, name: str) -> str:
    if len(text) > MAX_DIGITS or (text and not text.isdigit()):
        raise AnswerError(f"output {name} has {text[: MAX_DIGITS + 1]!r}, which is not at most {MAX_DIGITS} digits")
    return text.decode()
