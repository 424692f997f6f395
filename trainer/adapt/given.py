"""What a run is given: labelled pictures of digits and of fields, and how they are parted into folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console

from exporter.command import UserError
from exporter.contract import NO_DIGIT
from exporter.label_file import Label
from trainer.bar import bar
from trainer.data.groups import folds_of, groups_of
from trainer.data.labels import Labelled, Labels
from trainer.data.pictures import Encoded, Pictures, read_encoded, read_pictures

_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run is to do."""

    labels: Labels[int] | None = None
    """Of pictures of digits; None where there are only fields."""
    fields: Labels[str] | None = None
    """Of fields; None where there are only digits."""
    source: Path
    """Run folder or published version of the network to adapt."""
    reader: Path
    """The reader to adapt to fields: a run folder, or the file in it. Not read where there are none."""
    data: Path | None
    """The data set that it knows, None for Keras' download of MNIST."""
    group: str | None
    """What keeps pictures together, as for `groups_of`; None where each is alone."""
    seed: int
    """Of everything random."""


@dataclass(frozen=True, eq=False)
class Given:
    """Labelled pictures that could be read."""

    pictures: Pictures
    """Of digits; none where only fields are labelled."""
    encoded: Encoded | None
    """Fields, the smallest files first: those that are read together have about the same size."""
    groups: list[str]
    """What keeps them together: of the pictures, then of the fields."""
    fold: npt.NDArray[np.int64]
    """Of the pictures, then of the fields, from 0."""

    @property
    def folds(self) -> int:
        """How many there are."""
        return int(self.fold.max()) + 1

    @property
    def of_pictures(self) -> slice:
        """Where the pictures are in `groups` and `fold`."""
        return slice(0, len(self.pictures.labelled))

    @property
    def of_fields(self) -> slice:
        """Where the fields are in them."""
        return slice(len(self.pictures.labelled), None)


def read_given(asked: Asked, console: Console) -> Given:
    """Read all labelled pictures, and say what is passed over.

    Raises:
        UserError: none can be used, or their groups cannot be told.
    """
    if asked.group is not None:
        # A mistake in it is told before minutes of work.
        if asked.labels is not None:
            groups_of(asked.labels.labelled, asked.group)
        if asked.fields is not None:
            groups_of(asked.fields.labelled, asked.group)
    pictures = Pictures.none() if asked.labels is None else _pictures(asked.labels, console)
    encoded = None if asked.fields is None else _fields(asked.fields, console)
    digests = [*pictures.digests, *([] if encoded is None else encoded.digests)]
    groups = digests
    if asked.group is not None:
        groups = groups_of(pictures.labelled, asked.group)
        groups += [] if encoded is None else groups_of(encoded.labelled, asked.group)
    return Given(pictures, encoded, groups, folds_of(groups, _FOLDS, asked.seed))


def _pictures(labels: Labels[int], console: Console) -> Pictures:
    with bar(console) as progress:
        task = progress.add_task("pictures", total=len(labels.labelled))
        pictures = read_pictures(labels.labelled, lambda done: progress.advance(task, done))
    _say_missing(console, labels, pictures.unreadable)
    if not (pictures.has_ink & (pictures.labels != NO_DIGIT)).any():
        raise UserError("no picture of a digit is among the labels; adapting needs some of each digit")
    return pictures


def _fields(labels: Labels[str], console: Console) -> Encoded:
    with bar(console) as progress:
        task = progress.add_task("fields", total=len(labels.labelled))
        found = read_encoded(labels.labelled, lambda done: progress.advance(task, done))
    _say_missing(console, labels, found.unreadable)
    order = sorted(range(len(found.contents)), key=lambda place: len(found.contents[place]))
    return Encoded(
        [found.labelled[place] for place in order],
        [found.contents[place] for place in order],
        [found.digests[place] for place in order],
        found.unreadable,
    )


def _say_missing(console: Console, labels: Labels[Label], unreadable: Sequence[Labelled[Label]]) -> None:
    """Say what is passed over."""
    _say(console, labels.missing, "labelled file is not there", "labelled files are not there")
    _say(console, [each.name for each in unreadable], "file holds no picture", "files hold no picture")


def _say(console: Console, names: list[str], one: str, many: str) -> None:
    """Say what is passed over."""
    if names:
        first = "" if len(names) == 1 else "the first "
        console.print(f"{len(names):,} {one if len(names) == 1 else many}: {first}{names[0]}", highlight=False)
