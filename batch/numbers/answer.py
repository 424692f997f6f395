"""What is known of a field after it was asked about, as it is written down."""

from typing import Any, NamedTuple, Self

from batch.client.fields import Box


class FieldAnswer(NamedTuple):
    """The part of a row that a model answers about a field of several digits.

    Attributes:
        text: the digits, in the order in which they stand; empty with an error.
        confidence: probability that the whole text is right, with four decimals.
        error: empty, or one of the contract's texts.
        version: the model's; empty where no model was asked, because the file could not be sent.
        alternatives: the model's readings with their confidences, likewise with four decimals, the best first, whether
            they fit what was asked for or not; empty where they are not wanted.
        boxes: of the digits of the model's best reading; empty where they are not wanted.
    """

    text: str
    confidence: str
    error: str
    version: str
    alternatives: tuple[tuple[str, str], ...] = ()
    boxes: tuple[Box, ...] = ()

    @property
    def group(self) -> int:
        """What a summary counts it under: how many digits it has."""
        return len(self.text)

    @classmethod
    def of(cls, values: list[Any]) -> Self:
        """The answer whose fields were written as JSON."""
        text, confidence, error, version, alternatives, boxes = values
        readings = tuple((other, share) for other, share in alternatives)
        return cls(text, confidence, error, version, readings, tuple(Box(*box) for box in boxes))
