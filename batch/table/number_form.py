"""The table of fields of several digits.

| column | CSV | JSON Lines | Parquet |
|---|---|---|---|
| path | text | string | string |
| text | the digits | string | string |
| confidence | four decimals | number | float |
| error | text, empty for none | string | string |
| model_version | text, empty where no model was asked | string | string |
| review, with a least confidence | 0 or 1 | false or true | bool |
| alternative1 to 5, with probabilities | text, empty beyond the last one | `alternatives`, a list | list of string |
| alternative_confidence1 to 5, each after its text | four decimals, likewise | a list | list of float |
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Self

from batch.client.endpoint import Endpoint
from batch.client.fields import look_for_numbers
from batch.client.tensors import Target
from batch.client.window import FIELDS_A_REQUEST, FIELDS_IN_FLIGHT
from batch.files.file import File
from batch.numbers.answer import FieldAnswer
from batch.numbers.choice import Checksum, Choice
from batch.numbers.question import FieldsQuestion
from batch.table.columns import REVIEW, STATED, needs_review
from exporter.contract import ALTERNATIVE_CONFIDENCE, ALTERNATIVE_COUNT, ALTERNATIVES, NUMBERS_SIGNATURE, TEXT

ALTERNATIVE_COLUMNS = tuple(
    (f"alternative{number}", f"{ALTERNATIVE_CONFIDENCE}{number}") for number in range(1, ALTERNATIVE_COUNT + 1)
)
"""Of a CSV: for each of the model's readings, the best first, its text and its confidence."""


@dataclass(frozen=True)
class NumberForm:
    """What is wanted of each field: its text, and which columns besides.

    Attributes:
        probabilities: the model's readings with their confidences.
        min_confidence: a lower confidence is marked in column `review`, as errors are; None for no such column.
        choice: what is known of the fields, and so which reading is the text.
        boxes: whether answers have the places of digits and the readings, for a report; no table shows the places.
    """

    probabilities: bool = False
    min_confidence: float | None = None
    choice: Choice = field(default_factory=Choice)
    boxes: bool = False

    signature = NUMBERS_SIGNATURE
    batch_size = FIELDS_A_REQUEST
    in_flight = FIELDS_IN_FLIGHT
    heads = ("digits", "fields")

    @property
    def expected(self) -> int:
        """How many digits the server is told to expect in each field; 0 where that is unknown."""
        return self.choice.expected

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Self:
        """The form with these settings and a `min-confidence`. Raises UserError as `Choice.parse`."""
        checksum = None if settings["checksum"] is None else Checksum(settings["checksum"])
        choice = Choice.parse(settings["digits"], settings["pattern"], checksum)
        return cls(settings["probabilities"], settings["min-confidence"], choice)

    @property
    def settings(self) -> dict[str, object]:
        """What decides the rows."""
        settings = {"read": "numbers", "probabilities": self.probabilities, **self.choice.settings()}
        return settings | {"report": self.boxes}

    @property
    def options(self) -> dict[str, bool]:
        """Which options that add or change columns are given."""
        return {
            "--read numbers": True,
            "--probabilities": self.probabilities,
            "--min-confidence": self.min_confidence is not None,
        }

    def question(self, endpoint: Endpoint, target: Target, timeout: float) -> FieldsQuestion:
        """Look whether a server reads fields, and say what it is asked. Raises as `look_for_numbers`."""
        look_for_numbers(endpoint, target, timeout)
        return FieldsQuestion(self.choice, self.probabilities or self.boxes, self.boxes)

    def restore(self, values: list[Any]) -> FieldAnswer:
        """The answer whose fields were written as JSON."""
        return FieldAnswer.of(values)

    def header(self) -> list[str]:
        """The columns of a CSV."""
        header = ["path", TEXT, *STATED]
        if self.min_confidence is not None:
            header.append(REVIEW)
        if self.probabilities:
            header += chain.from_iterable(ALTERNATIVE_COLUMNS)
        return header

    def rows(self, files: list[File], answers: list[FieldAnswer]) -> Iterator[tuple[Any, ...]]:
        """The rows of a CSV."""
        for file, answer in zip(files, answers, strict=True):
            row = [file.path, answer.text, answer.confidence, answer.error, answer.version]
            if self.min_confidence is not None:
                row.append(str(int(needs_review(answer, self.min_confidence))))
            if self.probabilities:
                readings = list(chain.from_iterable(answer.alternatives))
                row += readings + [""] * (2 * ALTERNATIVE_COUNT - len(readings))
            yield tuple(row)

    def parse(self, row: list[str]) -> tuple[str, FieldAnswer]:
        """The path and the answer of a row of a CSV."""
        path, text, confidence, error, version = row[:5]
        readings = row[-2 * ALTERNATIVE_COUNT :] if self.probabilities else []
        pairs = zip(readings[::2], readings[1::2], strict=True)
        alternatives = tuple((other, share) for other, share in pairs if other)
        return path, FieldAnswer(text, confidence, error, version, alternatives)

    def record(self, path: str, answer: FieldAnswer) -> dict[str, Any]:
        """The row of JSON Lines and Parquet."""
        values = (path, answer.text, float(answer.confidence), answer.error, answer.version)
        record: dict[str, Any] = dict(zip(("path", TEXT, *STATED), values, strict=True))
        if self.min_confidence is not None:
            record[REVIEW] = needs_review(answer, self.min_confidence)
        if self.probabilities:
            record[ALTERNATIVES] = [text for text, _ in answer.alternatives]
            record[ALTERNATIVE_CONFIDENCE] = [float(confidence) for _, confidence in answer.alternatives]
        return record

    def schema(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Of Parquet: a pyarrow.Schema."""
        import pyarrow as pa  # noqa: PLC0415 - an extra

        types = {"path": pa.string(), TEXT: pa.string(), "confidence": pa.float32(), "error": pa.string()}
        types |= {"model_version": pa.string()}
        if self.min_confidence is not None:
            types[REVIEW] = pa.bool_()
        if self.probabilities:
            types |= {ALTERNATIVES: pa.list_(pa.string()), ALTERNATIVE_CONFIDENCE: pa.list_(pa.float32())}
        return pa.schema(types)
