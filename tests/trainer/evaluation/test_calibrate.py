"""Calibration measures what it says, and finds the temperature that was lost."""

import numpy as np
import numpy.typing as npt
import pytest

from exporter.network.probabilities import to_probabilities
from trainer.evaluation.calibrate import BINS, Reliability, fit_temperature, reliability


def softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)


def of(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.integer]) -> Reliability:
    return reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)


def test_error_by_hand() -> None:
    """Four images in two bins: the error is the mean distance of confidence from accuracy."""
    probabilities = np.full((4, 10), 0.01, np.float32)
    probabilities[np.arange(4), [1, 2, 3, 4]] = [0.9, 0.92, 0.6, 0.62]
    found = of(probabilities, np.array([1, 0, 3, 4]))
    assert found.count.sum() == 4
    assert found.count[13] == 2
    assert found.count[9] == 2
    assert found.accuracy[13] == 0.5
    assert found.confidence[13] == pytest.approx(0.91)
    assert found.error == pytest.approx((2 * (0.91 - 0.5) + (1 - 0.6) + (1 - 0.62)) / 4)


def test_certainty_is_in_the_last_bin() -> None:
    """A confidence of exactly 1 counts, and so does the smallest there can be."""
    assert of(np.eye(10, dtype=np.float32), np.arange(10)).count[BINS - 1] == 10
    assert of(np.full((3, 10), 0.1, np.float32), np.zeros(3, int)).count[1] == 3


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_lost_temperature_is_found(temperature: float) -> None:
    """Digits drawn by their probabilities, then made too sure or not sure enough: the temperature undoes it."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20_000, 10))
    labels = (softmax(logits).cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    scores = softmax(logits * temperature)
    found = fit_temperature(scores, labels)
    assert found == pytest.approx(temperature, rel=0.03)
    before = of(scores, labels).error
    after = of(np.asarray(to_probabilities(scores, found)), labels).error
    assert after < 0.015
    assert after < before or temperature == 1


def test_a_few_right_answers_are_no_reason_for_certainty_without_end() -> None:
    """Where every held-out digit is right, the temperature stays within what can be believed."""
    scores = np.full((10, 10), 0.05, np.float32) + 0.5 * np.eye(10, dtype=np.float32)
    temperature = fit_temperature(scores, np.arange(10))
    assert temperature == pytest.approx(0.1, rel=0.01)


def test_temperature_divides_what_went_into_a_softmax() -> None:
    """Probabilities at a temperature are the softmax of logits divided by it; the likeliest digit stays the same."""
    logits = np.random.default_rng(0).normal(0, 8, (500, 10)).astype(np.float32)
    for temperature in (0.3, 0.9, 1.0, 3.0):
        found = np.asarray(to_probabilities(softmax(logits), temperature))
        np.testing.assert_allclose(found, softmax(logits / temperature), atol=1e-5)
        assert (found.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_scores_of_nearly_nothing_become_probabilities() -> None:
    """Sigmoid scores that are all tiny, or some of them zero, still sum to 1 at any temperature."""
    scores = np.array([[1e-9] * 9 + [2e-9], [0.0] * 9 + [1e-6]], np.float32)
    for temperature in (0.1, 1.0, 10.0):
        found = np.asarray(to_probabilities(scores, temperature))
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
        assert found.argmax(axis=1).tolist() == [9, 9]
