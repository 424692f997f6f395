"""The lattice's sums and searches against all paths, enumerated one by one."""

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from exporter.contract import ALTERNATIVE_COUNT, CLASSES
from exporter.numbers.lattice import IMPOSSIBLE, log_partition, log_spelling, read
from exporter.numbers.segments import MOST_PIECES

Floats = npt.NDArray[np.float32]

_LINES, _PIECES = 5, 5


@pytest.fixture(scope="module")
def edges() -> tuple[Floats, Floats, npt.NDArray[np.int32]]:
    """Random scores of lines with three to five pieces; some edges are missing."""
    rng = np.random.default_rng(3)
    last = np.array([5, 3, 4, 5, 4], np.int32)
    digit = rng.normal(0, 5, [_LINES, _PIECES, MOST_PIECES, CLASSES]).astype(np.float32)
    skip = rng.normal(-1, 5, [_LINES, _PIECES, MOST_PIECES]).astype(np.float32)
    missing = rng.random(skip.shape) < 0.3
    missing[:, :, 0] = False
    first = np.arange(_PIECES)[:, None]
    missing |= first + 1 + np.arange(MOST_PIECES) > last[:, None, None]
    digit[missing], skip[missing] = IMPOSSIBLE, IMPOSSIBLE
    # Three digits are enough to be enumerated.
    digit[..., 3:] = IMPOSSIBLE
    return digit, skip, last


def _texts(digit: Floats, skip: Floats, last: int) -> dict[tuple[int, ...], float]:
    """Log sums of all paths through one line's lattice, by the text they spell."""
    found: dict[tuple[int, ...], float] = {}

    def walk(seam: int, text: tuple[int, ...], score: float) -> None:
        if seam == last:
            found[text] = float(np.logaddexp(found.get(text, -np.inf), score))
            return
        for pieces in range(MOST_PIECES):
            if seam + pieces + 1 > last or skip[seam, pieces] <= IMPOSSIBLE:
                continue
            walk(seam + pieces + 1, text, score + float(skip[seam, pieces]))
            for symbol in range(3):
                walk(seam + pieces + 1, (*text, symbol), score + float(digit[seam, pieces, symbol]))

    walk(0, (), 0.0)
    return found


def test_partition_sums_all_paths_with_a_digit(edges: tuple[Floats, Floats, npt.NDArray[np.int32]]) -> None:
    """The partition function is the sum over all paths but those that skip everything."""
    found = log_partition(*map(tf.constant, edges)).numpy()
    for line in range(_LINES):
        texts = _texts(edges[0][line], edges[1][line], edges[2][line])
        expected = np.logaddexp.reduce([score for text, score in texts.items() if text])
        assert found[line] == pytest.approx(expected, abs=1e-3)


def test_spelling_sums_all_paths_of_a_text(edges: tuple[Floats, Floats, npt.NDArray[np.int32]]) -> None:
    """A text's score is the sum over all paths that spell it."""
    for text in product(range(3), repeat=3):
        given = np.tile(np.array([*text, 0], np.int32), [_LINES, 1])
        length = np.full(_LINES, 3, np.int32)
        found = log_spelling(*map(tf.constant, (*edges, given, length))).numpy()
        for line in range(_LINES):
            expected = _texts(edges[0][line], edges[1][line], edges[2][line]).get(text)
            if expected is None:
                assert found[line] < IMPOSSIBLE / 2
            else:
                assert found[line] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("wanted", [0, 2, 4])
def test_the_best_readings(edges: tuple[Floats, Floats, npt.NDArray[np.int32]], wanted: int) -> None:
    """The best texts come first, with their probability among texts of as many digits."""
    digit, skip, last = map(tf.constant, edges)
    found = read(digit, skip, last, tf.fill([_LINES], wanted))
    for line in range(_LINES):
        texts = _texts(edges[0][line], edges[1][line], edges[2][line])
        allowed = {text: score for text, score in texts.items() if (len(text) == wanted if wanted else text)}
        best = sorted(allowed, key=allowed.__getitem__, reverse=True)[:ALTERNATIVE_COUNT]
        total = np.logaddexp.reduce(list(allowed.values())) if allowed else 0.0
        for place, text in enumerate(best[:3]):
            count = int(found.count[line, place])
            assert tuple(found.digits[line, place, :count].numpy()) == text
            assert float(found.log_probability[line, place]) == pytest.approx(allowed[text] - total, abs=0.05)
        assert (found.log_probability[line].numpy() > IMPOSSIBLE / 2).sum() == len(best)


def test_edges_of_the_best_reading(edges: tuple[Floats, Floats, npt.NDArray[np.int32]]) -> None:
    """The digits of the best reading lie one after the other, within their line."""
    digit, skip, last = map(tf.constant, edges)
    found = read(digit, skip, last, tf.zeros([_LINES], tf.int32))
    for line in range(_LINES):
        count = int(found.count[line, 0])
        first, pieces = found.first[line, :count].numpy(), found.pieces[line, :count].numpy()
        assert (first[1:] >= first[:-1] + pieces[:-1] + 1).all()
        assert first[-1] + pieces[-1] + 1 <= edges[2][line]
