"""What is wanted of each image of a run: what a server is asked, and the columns of the table."""

from collections.abc import Iterator
from typing import Any, Protocol

from batch.client.answers import AnyRow, Row
from batch.client.endpoint import Endpoint
from batch.client.question import Question
from batch.client.tensors import Target
from batch.files.file import File

STATED = ("confidence", "error", "model_version")
"""Columns after the path and what was read."""
REVIEW = "review"


class Columns(Protocol[AnyRow]):
    """What is wanted of each image."""

    @property
    def min_confidence(self) -> float | None:
        """A lower confidence is marked in column `review`, as errors are; None for no such column."""

    @property
    def expected(self) -> int | None:
        """How many digits the server is told to expect in each image; None where the signature does not ask."""

    @property
    def signature(self) -> str:
        """That is asked, unless the user names another."""

    @property
    def batch_size(self) -> int:
        """Most images in a request, unless the user says how many."""

    @property
    def in_flight(self) -> int:
        """Requests under way for each server, unless the user says how many."""

    @property
    def heads(self) -> tuple[str, str]:
        """What a summary counts rows by, and what a row is about."""

    @property
    def settings(self) -> dict[str, object]:
        """What decides the rows, JSON values by the names of options: a journal with other settings is not resumed."""

    @property
    def options(self) -> dict[str, bool]:
        """Which options that add or change columns are given: a table that grows keeps to them."""

    def question(self, endpoint: Endpoint, target: Target, timeout: float) -> Question[AnyRow]:
        """Look what a server offers, and say what it is asked. Raises UserError or ServerError, as `Endpoint.offer`."""

    def restore(self, values: list[Any]) -> AnyRow:
        """The answer whose fields were written as JSON."""

    def header(self) -> list[str]:
        """The columns of a CSV."""

    def rows(self, files: list[File], answers: list[AnyRow]) -> Iterator[tuple[Any, ...]]:
        """The rows of a CSV."""

    def parse(self, row: list[str]) -> tuple[str, AnyRow]:
        """The path and the answer of a row of a CSV."""

    def record(self, path: str, answer: AnyRow) -> dict[str, Any]:
        """The row of JSON Lines and Parquet."""

    def schema(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Of Parquet: a pyarrow.Schema."""


def needs_review(answer: Row, min_confidence: float | None) -> bool:
    """Whether a person should look at it."""
    return bool(answer.error) or float(answer.confidence) < (min_confidence or 0)
