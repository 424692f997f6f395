"""What an audit says of a table: its intervals hold the truth as often as they say, over simulated tables."""

import itertools
import math
from bisect import bisect_right
from collections import Counter
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.accuracy.tally import wilson_interval
from batch.review.estimate import Stratum, estimate
from batch.review.sample import WHOLE, Layer, design, draw
from batch.review.threshold import Looked, find_threshold, whole

Counts = Counter[int]
Floats = npt.NDArray[np.float64]
_LEVELS = 60  # different confidences of a table
_SAMPLE = 300
_TABLES = 2000


def _simulated(kind: str, random: np.random.Generator) -> tuple[Counts, Counts]:
    """A table: rows, and wrong ones among them, of each confidence in ten-thousandths."""
    rows = int(10 ** random.uniform(2.8, 5.5))
    if kind == "many mistakes":
        doubt = np.sort(1 - random.uniform(0.2, 1, _LEVELS) ** random.uniform(0.3, 2))
    else:
        doubt = np.sort(0.6 * random.beta(random.uniform(0.05, 0.3), random.uniform(2, 8), _LEVELS))
    wrong = _wrong(kind, doubt, random)
    confidences = np.rint((1 - doubt) * WHOLE).astype(int)
    of_level = random.multinomial(rows, random.dirichlet(np.ones(_LEVELS)))
    counts: Counts = Counter()
    mistakes: Counts = Counter()
    of_wrong = random.binomial(of_level, wrong)
    for confidence, count, mistaken in zip(*map(np.ndarray.tolist, (confidences, of_level, of_wrong)), strict=True):
        if count:
            counts[confidence] += count
            mistakes[confidence] += mistaken
    return counts, mistakes


def _wrong(kind: str, doubt: Floats, random: np.random.Generator) -> Floats:
    """How likely an answer of each level is wrong."""
    if kind == "well calibrated":
        return doubt
    if kind == "over-confident":
        return np.minimum(0.9, doubt * random.uniform(2, 5) + random.uniform(0, 0.03))
    if kind == "under-confident":
        return doubt * random.uniform(0.1, 0.5)
    if kind == "many mistakes":
        return np.clip(doubt + random.uniform(-0.1, 0.3), 0.02, 0.95)
    if kind == "confidence means nothing":
        return np.full(len(doubt), 10 ** random.uniform(-2, -0.5))
    few = 10 ** random.uniform(-3, -2)
    return np.full(len(doubt), few)


@pytest.mark.parametrize(
    "kind",
    [
        "well calibrated",
        "over-confident",
        "few mistakes",
        "many mistakes",
        pytest.param("under-confident", marks=pytest.mark.soak),
        pytest.param("confidence means nothing", marks=pytest.mark.soak),
    ],
)
def test_intervals_hold_the_truth(kind: str) -> None:
    """95 % intervals hold the true share of wrong answers in 93 to 97 % of 2,000 tables, each with a sample of 300."""
    random = np.random.default_rng(20)
    held = 0
    for number in range(_TABLES):
        counts, mistakes = _simulated(kind, random)
        layers = design(counts, _SAMPLE)
        found = whole(layers, _audited(counts, mistakes, layers, number))
        held += found.low - 1e-12 <= mistakes.total() / counts.total() <= found.high + 1e-12
    assert 0.93 <= held / _TABLES <= 0.97


def _audited(counts: Counts, mistakes: Counts, layers: list[Layer], seed: int) -> list[Looked]:
    """What a person who is always right sees of the sample. In each level, the wrong rows are the first ones."""
    levels = sorted(counts)
    ends = list(accumulate(counts[confidence] for confidence in levels))
    looked = []
    for place in itertools.chain.from_iterable(draw(layers, seed)):
        level = bisect_right(ends, place)
        confidence = levels[level]
        looked.append(Looked(confidence, place - ends[level] + counts[confidence] < mistakes[confidence]))
    return looked


@pytest.mark.parametrize(("kind", "most"), [("well calibrated", 0.02), ("over-confident", 0.05)])
def test_thresholds_keep_what_they_promise(kind: str, most: float) -> None:
    """Of thresholds that a sample is sure of, at most one in twenty leaves more wrong answers than was wanted."""
    random = np.random.default_rng(21)
    broken = sure = 0
    for number in range(300):
        counts, mistakes = _simulated(kind, random)
        layers = design(counts, _SAMPLE)
        found = find_threshold(counts, layers, _audited(counts, mistakes, layers, number), most)
        if found is None or not found.is_sure:
            continue
        low = round(found.confidence * WHOLE)
        rest = [confidence for confidence in counts if confidence >= low]
        rows = sum(counts[confidence] for confidence in rest)
        assert found.review == counts.total() - rows
        assert found.rest.rows == rows
        sure += 1
        broken += sum(mistakes[confidence] for confidence in rest) > most * rows
    assert sure > 50
    assert broken <= 0.05 * sure


def test_one_stratum_has_wilsons_interval() -> None:
    """A sample of a table that is much larger, in one stratum, is a simple random one."""
    found = estimate([Stratum(10**9, 300, 12)])
    assert found.wrong == 12 / 300
    low, high = wilson_interval(12, 300)
    assert math.isclose(found.low, low, rel_tol=0.02)
    assert math.isclose(found.high, high, rel_tol=0.02)


def test_the_share_is_weighted_by_the_strata() -> None:
    """Half of 100 doubtful rows wrong, none of 900 sure ones: 5 %, however many of either were looked at."""
    found = estimate([Stratum(100, 50, 25), Stratum(900, 10, 0)])
    assert found.wrong == pytest.approx(0.05)
    assert found.unseen_wrong[0] == pytest.approx(25)
    assert found.unseen == 940


def test_a_table_that_was_looked_at_whole_is_known() -> None:
    """Nothing is left to be estimated."""
    found = estimate([Stratum(10, 10, 1), Stratum(30, 30, 0)])
    assert found.low == found.wrong == found.high == 1 / 40
    assert found.unseen_wrong == (0, 0, 0)


def test_a_stratum_without_a_look_is_taken_with_its_neighbour() -> None:
    """Its rows count as those of the next, or of the last before it; without any look there is no estimate."""
    assert estimate([Stratum(5, 0, 0), Stratum(10, 5, 1)]) == estimate([Stratum(15, 5, 1)])
    assert estimate([Stratum(10, 5, 1), Stratum(5, 0, 0)]) == estimate([Stratum(15, 5, 1)])
    with pytest.raises(ValueError, match="nobody"):
        estimate([Stratum(5, 0, 0)])


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=6))
def test_bounds_are_in_order_and_possible(drawn: list[tuple[int, int, int]]) -> None:
    """Whatever was found: the estimate lies in its interval, and no end contradicts what a person has seen."""
    strata = [Stratum(rows, min(looked_at, rows), min(wrong, looked_at, rows)) for rows, looked_at, wrong in drawn]
    if not any(one.looked_at for one in strata):
        return
    found = estimate(strata)
    assert 0 <= found.low <= found.wrong <= found.high <= 1
    assert found.low * found.rows >= found.found - 1e-6
    assert (1 - found.high) * found.rows >= found.looked_at - found.found - 1e-6
    assert all(0 <= wrong <= found.unseen for wrong in found.unseen_wrong)
