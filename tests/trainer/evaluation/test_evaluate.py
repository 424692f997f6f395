"""Evaluation's figures are the ones that their definitions give."""

import numpy as np
import pytest

from exporter.picture.normalise import normalise_arrays
from trainer.data.datasets import Dataset
from trainer.evaluation.evaluate import evaluate
from trainer.fitting.network import build, predict
from trainer.recipes import find


def test_figures_by_hand() -> None:
    """Four images, three right: accuracy, loss, precision, recall and confusion can be followed by hand."""
    probabilities = np.full((4, 10), 0.05, np.float32)
    for image, answer in enumerate([3, 3, 5, 3]):
        probabilities[image, answer] = 0.55
    result = evaluate(probabilities, np.array([3, 3, 5, 5], np.uint8))
    assert result.accuracy == 0.75
    assert result.loss == pytest.approx(-(3 * np.log(0.55) + np.log(0.05)) / 4, rel=1e-6)
    assert result.confusion.sum() == 4
    assert (result.confusion[3, 3], result.confusion[5, 5], result.confusion[5, 3]) == (2, 1, 1)
    assert result.precision[[3, 5]].tolist() == [pytest.approx(2 / 3), 1]
    assert result.recall[[3, 5]].tolist() == [1, 0.5]


def test_digits_that_never_occur() -> None:
    """A digit that is neither in the set nor answered has precision and recall 0, not NaN."""
    result = evaluate(np.eye(10, dtype=np.float32)[[1]], np.array([1]))
    assert result.precision.tolist() == result.recall.tolist() == [0, 1] + [0] * 8
    assert result.accuracy == 1


def test_sure_and_wrong_is_finite() -> None:
    """One image answered wrong with certainty does not make the loss infinite."""
    assert evaluate(np.eye(10, dtype=np.float32)[[1]], np.array([2])).loss == pytest.approx(-np.log(1e-7))


def test_agrees_with_keras(dataset: Dataset) -> None:
    """Accuracy and loss from the probabilities are the ones that Keras reports for a softmax network."""
    model = build(find("dense-128"))
    images = normalise_arrays(dataset.x_test)
    loss, accuracy = model.evaluate(images, dataset.y_test, verbose=0)
    result = evaluate(predict(model, images), dataset.y_test)
    assert result.accuracy == pytest.approx(accuracy)
    assert result.loss == pytest.approx(loss, rel=1e-5)
