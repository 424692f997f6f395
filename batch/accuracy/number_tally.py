"""How many fields are read exactly, and how many digits are wrong, over the fields whose text is known."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from batch.accuracy.tally import Score
from batch.accuracy.truth import Truth
from batch.client.fields import Box
from batch.files.file import File
from batch.numbers.answer import FieldAnswer
from exporter.edit_distance import edit_distance


class NumberMistake(NamedTuple):
    """A field that was not answered with its text; what its row has, and the truth.

    Attributes:
        digit_errors: edit distance of the text to the truth.
        alternatives: the model's readings with their confidences, the best first; none where they were not asked for.
        boxes: of the digits of the best of them; likewise.
    """

    path: str
    truth: str
    text: str
    confidence: str
    error: str
    digit_errors: int
    alternatives: tuple[tuple[str, str], ...] = ()
    boxes: tuple[Box, ...] = ()


@dataclass
class Count:
    """Fields of one number of digits.

    Attributes:
        fields: how many.
        exact: those whose whole text is right.
        errors: those with an error instead of a text.
        digits: of their true texts.
        digit_errors: digits to insert, remove or change; of a field with an error, all of its digits.
    """

    fields: int = 0
    exact: int = 0
    errors: int = 0
    digits: int = 0
    digit_errors: int = 0

    @property
    def score(self) -> Score:
        """Of whole texts."""
        return Score(self.exact, self.fields)

    @property
    def digit_error_rate(self) -> float | None:
        """Digit errors for each true digit; None of no fields. It may be more than 1, where digits are added."""
        return self.digit_errors / self.digits if self.digits else None

    def add(self, truth: str, answer: FieldAnswer) -> int:
        """Count a field, and return its digit errors."""
        errors = edit_distance(answer.text, truth)
        self.fields += 1
        self.exact += not errors
        self.errors += bool(answer.error)
        self.digits += len(truth)
        self.digit_errors += errors
        return errors


@dataclass
class NumberTally:
    """Counts answers against the truth. Its size grows with the mistakes only.

    Attributes:
        truth: the true text of a path.
        counts: by the number of digits of the truth.
        unlabelled: files without a label.
        mistakes: every mistake, in the order of the answers.
    """

    truth: Truth[str]
    counts: defaultdict[int, Count] = field(default_factory=lambda: defaultdict(Count))
    unlabelled: int = 0
    mistakes: list[NumberMistake] = field(default_factory=list)

    def add(self, files: list[File], answers: list[FieldAnswer]) -> None:
        """Count the answers of a request."""
        for file, answer in zip(files, answers, strict=True):
            truth = self.truth(file.path)
            if truth is None:
                self.unlabelled += 1
            elif errors := self.counts[len(truth)].add(truth, answer):
                text, confidence, error, _, alternatives, boxes = answer
                self.mistakes.append(
                    NumberMistake(file.path, truth, text, confidence, error, errors, alternatives, boxes)
                )

    def start_over(self) -> None:
        """Forget all counts."""
        self.counts.clear()
        self.unlabelled = 0
        self.mistakes.clear()

    @property
    def total(self) -> Count:
        """Over all fields with a label."""
        total = Count()
        for count in self.counts.values():
            for name, value in vars(count).items():
                setattr(total, name, getattr(total, name) + value)
        return total
