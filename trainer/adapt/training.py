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
from exporter.contract import NO_DIGIT, RUN_READER
from exporter.network.served import calibrated, served
from exporter.network.source import load_source
from exporter.numbers.stored import Reader
from exporter.picture.normalise import normalise_arrays
from trainer.adapt.field_report import FieldsOutcome
from trainer.adapt.fields import Fields, read_all
from trainer.adapt.folds import HeldOut, Known, Taught, hold_out, networks, temperatures
from trainer.adapt.given import Asked, Given, read_given
from trainer.adapt.learner import Learner, folded
from trainer.adapt.lessons import known_of, lessons_of
from trainer.adapt.readers import AdaptedNetworks, adapt_reader
from trainer.adapt.report import Judged, Outcome, write
from trainer.adapt.settings import Running, Settings
from trainer.bar import bar
from trainer.data.datasets import load
from trainer.data.pictures import Pictures
from trainer.fitting.network import predict
from trainer.run_folder import records
from trainer.run_folder.runs import CouldNotWriteError

_SETTINGS = "settings.json"


@dataclass(frozen=True, eq=False)
class _Old:
    """What is adapted."""

    model: keras.Model
    """Folded."""
    temperature: float
    reader: Reader | None
    """None where no fields are labelled."""

    def arrays(self) -> list[npt.NDArray[np.generic]]:
        """All its weights."""
        weights = [] if self.reader is None else list(vars(self.reader.weights).values())
        return [*self.model.get_weights(), *map(np.asarray, weights)]


def adapt(asked: Asked, *, folder: Path, kept: Path, console: Console, settings: Settings) -> Outcome:
    """Adapt a network to labels, compare it with the old one, and fill a run folder.

    Where fields are labelled, the network also learns from their digits, and a reader of numbers from the fields.

    Args:
        asked: from what.
        folder: an empty folder, which becomes the run folder.
        kept: what an interrupted run left, and where this one leaves it.
        console: where progress is shown, if it is a terminal.
        settings: how long and how fast it learns.

    Raises:
        UserError: labels, a network, a reader or a data set that cannot be used, or a folder that cannot be written.
    """
    start = time.perf_counter()
    reader = None if asked.fields is None else Reader.load(asked.reader)
    dataset = load(asked.data)
    model, temperature = load_source(asked.source)
    old = _Old(folded(model), temperature, reader)
    given = read_given(asked, console)
    running = Running(settings=settings, seed=asked.seed, kept=kept, console=console)
    try:
        _keep_apart(kept, asked, settings, given, [dataset.x_train, *old.arrays()])
        fields = None
        if old.reader is not None and given.encoded is not None:
            network = served(old.model, temperature)
            fields = read_all(given.encoded, network, old.reader.weights, dataset, running)
        taught = _taught(given, fields)
        usual = settings.lesson_augmentation
        lessons = lessons_of(old.model, temperature, dataset, usual, kept, seed=asked.seed, console=console)
        learner = Learner(old.model, temperature, lessons, settings)
        known = known_of(dataset, usual, seed=asked.seed)
        new, held_out = _fit(learner, taught, given.folds, known, asked.seed, kept, console)
        temperature_now, answers = temperature, None
        if held_out is not None:
            readable = np.where(taught.has_ink, taught.labels, NO_DIGIT)
            temperature_now, answers = temperatures(held_out, readable, known)
        adapted = None
        if old.reader is not None and fields is not None:
            held = None
            if held_out is not None:
                held = networks(folded(old.model), temperature_now, given.folds, kept)
            adapted_networks = AdaptedNetworks(calibrated(new, temperature_now), held)
            adapted = adapt_reader(old.reader, fields, adapted_networks, given.fold[given.of_fields], running)
    except OSError as error:
        raise CouldNotWriteError(f"{kept}: {error}; make room there, and repeat the command to go on") from error

    tests = normalise_arrays(dataset.x_test)
    outcome = Outcome(
        source=asked.source,
        pictures=given.pictures,
        missing=[] if asked.labels is None else asked.labels.missing,
        groups=given.groups[given.of_pictures],
        grouped_by=asked.group,
        folds=given.folds,
        temperature=temperature_now,
        held_out=_judged(given.pictures, old, answers),
        mnist=Judged(
            predict(old.model, tests, temperature),
            predict(new, tests, temperature_now),
            dataset.y_test.astype(np.int64),
            np.ones(len(tests), bool),
        ),
        fields=None
        if adapted is None or given.encoded is None or asked.fields is None
        else FieldsOutcome(
            encoded=given.encoded,
            source=asked.reader,
            missing=asked.fields.missing,
            none=asked.fields.none,
            groups=given.groups[given.of_fields],
            held_out=adapted.held_out,
            strings=adapted.strings,
        ),
    )
    try:
        records.write_model(folder, new, h5=False)
        records.write_warmup(folder, dataset, seed=asked.seed)
        if adapted is not None:
            adapted.reader.save(folder / RUN_READER)
        write(folder, outcome, seed=asked.seed, seconds=time.perf_counter() - start)
    except OSError as error:
        raise CouldNotWriteError(
            f"{folder.parent}: cannot be written ({error}); make room there or change --out"
        ) from error
    return outcome


def _keep_apart(
    kept: Path,
    asked: Asked,
    settings: Settings,
    given: Given,
    others: Sequence[npt.NDArray[np.generic]],
) -> None:
    """Go on with an interrupted run only if it is the same, down to the arrays of the old network and what it knows."""
    digest = hashlib.sha256()
    fields = given.encoded
    labels = [str(each.label) for each in (*given.pictures.labelled, *(() if fields is None else fields.labelled))]
    contents = [*given.pictures.digests, *(() if fields is None else fields.digests)]
    for content, label, group in zip(contents, labels, given.groups, strict=True):
        digest.update(f"{content} {label} {group}\n".encode(errors="surrogateescape"))
    digest.update(f"{len(given.pictures.labelled)}\n".encode())
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


def _taught(given: Given, fields: Fields | None) -> Taught:
    """The labelled pictures, and the digits that were found in fields."""
    pictures = given.pictures
    taught = Taught(pictures.forms, pictures.labels, pictures.has_ink, given.fold[given.of_pictures])
    if fields is None:
        return taught
    found = fields.digits
    if not len(pictures.labels) and not len(found.labels):
        raise UserError("no digit of the texts was found in the fields; look at their labels, or label more")
    return Taught(
        np.concatenate([taught.forms, found.forms]),
        np.concatenate([taught.labels, found.labels]),
        np.concatenate([taught.has_ink, np.ones(len(found.labels), np.bool_)]),
        np.concatenate([taught.fold, given.fold[given.of_fields][found.field]]),
    )


def _fit(
    learner: Learner,
    taught: Taught,
    folds: int,
    known: Known,
    seed: int,
    kept: Path,
    console: Console,
) -> tuple[keras.Model, HeldOut | None]:
    """The network that is fitted to all labels, and what those that are fitted to some say of the others."""
    seen = taught.has_ink
    sizes = [int(taught.without(number).sum()) for number in range(folds)] if folds > 1 else []
    steps = sum(map(learner.steps_for, [*sizes, int(seen.sum())]))
    found = None
    with bar(console) as progress:
        task = progress.add_task("", total=steps)
        if folds > 1 and all(sizes):
            progress.update(task, description=f"{counted(folds, 'fold')}, then all labels")
            found = hold_out(
                learner,
                taught,
                folds,
                known,
                seed=seed,
                kept=kept,
                on_step=lambda done: progress.advance(task, done),
            )
        progress.update(task, description="all labels")
        before = progress.tasks[task].completed
        new = learner.fit(
            taught.forms[seen],
            taught.labels[seen],
            seed=seed,
            on_step=lambda done: progress.update(task, completed=before + done),
        )
    return new, found


def _judged(pictures: Pictures, old: _Old, answers: npt.NDArray[np.float32] | None) -> Judged | None:
    """What both networks say of the labelled pictures, of answers to all that was taught; None where none was held."""
    count = len(pictures.labels)
    if answers is None or not count:
        return None
    before = predict(old.model, pictures.images, old.temperature)
    return Judged(before, answers[:count], pictures.labels, pictures.has_ink)
