"""How far confidence can be believed, and a temperature that makes it so. NumPy only.

After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 15
_LEAST = 1e-30  # scores below are no likelier to be right than this
_RANGE = (0.1, 10.0)  # of temperatures worth trying
_STEPS = 60  # of the golden section: each leaves 62 % of the range


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence beside accuracy, over images sorted by confidence into bins of equal width."""

    count: npt.NDArray[np.int64]  # [BINS]
    """Images in each bin: confidence above its lower edge, up to its upper one."""
    confidence: npt.NDArray[np.float64]  # [BINS]
    """Mean of theirs; 0 in an empty bin."""
    accuracy: npt.NDArray[np.float64]  # [BINS]
    """Share of them answered right; 0 in an empty bin."""

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of confidence from accuracy, bins weighted by their images."""
        return float((self.count * np.abs(self.confidence - self.accuracy)).sum() / self.count.sum())


def reliability(confidence: npt.NDArray[np.floating], right: npt.NDArray[np.bool_]) -> Reliability:
    """Compare confidence, [n], 0 to 1, with which answers are right, bool [n]; n > 0."""
    confidence = confidence.astype(np.float64)
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    some = np.maximum(count, 1)
    return Reliability(
        count=count,
        confidence=np.bincount(place, confidence, BINS) / some,
        accuracy=np.bincount(place, right, BINS) / some,
    )


def fit_temperature(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.integer]) -> float:
    """The temperature at which held-out digits are least surprising: it minimises their cross-entropy.

    Args:
        scores: of images that the network was not fitted to, float32 [n, 10], not negative; n > 0.
        labels: their digits, [n].

    Returns:
        A number above 1 where the network was too sure, below 1 where it was not sure enough.
    """
    logs = np.log(np.maximum(scores.astype(np.float64), _LEAST))
    truth = np.arange(len(labels)), labels

    def surprise(inverse: float) -> float:
        z = inverse * logs
        z -= z.max(axis=1, keepdims=True)
        return float((np.log(np.exp(z).sum(axis=1)) - z[truth]).mean())

    # Convex in the inverse of the temperature: a log-sum-exp of linear functions less a linear one.
    golden = (np.sqrt(5) - 1) / 2
    low, high = 1 / _RANGE[1], 1 / _RANGE[0]
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = surprise(left), surprise(right)
    for _ in range(_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = surprise(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = surprise(right)
    return float(2 / (low + high))
