"""What the reader is fitted to: strings as lattices, with what the network says of their segments."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

from exporter.contract import MAX_FIELD_WIDTH
from exporter.numbers.field import shrink
from exporter.numbers.reader import Answer, judged
from exporter.numbers.scorer import INPUTS, inputs_of
from exporter.picture.decode import decode
from trainer.numbers.strings import String

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

TOGETHER = 64
"""Strings that are read at once."""
_PIECES_STEP = 4  # lattices are padded to multiples of so many pieces, so that few graphs are built


@dataclass(frozen=True, eq=False)
class Material:
    """Lattices of n strings, their s edges one after the other.

    Attributes:
        texts: what is written on each.
        last: the last seam of each, int32 [n].
        edge: string, first seam and number of pieces less one, int32 [s, 3], strings in order.
        known: what is known of each edge, float32 [s, INPUTS].
        logs: logarithm of the network's answer, float32 [s, 10].
    """

    texts: Sequence[str]
    last: Ints
    edge: Ints
    known: Floats
    logs: Floats

    def save(self, path: Path) -> None:
        """Write an .npz, whole or not at all."""
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            arrays = {"last": self.last, "edge": self.edge, "known": self.known, "logs": self.logs}
            np.savez(file, texts=np.array(self.texts), **arrays)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Material":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            texts = [str(text) for text in file["texts"]]
            return cls(texts, file["last"], file["edge"], file["known"], file["logs"])

    @classmethod
    def joined(cls, parts: Sequence["Material"]) -> "Material":
        """All strings of several, in order."""
        starts = np.cumsum([0, *(len(part.texts) for part in parts)])
        edges = [part.edge + np.array([start, 0, 0]) for part, start in zip(parts, starts, strict=False)]
        return cls(
            [text for part in parts for text in part.texts],
            np.concatenate([part.last for part in parts]),
            np.concatenate(edges).astype(np.int32),
            np.concatenate([part.known for part in parts]),
            np.concatenate([part.logs for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """Some strings for `lattice`'s functions: `edge` counts strings from 0, `shape` is [n, pieces, MOST_PIECES]."""

    last: Ints
    edge: Ints
    known: Floats
    logs: Floats
    pieces: int
    text: Ints
    length: Ints


class Batches:
    """Batches of chosen strings of a material."""

    def __init__(self, material: Material) -> None:
        self._material = material
        strings = np.arange(len(material.texts) + 1)
        self._starts = np.searchsorted(material.edge[:, 0], strings)
        most = max(map(len, material.texts), default=1)
        self._text = np.zeros([len(material.texts), most], np.int32)
        for place, text in enumerate(material.texts):
            self._text[place, : len(text)] = [int(symbol) for symbol in text]
        self._length = np.array([len(text) for text in material.texts], np.int32)

    def of(self, chosen: npt.NDArray[np.integer]) -> Batch:
        """The batch of strings at places, int [k]."""
        material, starts = self._material, self._starts
        counts = starts[chosen + 1] - starts[chosen]
        edges = np.concatenate([np.arange(starts[place], starts[place + 1]) for place in chosen])
        edge = material.edge[edges].copy()
        edge[:, 0] = np.repeat(np.arange(len(chosen)), counts)
        pieces = max(1, -(-int(material.last[chosen].max()) // _PIECES_STEP)) * _PIECES_STEP
        known, logs = material.known[edges], material.logs[edges]
        return Batch(material.last[chosen], edge, known, logs, pieces, self._text[chosen], self._length[chosen])


def read_strings(made: Iterator[String], network: Answer, on_done: Callable[[int], None]) -> Material:
    """Bring strings to lattices as serving does.

    Args:
        made: the strings.
        network: judges segments.
        on_done: told after each some how many more are done.
    """

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
    def lattices(image_bytes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        _, index, pictures = decode(image_bytes, shrink, MAX_FIELD_WIDTH)
        _, cuts, segments, answers = judged(pictures, network)
        return (index, cuts.count, segments.edge, *inputs_of(segments, answers))

    parts = []
    while some := [string for _, string in zip(range(TOGETHER), made, strict=False)]:
        found = [part.numpy() for part in lattices(tf.constant([_png(string.picture) for string in some]))]
        index, count, edge, known, logs = found
        # Greys come before colours; strings are grey, but keep to the order that decoding tells.
        edge = np.concatenate([index[edge[:, :1]].astype(np.int32), edge[:, 1:]], axis=1)
        order = np.argsort(edge[:, 0], kind="stable")
        last = np.zeros(len(some), np.int32)
        last[index] = count - 1
        texts = [string.text for string in some]
        parts.append(Material(texts, last, edge[order], known[order], logs[order]))
        on_done(len(some))
    empty = Material(
        [],
        np.zeros(0, np.int32),
        np.zeros([0, 3], np.int32),
        np.zeros([0, INPUTS], np.float32),
        np.zeros([0, 10], np.float32),
    )
    return Material.joined(parts or [empty])


def _png(picture: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return file.getvalue()
