"""What the reader is fitted to: strings as lattices, with what the network says of their segments."""

import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

from exporter.contract import MAX_FIELD_WIDTH, SIDE
from exporter.numbers.field import shrink
from exporter.numbers.reader import Answer, judged
from exporter.numbers.scorer import JUDGED, judgement, known_of
from exporter.numbers.segments import STRAIGHTENED
from exporter.picture.decode import decode
from trainer.numbers.strings import String
from trainer.run_folder.arrays import write_arrays

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

TOGETHER = 64
"""Strings that are read at once."""
_SEGMENTS_AT_ONCE = 2048  # that a network is asked about
_PIECES_STEP = 4  # lattices are padded to multiples of so many pieces, so that few graphs are built


@dataclass(frozen=True, eq=False)
class Material:
    """Lattices of n strings, their s edges one after the other.

    Attributes:
        texts: what is written on each.
        last: the last seam of each, int32 [n].
        edge: string, first seam and number of pieces less one, int32 [s, 3], strings in order.
        measures: what is known of each edge, float32 [s, INPUTS].
        logs: logarithm of the network's answer, float32 [s, 10].
        forms: of each edge in MNIST's form, uint8 [s, 28, 28, len(STRAIGHTENED)].
    """

    texts: Sequence[str]
    last: Ints
    edge: Ints
    measures: Floats
    logs: Floats
    forms: npt.NDArray[np.uint8]

    def save(self, path: Path) -> None:
        """Write an .npz, whole or not at all."""
        write_arrays(
            path,
            texts=np.array(self.texts),
            last=self.last,
            edge=self.edge,
            measures=self.measures,
            logs=self.logs,
            forms=self.forms,
        )

    @classmethod
    def load(cls, path: Path) -> "Material":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            texts = [str(text) for text in file["texts"]]
            return cls(
                texts,
                file["last"],
                file["edge"],
                file["measures"],
                file["logs"],
                file["forms"],
            )

    @classmethod
    def joined(cls, parts: Sequence["Material"]) -> "Material":
        """All strings of several, in order."""
        starts = np.cumsum([0, *(len(part.texts) for part in parts)])
        edges = [part.edge + np.array([start, 0, 0]) for part, start in zip(parts, starts, strict=False)]
        return cls(
            [text for part in parts for text in part.texts],
            np.concatenate([part.last for part in parts]),
            np.concatenate(edges).astype(np.int32),
            np.concatenate([part.measures for part in parts]),
            np.concatenate([part.logs for part in parts]),
            np.concatenate([part.forms for part in parts]),
        )

    def of(self, chosen: npt.NDArray[np.integer]) -> "Material":
        """The strings at places, int [k], in that order."""
        return self.at(chosen, self.starts())

    def starts(self) -> npt.NDArray[np.int64]:
        """The first edge of each string, and where the last one's end, int64 [n + 1]."""
        return np.searchsorted(self.edge[:, 0], np.arange(len(self.texts) + 1)).astype(np.int64)

    def at(self, chosen: npt.NDArray[np.integer], starts: npt.NDArray[np.int64]) -> "Material":
        """The same where `starts` are known already."""
        begin, end = starts[chosen], starts[chosen + 1]
        edges = np.concatenate([np.zeros(0, np.int64), *map(np.arange, begin, end)])
        edge = self.edge[edges]
        edge[:, 0] = np.repeat(np.arange(len(chosen)), end - begin)
        texts = [self.texts[place] for place in chosen]
        return Material(texts, self.last[chosen], edge, self.measures[edges], self.logs[edges], self.forms[edges])


@dataclass(frozen=True, eq=False)
class Batch:
    """Some strings for `lattice`'s functions: `edge` counts strings from 0, `shape` is [n, pieces, MOST_PIECES]."""

    last: Ints
    edge: Ints
    measures: Floats
    logs: Floats
    forms: npt.NDArray[np.uint8]
    pieces: int
    text: Ints
    length: Ints


class Batches:
    """Batches of chosen strings of a material."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._starts = material.starts()
        most = max(map(len, material.texts), default=1)
        self._text = np.zeros([len(material.texts), most], np.int32)
        for place, text in enumerate(material.texts):
            self._text[place, : len(text)] = [int(symbol) for symbol in text]
        self._length = np.array([len(text) for text in material.texts], np.int32)

    def of(self, chosen: npt.NDArray[np.integer]) -> Batch:
        """The batch of strings at places, int [k]."""
        some = self._material.at(chosen, self._starts)
        pieces = max(1, -(-int(some.last.max()) // _PIECES_STEP)) * _PIECES_STEP
        parts = some.measures, some.logs, some.forms
        return Batch(some.last, some.edge, *parts, pieces, self._text[chosen], self._length[chosen])


def read_strings(made: Iterator[String], network: Answer, on_done: Callable[[int], None]) -> Material:
    """Bring strings to lattices as serving does.

    Args:
        made: the strings.
        network: judges segments.
        on_done: told after each some how many more are done.
    """
    return read_fields(((_png(string.picture), string.text) for string in made), network, on_done)


def read_fields(
    written: Iterable[tuple[bytes, str]], network: Answer, on_done: Callable[[int], None] = lambda _: None
) -> Material:
    """Bring encoded pictures of fields to lattices as serving does.

    Args:
        written: each with its text; those that are read together best have about the same size.
        network: judges segments.
        on_done: told after each some how many more are done.
    """
    written = iter(written)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
    def lattices(image_bytes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        _, index, pictures = decode(image_bytes, shrink, MAX_FIELD_WIDTH)
        _, cuts, segments, answers = judged(pictures, network)
        known = known_of(segments, answers)
        forms = tf.cast(tf.round(255.0 * known.forms), tf.uint8)
        return index, cuts.count, segments.edge, known.measures, known.logs, forms

    parts = []
    while some := list(itertools.islice(written, TOGETHER)):
        found = [part.numpy() for part in lattices(tf.constant([content for content, _ in some]))]
        index, count, edge, measures, logs, forms = found
        # Greys come before colours: decoding tells their order.
        edge = np.concatenate([index[edge[:, :1]].astype(np.int32), edge[:, 1:]], axis=1)
        order = np.argsort(edge[:, 0], kind="stable")
        last = np.zeros(len(some), np.int32)
        last[index] = count - 1
        texts = [text for _, text in some]
        parts.append(Material(texts, last, edge[order], measures[order], logs[order], forms[order]))
        on_done(len(some))
    return Material.joined(parts)


def judged_anew(material: Material, network: Answer) -> Material:
    """The same lattices with the answers of another network."""

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator] # has no types
    def asked(forms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.reshape(tf.transpose(tf.cast(forms, tf.float32) / 255.0, [3, 0, 1, 2]), [-1, SIDE, SIDE])
        answers = network(images)
        logs, measures = judgement(tf.reshape(answers, [len(STRAIGHTENED), -1, answers.shape[1]]))
        return tf.concat(measures, axis=1), logs

    measures, logs = material.measures.copy(), np.empty_like(material.logs)
    for start in range(0, len(logs), _SEGMENTS_AT_ONCE):
        some = slice(start, start + _SEGMENTS_AT_ONCE)
        measures[some, :JUDGED], logs[some] = (part.numpy() for part in asked(tf.constant(material.forms[some])))
    return replace(material, measures=measures, logs=logs)


def _png(picture: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return file.getvalue()
