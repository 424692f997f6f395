"""What a signature is asked for, and how its answers are read."""

from typing import Protocol, TypeVar

from batch.client import wire_pb2 as wire

Answered = TypeVar("Answered")
"""What is known of one image after it was asked about."""


class Question(Protocol[Answered]):
    """What a signature is asked for, and how its answers are read."""

    @property
    def input_name(self) -> str:
        """The input for encoded images."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that are wanted."""

    def read(self, response: wire.PredictResponse, count: int) -> list[Answered]:
        """The answers of a response for `count` images. Raises AnswerError if it does not keep the contract."""

    def fault(self, error: str) -> Answered:
        """The answer for an image that no model could be asked about, or that a server refused."""
