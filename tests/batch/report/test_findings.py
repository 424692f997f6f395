"""What a report tells of the rows."""

from hypothesis import given
from hypothesis import strategies as st

from batch.client.answers import Answer
from batch.files.file import File
from batch.report.findings import MOST_DOUBTFUL, Findings


def _add(findings: Findings, confidences: list[int], first: int = 0) -> None:
    """Rows with a confidence in ten-thousandths, or -1 for an error."""
    files = [File(f"{first + number}.png", 1, 1) for number in range(len(confidences))]
    answers = [
        Answer(-1, "0.0000", "corrupt", "1") if confidence < 0 else Answer(3, f"{confidence / 10_000:.4f}", "", "1")
        for confidence in confidences
    ]
    findings.add(files, answers)


@given(st.lists(st.integers(-1, 10_000) | st.integers(0, 3), max_size=700), st.integers(1, 50))
def test_the_least_sure_are_those_that_sorting_gives(confidences: list[int], size: int) -> None:
    """Whatever the order and the requests, as sorting all of them would: the least sure first, ties in walk order."""
    findings = Findings()
    for first in range(0, len(confidences), size):
        _add(findings, confidences[first : first + size], first)
    answered = [(confidence, number) for number, confidence in enumerate(confidences) if confidence >= 0]
    expected = [f"{number}.png" for _, number in sorted(answered)[:MOST_DOUBTFUL]]
    assert [row.path for row in findings.doubtful] == expected
    assert findings.answered == len(answered) == sum(findings.bins(20))
    assert findings.below(0.5) == sum(1 for confidence, _ in answered if confidence < 5000)


def test_bins_hold_their_lower_ends() -> None:
    """A range of confidence holds its lower end and not its upper one; the last range holds 1, too."""
    findings = Findings()
    _add(findings, [0, 499, 500, 9499, 9500, 10_000])
    assert findings.bins(20) == [2, 1, *[0] * 16, 1, 2]


def test_what_is_held_does_not_grow() -> None:
    """After many rows it has no more of them in memory than after some; examples of errors are the first ones."""
    findings = Findings()
    for round_ in range(20):
        _add(findings, [*range(0, 10_000, 10), *[-1] * 100], round_ * 1100)
    assert len(findings.doubtful) == MOST_DOUBTFUL
    assert findings.examples == {"corrupt": [f"{number}.png" for number in range(1000, 1005)]}
    findings.start_over()
    assert findings.doubtful == []
    assert findings.examples == {}
    assert findings.answered == 0
