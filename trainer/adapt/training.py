"""One run of `digits-train adapt`: from labels to an adapted network, and what it is worth, in a run folder."""

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from rich.console import Console

from exporter.command import UserError, counted
from exporter.contract import CLASSES, NO_DIGIT
from exporter.network.source import load_source
from exporter.picture.normalise import normalise_arrays
from trainer.adapt.folds import HeldOut, Known, hold_out, temperatures
from trainer.adapt.learner import Learner, folded
from trainer.adapt.report import Judged, Outcome, write
from trainer.adapt.settings import Settings
from trainer.bar import bar
from trainer.data.augment import distort
from trainer.data.batches import DistortedBatches
from trainer.data.datasets import Dataset, load
from trainer.data.groups import folds_of, groups_of
from trainer.data.hands import other_hands
from trainer.data.labels import Labels
from trainer.data.nondigits import NonDigits, non_digits
from trainer.data.pictures import Pictures, read_pictures
from trainer.fitting.distill import Lessons, teach
from trainer.fitting.network import predict
from trainer.recipes import Augmentation
from trainer.run_folder import records
from trainer.run_folder.runs import LESSONS, CouldNotWriteError

_FOLDS = 5
_KNOWN = 300  # training digits, from their end, are in no lesson: they help to find the temperature
_LESSONS = 50_000  # at most
_NON_DIGITS = 4000  # pictures that are no digit, drawn for the lessons
_NON_DIGIT_SHARE = 0.05
_TOGETHER = 1000  # images that the old network is asked about at once
_SETTINGS = "settings.json"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run is to do."""

    labels: Labels[int]
    """Of which files."""
    source: Path
    """Run folder or published version of the network to adapt."""
    data: Path | None
    """The data set that it knows, None for Keras' download of MNIST."""
    group: str | None
    """What keeps pictures together, as for `groups_of`; None where each is alone."""
    seed: int
    """Of everything random."""


def adapt(asked: Asked, *, folder: Path, kept: Path, console: Console, settings: Settings) -> Outcome:
    """Adapt a network to labels, compare it with the old one, and fill a run folder.

    Args:
        asked: from what.
        folder: an empty folder, which becomes the run folder.
        kept: what an interrupted run left, and where this one leaves it.
        console: where progress is shown, if it is a terminal.
        settings: how long and how fast it learns.

    Raises:
        UserError: labels, a network or a data set that cannot be used, or a folder that cannot be written.
    """
    start = time.perf_counter()
    dataset = load(asked.data)
    model, temperature = load_source(asked.source)
    old = folded(model)
    pictures = _pictures(asked, console)
    groups = pictures.digests if asked.group is None else groups_of(pictures.labelled, asked.group)
    fold = folds_of(groups, _FOLDS, asked.seed)
    usual = settings.lesson_augmentation
    try:
        _keep_apart(kept, asked, settings, pictures, groups, [dataset.x_train, *model.get_weights()])
        lessons = _lessons(old, temperature, dataset, usual, kept, seed=asked.seed, console=console)
        learner = Learner(old, temperature, lessons, settings)
        known = _known(dataset, usual, seed=asked.seed)
        new, held_out = _fit(learner, pictures, fold, known, asked.seed, kept, console)
    except OSError as error:
        raise CouldNotWriteError(f"{kept}: {error}; make room there, and repeat the command to go on") from error

    old_answers = predict(old, pictures.images, temperature)
    judged = None
    if held_out is not None:
        readable = np.where(pictures.has_ink, pictures.labels, NO_DIGIT)
        temperature_now, new_answers = temperatures(held_out, readable, known)
        judged = Judged(old_answers, new_answers, pictures.labels, pictures.has_ink)
    else:
        temperature_now = temperature
    tests = normalise_arrays(dataset.x_test)
    mnist = Judged(
        predict(old, tests, temperature),
        predict(new, tests, temperature_now),
        dataset.y_test.astype(np.int64),
        np.ones(len(tests), bool),
    )
    outcome = Outcome(
        source=asked.source,
        pictures=pictures,
        missing=asked.labels.missing,
        groups=groups,
        grouped_by=asked.group,
        folds=int(fold.max()) + 1,
        temperature=temperature_now,
        held_out=judged,
        mnist=mnist,
    )
    try:
        records.write_model(folder, new, h5=False)
        records.write_warmup(folder, dataset, seed=asked.seed)
        write(folder, outcome, seed=asked.seed, seconds=time.perf_counter() - start)
    except OSError as error:
        raise CouldNotWriteError(
            f"{folder.parent}: cannot be written ({error}); make room there or change --out"
        ) from error
    return outcome


def _pictures(asked: Asked, console: Console) -> Pictures:
    labels = asked.labels
    if asked.group is not None:
        groups_of(labels.labelled, asked.group)  # a mistake in it is told before minutes of work
    with bar(console) as progress:
        task = progress.add_task("pictures", total=len(labels.labelled))
        pictures = read_pictures(labels.labelled, lambda done: progress.advance(task, done))
    _say(console, labels.missing, "labelled file is not there", "labelled files are not there")
    _say(console, [each.name for each in pictures.unreadable], "file holds no picture", "files hold no picture")
    if not (pictures.has_ink & (pictures.labels != NO_DIGIT)).any():
        raise UserError("no picture of a digit is among the labels; adapting needs some of each digit")
    return pictures


def _say(console: Console, names: list[str], one: str, many: str) -> None:
    """Say what is passed over."""
    if names:
        first = "" if len(names) == 1 else "the first "
        console.print(f"{len(names):,} {one if len(names) == 1 else many}: {first}{names[0]}", highlight=False)


def _keep_apart(
    kept: Path,
    asked: Asked,
    settings: Settings,
    pictures: Pictures,
    groups: Sequence[str],
    others: Sequence[npt.NDArray[np.generic]],
) -> None:
    """Go on with an interrupted run only if it is the same, down to the arrays of the old network and what it knows."""
    digest = hashlib.sha256()
    for each, content, group in zip(pictures.labelled, pictures.digests, groups, strict=True):
        digest.update(f"{content} {each.label} {group}\n".encode(errors="surrogateescape"))
    for array in others:
        digest.update(array.tobytes())
    text = json.dumps({"seed": asked.seed, "settings": asdict(settings), "digest": digest.hexdigest()})
    path = kept / _SETTINGS
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    if path.exists():
        raise UserError(
            f"{kept} holds an interrupted run of other labels or another network; remove it or choose another --out"
        )
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


def _lessons(
    old: keras.Model,
    temperature: float,
    dataset: Dataset,
    augmentation: Augmentation,
    kept: Path,
    *,
    seed: int,
    console: Console,
) -> Lessons:
    """What the old network says of the images that it was fitted to, and of distorted copies of them; [m]."""
    count = max(1, min(_LESSONS, len(dataset.x_train) - _KNOWN))
    images, labels = dataset.x_train[:count], dataset.y_train[:count]
    with console.status("Drawing pictures that are no digit"):
        others = NonDigits(non_digits(min(_NON_DIGITS, count), digits=images, seed=seed), _NON_DIGIT_SHARE)
    normal, targets = normalise_arrays(images), keras.utils.to_categorical(labels, CLASSES)
    parts = []
    for name, way, added in ((f"plain-{LESSONS}", Augmentation(), None), (LESSONS, augmentation, others)):
        copies = DistortedBatches(normal, targets, augmentation=way, batch=_TOGETHER, seed=seed, others=added)
        parts.append(teach([old], copies, kept / name, copies=1, softness=temperature, console=console)[0])
    return np.concatenate(parts)


def _known(dataset: Dataset, augmentation: Augmentation, *, seed: int) -> Known:
    """Distorted copies of training digits that are in no lesson."""
    rng = np.random.default_rng(seed)
    images, labels = normalise_arrays(dataset.x_train[-_KNOWN:]), dataset.y_train[-_KNOWN:]
    return Known(distort(other_hands(images, labels, augmentation.hands, rng), augmentation, rng), labels)


def _fit(
    learner: Learner,
    pictures: Pictures,
    fold: npt.NDArray[np.int64],
    known: Known,
    seed: int,
    kept: Path,
    console: Console,
) -> tuple[keras.Model, HeldOut | None]:
    """The network that is fitted to all labels, and what those that are fitted to some say of the others."""
    seen = pictures.has_ink  # there is nothing to be learned of the others
    count = int(fold.max()) + 1
    sizes = [int((seen & (fold != number)).sum()) for number in range(count)] if count > 1 else []
    steps = sum(map(learner.steps_for, [*sizes, int(seen.sum())]))
    found = None
    with bar(console) as progress:
        task = progress.add_task("", total=steps)
        if count > 1 and all(sizes):
            progress.update(task, description=f"{counted(count, 'fold')}, then all labels")
            found = hold_out(
                learner,
                pictures,
                fold,
                known,
                seed=seed,
                kept=kept,
                on_step=lambda done: progress.advance(task, done),
            )
        progress.update(task, description="all labels")
        before = progress.tasks[task].completed
        new = learner.fit(
            pictures.forms[seen],
            pictures.labels[seen],
            seed=seed,
            on_step=lambda done: progress.update(task, completed=before + done),
        )
    return new, found
