"""Readers that go on learning from fields: one for each fold, judged on it, and the one that is published."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exporter.numbers.reader import Answer
from exporter.numbers.scorer import Weights
from exporter.numbers.stored import Reader
from trainer.adapt.fields import Fields
from trainer.adapt.settings import Running, Settings
from trainer.bar import bar
from trainer.numbers.fit import Answers, answers, calibrated, confidence_of, fit
from trainer.numbers.material import Material, judged_anew
from trainer.run_folder.arrays import write_arrays


@dataclass(frozen=True, eq=False)
class Said:
    """What a reader says of n fields."""

    texts: list[str]
    """The best reading of each, empty where there is none."""
    confidence: npt.NDArray[np.float64]
    """Calibrated, [n]."""


@dataclass(frozen=True, eq=False)
class JudgedFields:
    """What both readers say of the same n fields, none of which the new one was fitted to."""

    truth: list[str]
    old: Said
    new: Said

    def right(self, said: Said) -> npt.NDArray[np.bool_]:
        """Which are read exactly, [n]."""
        return np.array([text == true for text, true in zip(said.texts, self.truth, strict=True)], bool)


@dataclass(frozen=True, eq=False)
class AdaptedNetworks:
    """Networks that judge segments after adapting, calibrated."""

    whole: Answer
    """Adapted to all labels."""
    without_fold: Iterator[Answer] | None
    """Adapted without each fold, in order; None where nothing is held out."""


@dataclass(frozen=True, eq=False)
class AdaptedReader:
    """A reader that has learned from fields, and what it is worth."""

    reader: Reader
    held_out: JudgedFields | None
    """None where nothing could be held out."""
    strings: JudgedFields
    """Strings of test digits."""


def adapt_reader(
    old: Reader,
    fields: Fields,
    adapted: AdaptedNetworks,
    fold: npt.NDArray[np.int64],
    running: Running,
) -> AdaptedReader:
    """Fit a reader to all fields, and one to all folds but one for each of them.

    Args:
        old: what they begin with.
        fields: n labelled fields, as the old network judges them.
        adapted: the networks that judge them now.
        fold: of each field, [n].
        running: the run.
    """
    networks = adapted.without_fold
    learner = _ReaderLearner(old.weights, fields, running.settings, running.seed)
    truth = list(fields.seen.texts)
    held_out, found = None, None
    fits = 1 + (0 if networks is None else len(np.unique(fold)))
    with bar(running.console) as progress:
        task = progress.add_task("reader of numbers", total=fits * running.settings.field_epochs)

        def on_epoch() -> None:
            progress.advance(task)

        if networks is not None:
            found = learner.hold_out(networks, fold, running.kept, on_epoch)
            said = Said(found.texts, _confidences(old.weights, found, fold))
            held_out = JudgedFields(truth, said_of(old.weights, fields.seen), said)
        weights = learner.fit(adapted.whole, np.arange(len(truth)), on_epoch)
    if found is not None:
        weights = calibrated(weights, found)
    tests = fields.tests
    strings = JudgedFields(
        list(tests.texts), said_of(old.weights, tests), said_of(weights, judged_anew(tests, adapted.whole))
    )
    return AdaptedReader(Reader(weights, old.samples), held_out, strings)


class _ReaderLearner:
    """A reader that can be fitted to several sets of fields, each time from where it began.

    Args:
        begun: what it begins with.
        fields: the fields.
        settings: how long and how fast.
        seed: of everything random.
    """

    def __init__(self, begun: Weights, fields: Fields, settings: Settings, seed: int) -> None:
        self._begun = begun
        self._fields = fields
        self._settings = settings
        self._seed = seed

    def fit(self, network: Answer, chosen: npt.NDArray[np.integer], on_epoch: Callable[[], None]) -> Weights:
        """Fit it to fields at places, int [k], as a network sees their segments; not calibrated."""
        return fit(
            judged_anew(self._fields.shown(chosen), network),
            seed=self._seed,
            on_epoch=lambda _epoch, _loss: on_epoch(),
            epochs=self._settings.field_epochs,
            begun=self._begun,
            learning_rate=self._settings.field_learning_rate,
        )

    def hold_out(
        self,
        networks: Iterator[Answer],
        fold: npt.NDArray[np.int64],
        kept: Path,
        on_epoch: Callable[[], None],
    ) -> Answers:
        """What readers that are fitted to all folds but one say of each, but for what an interrupted run has left.

        Args:
            networks: adapted without each fold.
            fold: of each field, [n].
            kept: folder of what an interrupted run has left, and where this one leaves it.
            on_epoch: told after each epoch.
        """
        texts = np.zeros(len(fold), object)
        scores = np.empty(len(fold), np.float32)
        for number, network in enumerate(networks):
            held = np.flatnonzero(fold == number)
            if not len(held):
                continue
            path = kept / f"reader-{number + 1}.npz"
            if path.exists():
                with np.load(path, allow_pickle=False) as file:
                    texts[held], scores[held] = file["texts"], file["scores"]
                for _ in range(self._settings.field_epochs):
                    on_epoch()
                continue
            weights = self.fit(network, np.flatnonzero(fold != number), on_epoch)
            found = answers(weights, judged_anew(self._fields.seen.of(held), network))
            texts[held], scores[held] = found.texts, found.log_probability
            write_arrays(path, texts=np.array(found.texts, str), scores=found.log_probability)
        return Answers.to(self._fields.seen.texts, list(texts), scores)


def _confidences(begun: Weights, found: Answers, fold: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How sure readers are of held-out fields, calibrated by what they say of the other folds, float64 [n]."""
    said = np.empty(len(fold))
    for number in np.unique(fold):
        held = fold == number
        weights = calibrated(begun, _some(found, ~held))
        said[held] = confidence_of(weights, _some(found, held))
    return said


def said_of(weights: Weights, material: Material) -> Said:
    """What a reader says of fields or strings."""
    found = answers(weights, material)
    return Said(found.texts, confidence_of(weights, found))


def _some(found: Answers, chosen: npt.NDArray[np.bool_]) -> Answers:
    texts = [text for text, is_chosen in zip(found.texts, chosen, strict=True) if is_chosen]
    return replace(found, texts=texts, log_probability=found.log_probability[chosen], right=found.right[chosen])
