"""Labels that are likely mistakes: what networks that have not seen them are sure is something else. NumPy only."""

import numpy as np
import numpy.typing as npt

from exporter.contract import CLASSES, NO_DIGIT

Floats = npt.NDArray[np.float32]


def doubted(old: Floats, new: Floats, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Places of labels that two networks doubt, the most doubted first.

    Confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
    2021): a network is sure of a digit if it gives it at least the mean probability that it gives to what is labelled
    so. Here the new network must be sure of another digit than the label, and the old one answer another, too.

    Args:
        old: probabilities, float32 [n, 10], of the old network.
        new: the same of networks that were not fitted to these labels.
        labels: 0 to 9, or NO_DIGIT, [n].
    """
    is_digit = labels != NO_DIGIT
    least = np.ones(CLASSES, np.float32)  # no network is as sure of a digit that has no label
    for digit in np.unique(labels[is_digit]):
        least[digit] = new[labels == digit, digit].mean()
    sure = new >= least
    others = np.where(sure, new, 0)
    said = others.argmax(axis=1)
    found = sure.any(axis=1) & (said != labels) & (old.argmax(axis=1) != labels)
    # Of what is labelled as no digit, both must see the same one.
    found &= is_digit | (old.argmax(axis=1) == said)
    own = np.where(is_digit, new[np.arange(len(labels)), np.maximum(labels, 0)], 1 / CLASSES)
    order = np.argsort(own - others.max(axis=1), kind="stable")
    places: npt.NDArray[np.int64] = order[found[order]]
    return places
