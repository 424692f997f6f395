"""How good probabilities are, against the digits they should name. NumPy only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exporter.contract import CLASSES
from trainer.evaluation.calibrate import Reliability, reliability

_LEAST = 1e-7  # Keras' own floor under probabilities, so that one surprise does not make the loss infinite


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Figures over one set of images."""

    accuracy: float
    """Share of images answered right."""
    loss: float
    """Mean cross-entropy, in nats."""
    precision: npt.NDArray[np.float64]  # [10]
    """Of the images answered with a digit, the share that is right; 0 for a digit never answered."""
    recall: npt.NDArray[np.float64]  # [10]
    """Of the images of a digit, the share answered right; 0 for a digit not in the set."""
    confusion: npt.NDArray[np.int64]  # [10, 10]
    """Counts of images: rows are true digits, columns are answers."""
    reliability: Reliability
    """Whether confidence is what it says."""


def evaluate(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.integer]) -> Evaluation:
    """Compare probabilities, float32 [n, 10], with the true digits, [n], for n of at least 1."""
    answers = probabilities.argmax(axis=1)
    confusion = np.zeros((CLASSES, CLASSES), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    right = np.diagonal(confusion)
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return Evaluation(
        accuracy=float(right.sum() / len(labels)),
        loss=float(-np.log(np.clip(of_truth, _LEAST, 1 - _LEAST)).mean()),
        precision=right / np.maximum(confusion.sum(axis=0), 1),
        recall=right / np.maximum(confusion.sum(axis=1), 1),
        confusion=confusion,
        reliability=reliability(probabilities.max(axis=1), answers == labels),
    )
