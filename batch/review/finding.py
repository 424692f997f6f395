"""What an audit has found, in lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from batch.review.sample import Layer
from batch.review.threshold import Looked, Threshold, find_threshold, whole
from exporter.command import counted


@dataclass(frozen=True)
class Finding:
    """An audit, as far as it is.

    Attributes:
        confidences: rows with an answer by confidence, in ten-thousandths.
        layers: the strata of the sample.
        looked: rows that a person has answered.
        unsure: rows that a person could not answer.
        errors: rows of the table without an answer.
        most: the share of wrong answers that may be left when rows below a confidence are reviewed.
    """

    confidences: Mapping[int, int]
    layers: Sequence[Layer]
    looked: Sequence[Looked]
    unsure: int
    errors: int
    most: float

    def lines(self) -> list[str]:
        """Accuracy of the table, wrong answers to be expected, and which rows to review."""
        if not self.looked:
            return ["No row of the sample has an answer of a person yet."]
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        found = whole(self.layers, self.looked)
        left_out = f"; {self.unsure:,} more that nobody could read are left out" if self.unsure else ""
        seen = f"{found.looked_at:,} were looked at, {found.found:,} of them wrong"
        yield f"Of {counted(found.rows, 'answer')}, {seen}{left_out}."
        low, high = 1 - found.high, 1 - found.low
        errors = f" {counted(self.errors, 'row')} with an error not counted." if self.errors else ""
        yield f"Accuracy of the whole table: {1 - found.wrong:.2%} (95% interval {low:.2%} to {high:.2%}).{errors}"
        if found.unseen:
            wrong, least, most = found.unseen_wrong
            yield (
                f"Wrong answers to be expected among the {found.unseen:,} that were not looked at: {wrong:,.0f} "
                f"(95% interval {least:,.0f} to {most:,.0f})."
            )
        yield self._advice(find_threshold(self.confidences, self.layers, self.looked, self.most))

    def _advice(self, threshold: Threshold | None) -> str:
        wanted = f"at most {100 * self.most:g}%"
        if threshold is None:
            return f"No --min-confidence leaves {wanted} wrong among the rest, as far as this sample can tell."
        rest = threshold.rest
        wrong = f"{rest.wrong:.2%} are wrong (95% interval {rest.low:.2%} to {rest.high:.2%})"
        if threshold.review:
            what = f"review the {counted(threshold.review, 'answer')} below it; of the other {rest.rows:,}, {wrong}"
        else:
            what = f"of the table's answers as they are, {wrong}"
        name = f"--min-confidence {threshold.confidence:g}"
        if threshold.is_sure:
            return f"{name} leaves {wanted} wrong among the rest: {what}."
        return (
            f"This sample is too small to be sure of {wanted} wrong among the rest. By its estimate alone, {name} "
            f"leaves that: {what}."
        )
