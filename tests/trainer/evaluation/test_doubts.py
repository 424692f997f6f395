"""Labels that are likely mistakes."""

import numpy as np

from exporter.contract import NO_DIGIT
from trainer.evaluation.doubts import doubted


def _sure(digits: list[int], confidence: float = 0.9) -> np.ndarray:
    """Answers, float32 [n, 10], as sure of these digits."""
    answers = np.full([len(digits), 10], (1 - confidence) / 9, np.float32)
    answers[np.arange(len(digits)), digits] = confidence
    return answers


def test_wrong_labels_are_found() -> None:
    """What both networks read otherwise is doubted, the surest first; what only one of them does is not."""
    labels = np.array([0, 1, 2, 3, 4] * 4)
    read = labels.copy()
    labels[[3, 7]] = [9, 8]
    old, new = _sure(read.tolist()), _sure(read.tolist())
    new[7] = _sure([2], 0.99)[0]
    old[7] = _sure([5])[0]  # it doubts the label, too, and sees something else
    labels[0] = 5
    old[0] = _sure([5])[0]  # the old network agrees with this label
    assert doubted(old, new, labels).tolist() == [7, 3]


def test_what_nobody_is_sure_of_is_not_doubted() -> None:
    """A network that leans to another digit than the label says nothing, unless it is as sure as it usually is."""
    labels = np.array([0, 1] * 6)
    answers = _sure(labels.tolist(), 0.95)
    answers[2] = _sure([1], 0.5)[0]
    assert not len(doubted(answers, answers, labels))
    answers[2] = _sure([1], 0.99)[0]
    assert doubted(answers, answers, labels).tolist() == [2]


def test_digits_that_are_labelled_as_none() -> None:
    """Both networks must see the same digit in what is labelled as no digit."""
    labels = np.array([0, 1, 0, 1, NO_DIGIT, NO_DIGIT, NO_DIGIT])
    new = _sure([0, 1, 0, 1, 1, 1, 0])
    old = _sure([0, 1, 0, 1, 1, 7, 0])
    new[6] = 0.1
    assert doubted(old, new, labels).tolist() == [4]
