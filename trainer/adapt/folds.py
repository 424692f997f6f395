"""Cross-validation: what networks that were adapted to the other folds say of each fold, and a temperature for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from exporter.contract import CLASSES, NO_DIGIT
from exporter.network.probabilities import to_probabilities
from exporter.network.served import Network, calibrated
from trainer.adapt.learner import Learner
from trainer.evaluation.calibrate import fit_temperature
from trainer.fitting.network import predict
from trainer.run_folder.arrays import write_arrays

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Known:
    """Digits that no network here was adapted to: they keep the temperature sensible where labels are few."""

    images: Floats
    """[k, 28, 28], 0 to 1."""
    labels: npt.NDArray[np.integer]
    """[k]."""


@dataclass(frozen=True, eq=False)
class Taught:
    """Digits that networks learn from: labelled pictures, and what was found in labelled fields; n in all."""

    forms: npt.NDArray[np.uint8]
    """In MNIST's form, [n, 28, 28]."""
    labels: npt.NDArray[np.int64]
    """0 to 9, or NO_DIGIT, [n]."""
    has_ink: npt.NDArray[np.bool_]
    """[n]; there is nothing to be learned of the others."""
    fold: npt.NDArray[np.int64]
    """[n], from 0."""

    def without(self, number: int) -> npt.NDArray[np.bool_]:
        """What is learned from where a fold is held out, bool [n]."""
        found: npt.NDArray[np.bool_] = self.has_ink & (self.fold != number)
        return found


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What each fold's network says."""

    scores: Floats
    """Of n digits that are taught, [n, 10], not calibrated."""
    known: Floats
    """Of the known digits, [k, 10]: each by the network of one of the folds."""
    fold: npt.NDArray[np.int64]
    """Of each of them, [n]."""
    fold_of_known: npt.NDArray[np.int64]
    """Which network has answered, [k]."""


def hold_out(
    learner: Learner,
    taught: Taught,
    folds: int,
    known: Known,
    *,
    seed: int,
    kept: Path,
    on_step: Callable[[int], None],
) -> HeldOut:
    """Adapt a network to all folds but one, for each of them; but for the folds that an interrupted run has left.

    Args:
        learner: where each of them begins.
        taught: n digits.
        folds: how many there are.
        known: digits for the temperature.
        seed: of everything random.
        kept: folder of what an interrupted run has left, and where this one leaves it: answers, and the weights that
            `networks` brings back.
        on_step: told how many more steps are done.
    """
    fold_of_known = np.arange(len(known.labels)) % folds
    scores = np.empty([len(taught.labels), CLASSES], np.float32)
    known_scores = np.empty([len(known.labels), CLASSES], np.float32)
    for number in range(folds):
        held, its_known = taught.fold == number, fold_of_known == number
        fitted = taught.without(number)
        path = kept / f"fold-{number + 1}.npz"
        answers = _load(path)
        if answers is None:
            last = 0

            def advance(done: int) -> None:
                nonlocal last
                on_step(done - last)
                last = done

            model = learner.fit(taught.forms[fitted], taught.labels[fitted], seed=seed, on_step=advance)
            images = taught.forms[held].astype(np.float32) / np.float32(255)
            answers = predict(model, images), predict(model, known.images[its_known])
            model.save_weights(_weights(kept, number))
            write_arrays(path, scores=answers[0], known=answers[1])
        else:
            on_step(learner.steps_for(int(fitted.sum())))
        scores[held], known_scores[its_known] = answers
    return HeldOut(scores, known_scores, taught.fold, fold_of_known)


def networks(model: keras.Model, temperature: float, folds: int, kept: Path) -> Iterator[Network]:
    """The network that was adapted without each fold, calibrated.

    Args:
        model: of the same layers, whose weights become those of one after the other.
        temperature: what calibrates them.
        folds: how many there are.
        kept: where `hold_out` has left their weights.
    """
    for number in range(folds):
        model.load_weights(_weights(kept, number))
        yield calibrated(model, temperature)


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


def _weights(kept: Path, number: int) -> Path:
    return kept / f"fold-{number + 1}.weights.h5"


def _load(path: Path) -> tuple[Floats, Floats] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        return file["scores"], file["known"]
