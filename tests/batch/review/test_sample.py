"""The sample of an audit: random, by strata, the same again, and never less with more."""

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.review.sample import WHOLE, design, draw

tables = st.dictionaries(st.integers(0, WHOLE), st.integers(1, 5000), min_size=1, max_size=60)


@given(tables, st.integers(1, 400))
def test_strata_hold_every_row_once(rows: dict[int, int], size: int) -> None:
    """Ranges of confidence follow each other; sizes add up; rows drawn are of their stratum, and none twice."""
    layers = design(rows, size)
    total = sum(rows.values())
    assert sum(layer.rows for layer in layers) == total
    assert sum(layer.size for layer in layers) == min(size, total)
    assert all(0 < layer.rows >= layer.size for layer in layers)
    assert layers[0].low == 0
    assert all(before.high + 1 == after.low for before, after in itertools.pairwise(layers))
    assert all(
        layer.rows == sum(count for confidence, count in rows.items() if layer.low <= confidence <= layer.high)
        for layer in layers
    )
    drawn = draw(layers, 1)
    first = 0
    for layer, places in zip(layers, drawn, strict=True):
        assert len(set(places)) == len(places) == layer.size
        assert all(first <= place < first + layer.rows for place in places)
        first += layer.rows


@given(tables, st.integers(1, 300), st.integers(0, 100), st.integers(0, 2**63))
def test_a_larger_sample_holds_the_smaller(rows: dict[int, int], size: int, more: int, seed: int) -> None:
    """With the same seed the same rows come again, and more of them keep those that there were."""
    small, large = (draw(design(rows, number), seed) for number in (size, size + more))
    assert small == draw(design(rows, size), seed)
    assert all(some == many[: len(some)] for some, many in zip(small, large, strict=True))


def test_rows_that_are_not_sure_are_drawn_more_often() -> None:
    """The share that is drawn of a stratum falls with its confidence; what most rows have is a stratum of its own."""
    rows = {4000: 100, 7000: 200, 9000: 700, 9900: 4000, WHOLE: 95_000}
    layers = design(rows, 300)
    shares = [layer.size / layer.rows for layer in layers]
    assert shares == sorted(shares, reverse=True)
    assert layers[-1].low == layers[-1].high == WHOLE
    assert shares[0] > shares[-1]


def test_every_row_of_a_stratum_is_as_likely() -> None:
    """Over many seeds, each of ten rows is drawn as often as the others: chi-squared below its 99.9 % quantile."""
    layers = design({5000: 10}, 3)
    found = Counter(place for seed in range(3000) for place in draw(layers, seed)[0])
    expected = 3000 * 3 / 10
    # Drawing without replacement makes counts less apart than independent ones.
    assert sum((found[place] - expected) ** 2 / expected for place in range(10)) < 27.9
    pairs = Counter(tuple(draw(layers, seed)[0][:2]) for seed in range(3000))
    assert len(pairs) == 90
    assert math.isclose(sum(pairs.values()), 3000)


@pytest.mark.parametrize("rows", [{WHOLE: 7}, {0: 1}, {0: 3, WHOLE: 3}])
def test_small_tables_are_looked_at_whole(rows: dict[int, int]) -> None:
    """A sample that is larger than the table is the table."""
    drawn = draw(design(rows, 300), 9)
    assert sorted(place for places in drawn for place in places) == list(range(sum(rows.values())))
