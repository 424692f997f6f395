"""Cross-validation: what networks that were adapted to the other folds say of each fold, and a temperature for them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exporter.contract import CLASSES, NO_DIGIT
from exporter.network.probabilities import to_probabilities
from trainer.adapt.learner import Learner
from trainer.data.pictures import Pictures
from trainer.evaluation.calibrate import fit_temperature
from trainer.fitting.network import predict

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Known:
    """Digits that no network here was adapted to: they keep the temperature sensible where labels are few."""

    images: Floats
    """[k, 28, 28], 0 to 1."""
    labels: npt.NDArray[np.integer]
    """[k]."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What each fold's network says."""

    scores: Floats
    """Of n labelled pictures, [n, 10], not calibrated."""
    known: Floats
    """Of the known digits, [k, 10]: each by the network of one of the folds."""
    fold: npt.NDArray[np.int64]
    """Of each picture, [n]."""
    fold_of_known: npt.NDArray[np.int64]
    """Which network has answered, [k]."""


def hold_out(
    learner: Learner,
    pictures: Pictures,
    fold: npt.NDArray[np.int64],
    known: Known,
    *,
    seed: int,
    kept: Path,
    on_step: Callable[[int], None],
) -> HeldOut:
    """Adapt a network to all folds but one, for each of them; but for the folds that an interrupted run has left.

    Args:
        learner: where each of them begins.
        pictures: n of them. What has no ink teaches nothing.
        fold: of each picture, [n], from 0.
        known: digits for the temperature.
        seed: of everything random.
        kept: folder of what an interrupted run has left, and where this one leaves it.
        on_step: told how many more steps are done.
    """
    labels, forms, images = pictures.labels, pictures.forms, pictures.images
    count = int(fold.max()) + 1
    fold_of_known = np.arange(len(known.labels)) % count
    scores = np.empty([len(labels), CLASSES], np.float32)
    known_scores = np.empty([len(known.labels), CLASSES], np.float32)
    for number in range(count):
        held, its_known = fold == number, fold_of_known == number
        fitted = ~held & pictures.has_ink
        path = kept / f"fold-{number + 1}.npz"
        answers = _load(path)
        if answers is None:
            last = 0

            def advance(done: int) -> None:
                nonlocal last
                on_step(done - last)
                last = done

            model = learner.fit(forms[fitted], labels[fitted], seed=seed, on_step=advance)
            answers = predict(model, images[held]), predict(model, known.images[its_known])
            _save(path, *answers)
        else:
            on_step(learner.steps_for(int(fitted.sum())))
        scores[held], known_scores[its_known] = answers
    return HeldOut(scores, known_scores, fold, fold_of_known)


def temperatures(found: HeldOut, labels: npt.NDArray[np.integer], known: Known) -> tuple[float, Floats]:
    """What calibrates the adapted network, and calibrated answers to the held-out pictures, float32 [n, 10].

    The temperature of all folds calibrates what is served. The answers to each fold are calibrated by what the other
    folds say, so that figures about them are honest.

    Args:
        found: what was said.
        labels: 0 to 9; NO_DIGIT for what says nothing about confidence; [n].
        known: the digits beside them.
    """

    def of_all_but(number: int) -> float:
        chosen = (found.fold != number) & (labels != NO_DIGIT)
        others = found.fold_of_known != number
        return fit_temperature(
            np.concatenate([found.scores[chosen], found.known[others]]),
            np.concatenate([labels[chosen], known.labels[others]]),
        )

    answers = np.empty_like(found.scores)
    for number in np.unique(found.fold):
        held = found.fold == number
        answers[held] = to_probabilities(found.scores[held], of_all_but(number))
    return of_all_but(-1), answers


def _load(path: Path) -> tuple[Floats, Floats] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        return file["scores"], file["known"]


def _save(path: Path, scores: Floats, known: Floats) -> None:
    """Write both, whole or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, scores=scores, known=known)
    partial.replace(path)
