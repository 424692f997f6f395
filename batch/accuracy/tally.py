"""How many answers are right, over the files whose digit is known."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from batch.accuracy.truth import Truth
from batch.client.answers import Answer
from batch.files.file import File
from exporter.contract import CLASSES

NO_ANSWER = CLASSES
"""Column of the confusion matrix for files that have an error instead of a digit."""

_Z95 = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


def wilson_interval(right: float, count: float) -> tuple[float, float]:
    """95 % score interval of a share, `right` of `count`; from 0 to 1 for a count of 0.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 22 (1927), 209-212. It stays within 0 and 1, and is no point where all are right.
    """
    if not count:
        return 0.0, 1.0
    share = right / count
    scale = 1 + _Z95**2 / count
    middle = (share + _Z95**2 / (2 * count)) / scale
    half = _Z95 * math.sqrt(share * (1 - share) / count + _Z95**2 / (4 * count**2)) / scale
    # Rounding must not leave out the share itself at the ends.
    return (max(0.0, middle - half) if right else 0.0), (min(1.0, middle + half) if right < count else 1.0)


@dataclass(frozen=True)
class Score:
    """So many right of so many; error rows are not right."""

    right: int
    images: int

    @property
    def accuracy(self) -> float | None:
        """Share that is right, None of no images."""
        return self.right / self.images if self.images else None

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % Wilson score interval."""
        return wilson_interval(self.right, self.images)

    def describe(self) -> str:
        """Say accuracy and interval, of one image at least."""
        low, high = self.interval
        return f"{self.accuracy:.2%} (95% interval {low:.2%} to {high:.2%})"


def _no_counts() -> list[list[int]]:
    return [[0] * (CLASSES + 1) for _ in range(CLASSES)]


class Mistake(NamedTuple):
    """A file that was not answered with its digit; the fields of its row, and the truth."""

    path: str
    truth: int
    digit: int
    confidence: str
    error: str


@dataclass
class Tally:
    """Counts answers against the truth. Its size grows with the mistakes only.

    Attributes:
        truth: the true digit of a path.
        confusion: counts of files [10][11]: rows are true digits, columns answers, NO_ANSWER the last.
        unlabelled: files without a label.
        mistakes: every mistake, in the order of the answers.
    """

    truth: Truth[int]
    confusion: list[list[int]] = field(default_factory=_no_counts)
    unlabelled: int = 0
    mistakes: list[Mistake] = field(default_factory=list)

    def add(self, files: list[File], answers: list[Answer]) -> None:
        """Count the answers of a request."""
        for file, answer in zip(files, answers, strict=True):
            digit = self.truth(file.path)
            if digit is None:
                self.unlabelled += 1
                continue
            column = answer.digit if not answer.error and 0 <= answer.digit < CLASSES else NO_ANSWER
            self.confusion[digit][column] += 1
            if column != digit:
                self.mistakes.append(Mistake(file.path, digit, answer.digit, answer.confidence, answer.error))

    def start_over(self) -> None:
        """Forget all counts."""
        self.confusion = _no_counts()
        self.unlabelled = 0
        self.mistakes.clear()

    @property
    def score(self) -> Score:
        """Over all files with a label."""
        return Score(sum(self.confusion[digit][digit] for digit in range(CLASSES)), sum(map(sum, self.confusion)))

    @property
    def errors(self) -> int:
        """Files with a label that have an error instead of a digit."""
        return sum(row[NO_ANSWER] for row in self.confusion)

    def score_of(self, digit: int) -> Score:
        """Over the files of one true digit."""
        return Score(self.confusion[digit][digit], sum(self.confusion[digit]))

    def most_confused(self, digit: int) -> tuple[int, int] | None:
        """The wrong digit that files of a digit are answered with most often, and how often; None if there is none."""
        row = self.confusion[digit]
        others = [other for other in range(CLASSES) if other != digit and row[other]]
        if not others:
            return None
        most = max(others, key=lambda other: row[other])
        return most, row[most]
