"""Labelled fields, as lattices and as digits: what an adaptation learns from them."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exporter.numbers.reader import Answer
from exporter.numbers.scorer import Weights
from trainer.adapt.copies import copy_of
from trainer.adapt.settings import Running
from trainer.bar import bar
from trainer.data.datasets import Dataset
from trainer.data.pictures import Encoded
from trainer.numbers.alignment import Aligned, align
from trainer.numbers.material import Material, read_fields, read_strings
from trainer.numbers.strings import Digits, digits_of, strings


@dataclass(frozen=True, eq=False)
class Fields:
    """What is learned from n labelled fields."""

    encoded: Encoded
    seen: Material
    """The fields, with what the old network says of their segments."""
    copies: Material
    """Distorted copies: all fields once, then all once more, and so on."""
    strings: Material
    """Strings of training digits, so that the reader forgets little."""
    tests: Material
    """Strings of test digits."""
    digits: Aligned
    """The digits of their texts, found by the old reader."""

    def shown(self, chosen: npt.NDArray[np.integer]) -> Material:
        """What the reader is fitted to where it may learn from fields at places, int [k], alone."""
        count = len(self.seen.texts)
        rounds = len(self.copies.texts) // count
        places = [chosen + number * count for number in range(rounds)]
        return Material.joined([self.seen.of(chosen), self.copies.of(np.concatenate(places)), self.strings])


def read_all(encoded: Encoded, network: Answer, reader: Weights, dataset: Dataset, running: Running) -> Fields:
    """Read fields, distorted copies of them, and strings, but for what an interrupted run has read.

    Args:
        encoded: the fields.
        network: the old one, which judges segments.
        reader: what finds the digits of the texts.
        dataset: whose digits strings are made of.
        running: the run.
    """
    settings, seed = running.settings, running.seed
    count = len(encoded.labelled) * (1 + settings.field_copies) + settings.strings + settings.tested_strings
    with bar(running.console) as progress:
        task = progress.add_task("fields and copies", total=count)

        def on_done(done: int) -> None:
            progress.advance(task, done)

        texts = [each.label for each in encoded.labelled]

        def copies() -> Iterator[tuple[bytes, str]]:
            for number, (place, text) in itertools.product(range(settings.field_copies), enumerate(texts)):
                yield copy_of(encoded.contents[place], np.random.default_rng([seed, number, place])), text

        def read(name: str, count: int, make: Callable[[], Material]) -> Material:
            path = running.kept / f"{name}.npz"
            if path.exists():
                on_done(count)
                return Material.load(path)
            made = make()
            made.save(path)
            return made

        def made(name: str, digits: Digits, count: int, number: int) -> Material:
            return read(name, count, lambda: read_strings(strings(digits, count, seed * 2 + number), network, on_done))

        written = list(zip(encoded.contents, texts, strict=True))
        seen = read("fields", len(texts), lambda: read_fields(written, network, on_done))
        training, _, tests = digits_of(dataset)
        return Fields(
            encoded,
            seen,
            read("copies", settings.field_copies * len(texts), lambda: read_fields(copies(), network, on_done)),
            made("strings", training, settings.strings, 0),
            made("test-strings", tests, settings.tested_strings, 1),
            align(reader, seen),
        )
