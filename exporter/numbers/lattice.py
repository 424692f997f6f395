"""Readings of a line as paths through a lattice: a semi-Markov conditional random field.

Nodes are seams, edges are segments: an edge is read as one of ten digits, or skipped as no digit. A path from the first
seam to the last one spells a text, and its score is the sum of its edges' (Sarawagi and Cohen, Semi-Markov Conditional
Random Fields for Information Extraction, 2004). A text's probability is the share of all paths that spell it; different
paths may spell the same text.

Edges are in tensors of [n, p, MOST_PIECES, ...]: line, first seam, number of pieces less one. Edges that are not there
have a score of IMPOSSIBLE.
"""

from dataclasses import dataclass

import tensorflow as tf

from exporter.contract import ALTERNATIVE_COUNT, CLASSES, MAX_DIGITS
from exporter.numbers.segments import MOST_PIECES

IMPOSSIBLE = -1e9
_BEAM = 8  # texts that are kept at each seam
_WIDE_BEAM = 24  # before equal texts are merged
_PRIME = 1_000_003
_PIECES_BASE = 8  # more than MOST_PIECES


@dataclass(frozen=True)
class Readings:
    """The best readings of lines, the likeliest first.

    Attributes:
        log_probability: float32 [n, ALTERNATIVE_COUNT], of those with as many digits as were asked for; about
            IMPOSSIBLE where there are no more readings.
        count: how many digits, int32 [n, ALTERNATIVE_COUNT].
        digits: int32 [n, ALTERNATIVE_COUNT, MAX_DIGITS]; 0 beyond the count.
        first: first seam of each digit of the best reading, int32 [n, MAX_DIGITS].
        pieces: number of its pieces less one, int32 [n, MAX_DIGITS].
    """

    log_probability: tf.Tensor
    count: tf.Tensor
    digits: tf.Tensor
    first: tf.Tensor
    pieces: tf.Tensor


def read(digit: tf.Tensor, skip: tf.Tensor, last: tf.Tensor, wanted: tf.Tensor) -> Readings:
    """Find the best readings by a beam search over prefixes of texts, as CTC's (Graves 2012), one seam after another.

    What is still to come is known from a pass from the other end, so that prefixes are compared by the probability of
    all texts that begin so.

    Args:
        digit: scores of edges read as digits, float32 [n, p, MOST_PIECES, 10].
        skip: scores of skipped edges, float32 [n, p, MOST_PIECES].
        last: the last seam of each line, int32 [n], at most p.
        wanted: how many digits readings are to have, int32 [n]; 0 for any number but none.
    """
    count = tf.shape(skip)[0]
    future = _future(tf.reduce_logsumexp(digit, axis=-1), skip, last, wanted)  # [p + 1, n, MAX_DIGITS + 1]
    digits_in, skips_in = _incoming(digit), _incoming(skip)
    whole = future[0, :, 0]

    shape = tf.stack([count, MOST_PIECES, _BEAM])
    # The seams before the next one, the nearest first: at the first seam there is the empty text alone.
    start = tf.concat([tf.zeros([1]), tf.fill([MOST_PIECES * _BEAM - 1], IMPOSSIBLE)], axis=0)
    score = tf.tile(tf.reshape(start, [1, MOST_PIECES, _BEAM]), [count, 1, 1])
    state = (
        tf.constant(1),
        score,
        score,
        tf.zeros(shape, tf.int64),
        tf.zeros(shape, tf.int32),
        tf.zeros(tf.concat([shape, [MAX_DIGITS]], axis=0), tf.int32),
        tf.fill(tf.stack([count, _BEAM]), IMPOSSIBLE),
        tf.zeros(tf.stack([count, _BEAM]), tf.int32),
        tf.zeros(tf.stack([count, _BEAM, MAX_DIGITS]), tf.int32),
    )

    def step(seam: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        score, best, key, length, path, *found = rest
        new = _extend(seam, (score, best, key, length, path), digits_in[seam], skips_in[seam], future[seam])
        ends = last == seam
        # Of those that end here only as many digits as are wanted count.
        whole_texts = new[0] + tf.gather(future[seam], new[3], batch_dims=1)
        found = [
            tf.where(tf.reshape(ends, [-1, *([1] * (len(old.shape) - 1))]), now, old)
            for now, old in zip((whole_texts, new[3], new[4]), found, strict=True)
        ]
        moved = [tf.concat([now[:, None], old[:, :-1]], axis=1) for now, old in zip(new, rest[:5], strict=True)]
        return (seam + 1, *moved, *found)

    *_, score, length, path = tf.while_loop(
        lambda seam, *_: seam < tf.shape(future)[0],
        step,
        state,
        shape_invariants=(tf.TensorShape([]), *(tensor.shape for tensor in state[1:])),
    )
    score, length, path = (part[:, :ALTERNATIVE_COUNT] for part in (score, length, path))
    edge, digits = path // CLASSES, path % CLASSES
    best = edge[:, 0]
    score = tf.where(score > IMPOSSIBLE / 2, score - whole[:, None], IMPOSSIBLE)
    return Readings(score, length, digits, best // _PIECES_BASE, best % _PIECES_BASE)


def _extend(
    seam: tf.Tensor, beams: tuple[tf.Tensor, ...], digit: tf.Tensor, skip: tf.Tensor, future: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """The beams at a seam, [n, _BEAM, ...], of those at the seams before it, [n, MOST_PIECES, _BEAM, ...].

    A beam is a text's score, the score of its best path, the key by which it is known, its length, and the edges and
    digits of that path.
    """
    score, best, key, length, path = beams
    count = tf.shape(score)[0]
    is_full = length >= MAX_DIGITS
    # Last dimension: ten digits, and skipping.
    added = tf.concat(
        [tf.repeat(digit[:, :, None], _BEAM, axis=2), tf.repeat(skip[:, :, None, None], _BEAM, axis=2)], -1
    )
    added = tf.where(is_full[..., None] & (tf.range(CLASSES + 1) < CLASSES), IMPOSSIBLE, added)
    longer = tf.minimum(length[..., None] + tf.cast(tf.range(CLASSES + 1) < CLASSES, tf.int32), MAX_DIGITS)
    to_come = tf.gather(future, tf.reshape(longer, [count, -1]), batch_dims=1)
    choices = MOST_PIECES * _BEAM * (CLASSES + 1)
    scores = tf.reshape(score[..., None] + added, [count, choices])
    _, chosen = tf.math.top_k(scores + to_come, _WIDE_BEAM)
    beam, symbol = chosen // (CLASSES + 1), chosen % (CLASSES + 1)

    def of_beam(values: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(values, tf.concat([[count, MOST_PIECES * _BEAM], tf.shape(values)[3:]], axis=0))
        return tf.gather(flat, beam, batch_dims=1)

    scores = tf.gather(scores, chosen, batch_dims=1)
    paths_best = of_beam(best) + tf.gather(tf.reshape(added, [count, choices]), chosen, batch_dims=1)
    is_digit = symbol < CLASSES
    keys = tf.where(is_digit, of_beam(key) * _PRIME + tf.cast(symbol + 1, tf.int64), of_beam(key))
    lengths = of_beam(length)

    # Equal texts become one, with the best of their paths; it stands where the first one stood.
    is_equal = keys[:, :, None] == keys[:, None, :]
    merged = tf.reduce_logsumexp(tf.where(is_equal, scores[:, None, :], IMPOSSIBLE), axis=2)
    place = tf.range(_WIDE_BEAM)
    is_first = tf.reduce_all(~is_equal | (place[:, None] <= place), axis=2)
    order = tf.where(is_first, merged + tf.gather(to_come, chosen, batch_dims=1), 2 * IMPOSSIBLE)
    _, kept = tf.math.top_k(order, _BEAM)
    path_of = tf.argmax(tf.where(is_equal, paths_best[:, None, :], 2 * IMPOSSIBLE), axis=2, output_type=tf.int32)
    source = tf.gather(path_of, kept, batch_dims=1)

    def kept_of(values: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, source, batch_dims=1)

    pieces = kept_of(beam) // _BEAM
    code = ((seam - 1 - pieces) * _PIECES_BASE + pieces) * CLASSES + kept_of(symbol)
    old_length, adds = kept_of(lengths), kept_of(is_digit)
    here = (tf.range(MAX_DIGITS) == old_length[..., None]) & adds[..., None]
    path = tf.where(here, code[..., None], tf.gather(of_beam(path), source, batch_dims=1))
    score = tf.where(tf.gather(is_first, kept, batch_dims=1), tf.gather(merged, kept, batch_dims=1), IMPOSSIBLE)
    length = tf.minimum(old_length + tf.cast(adds, tf.int32), MAX_DIGITS)
    return score, kept_of(paths_best), kept_of(keys), length, path


def _future(digit: tf.Tensor, skip: tf.Tensor, last: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Log sums of all ways to end after each seam and number of digits before it, float32 [p + 1, n, MAX_DIGITS + 1].

    Args:
        digit: log sums over the ten digits, float32 [n, p, MOST_PIECES].
        skip: the same shape.
        last: int32 [n].
        wanted: int32 [n].
    """
    seams = tf.shape(skip)[1]
    numbers = tf.range(MAX_DIGITS + 1)
    at_end = tf.where(wanted[:, None] > 0, numbers == wanted[:, None], numbers > 0)
    at_end = tf.where(at_end, 0.0, IMPOSSIBLE)

    def step(after: tf.Tensor, now: tuple[tf.Tensor, ...]) -> tf.Tensor:
        seam, digit, skip = now
        longer = tf.pad(after[:, :, 1:], [[0, 0], [0, 0], [0, 1]], constant_values=IMPOSSIBLE)
        ways = tf.concat([after + skip[..., None], longer + digit[..., None]], axis=1)
        here = tf.maximum(tf.reduce_logsumexp(ways, axis=1), IMPOSSIBLE)
        here = tf.where((last == seam)[:, None], at_end, here)
        return tf.concat([here[:, None], after[:, :-1]], axis=1)

    nothing = tf.fill(tf.stack([tf.shape(skip)[0], MOST_PIECES, MAX_DIGITS + 1]), IMPOSSIBLE)
    none = tf.fill(tf.stack([tf.shape(skip)[0], 1, MOST_PIECES]), IMPOSSIBLE)
    edges = [tf.transpose(tf.concat([part, none], axis=1), [1, 0, 2]) for part in (digit, skip)]
    states = tf.scan(step, (tf.range(seams + 1), *edges), nothing, reverse=True)
    return states[:, :, 0]


def _incoming(edges: tf.Tensor) -> tf.Tensor:
    """Edges by the seam at which they end, [p + 1, n, MOST_PIECES, ...]."""
    seams = tf.shape(edges)[1]
    ends = [
        tf.pad(
            edges[:, : tf.maximum(seams - k, 0), k],
            [[0, 0], [tf.minimum(k + 1, seams + 1), 0], *([[0, 0]] * (len(edges.shape) - 3))],
            constant_values=IMPOSSIBLE,
        )
        for k in range(MOST_PIECES)
    ]
    stacked = tf.stack([end[:, : seams + 1] for end in ends], axis=2)
    return tf.transpose(stacked, [1, 0, 2, *range(3, len(edges.shape))])


def log_partition(digit: tf.Tensor, skip: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    """Log sum of the scores of all paths that read at least one digit, float32 [n]."""
    wanted = tf.zeros_like(last)
    return _future(tf.reduce_logsumexp(digit, axis=-1), skip, last, wanted)[0, :, 0]


def log_spelling(digit: tf.Tensor, skip: tf.Tensor, last: tf.Tensor, text: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Log sum of the scores of all paths that spell a text, float32 [n].

    Args:
        digit: as for `read`.
        skip: as for `read`.
        last: as for `read`.
        text: digits, int32 [n, l].
        length: how many of them count, int32 [n].
    """
    seams, most = tf.shape(skip)[1], tf.shape(text)[1]
    # Scores of the next digit of the text, whichever it is: [p, n, MOST_PIECES, l].
    spelled = tf.gather(digit, text, axis=3, batch_dims=1)
    edges = [
        tf.concat(
            [
                tf.transpose(part, [1, 0, 2, *range(3, len(part.shape))]),
                tf.fill(tf.concat([[1], tf.shape(part)[:1], tf.shape(part)[2:]], axis=0), IMPOSSIBLE),
            ],
            axis=0,
        )
        for part in (spelled, skip)
    ]
    at_end = tf.where(tf.range(most + 1) == length[:, None], 0.0, IMPOSSIBLE)

    def step(after: tf.Tensor, now: tuple[tf.Tensor, ...]) -> tf.Tensor:
        seam, spelled, skip = now
        ways = tf.concat(
            [
                after + skip[..., None],
                tf.pad(after[:, :, 1:] + spelled, [[0, 0], [0, 0], [0, 1]], constant_values=IMPOSSIBLE),
            ],
            axis=1,
        )
        here = tf.maximum(tf.reduce_logsumexp(ways, axis=1), IMPOSSIBLE)
        here = tf.where((last == seam)[:, None], at_end, here)
        return tf.concat([here[:, None], after[:, :-1]], axis=1)

    nothing = tf.fill(tf.stack([tf.shape(skip)[0], MOST_PIECES, most + 1]), IMPOSSIBLE)
    states = tf.scan(step, (tf.range(seams + 1), *edges), nothing, reverse=True)
    return states[0, :, 0, 0]
