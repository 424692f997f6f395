"""Comparing two networks on the same pictures."""

import math

import numpy as np
import pytest

from trainer.evaluation.paired import compare, mcnemar


def test_mcnemar_is_the_binomial_test() -> None:
    """Of six pictures that one network alone reads, one for the old and five for the new: 14 of 64 ways, two-sided."""
    assert mcnemar(1, 5) == mcnemar(5, 1) == pytest.approx(14 / 64)
    assert mcnemar(0, 0) == mcnemar(4, 4) == 1
    assert mcnemar(0, 10) == pytest.approx(2 / 1024)
    assert 0 < mcnemar(2000, 2400) < 1e-8


def test_a_comparison_counts() -> None:
    """Shares, and the pictures that one network alone reads."""
    old = np.array([True] * 6 + [False] * 4)
    new = np.array([True] * 5 + [False] + [True] * 3 + [False])
    found = compare(old, new)
    assert (found.images, found.old, found.new, found.only_old, found.only_new) == (10, 0.6, 0.8, 1, 3)
    assert found.difference_interval[0] < 0.2 < found.difference_interval[1]


def test_intervals_are_wilsons_where_each_picture_is_alone() -> None:
    """As in Wilson's formula, and not empty where all is right."""
    right = np.arange(100) < 90
    low, high = compare(right, np.ones(100, bool)).old_interval
    assert (low, high) == pytest.approx((0.8256, 0.9448), abs=2e-4)
    assert compare(right, np.ones(100, bool)).new_interval == pytest.approx((0.9630, 1.0), abs=1e-4)


def test_groups_that_are_right_together_widen_intervals() -> None:
    """Ten writers with ten pictures each, all right or all wrong, tell as much as ten pictures."""
    old = np.repeat(np.arange(10) < 6, 10)
    new = np.repeat(np.arange(10) < 8, 10)
    alone, grouped = compare(old, new), compare(old, new, np.repeat(np.arange(10), 10).tolist())
    ten = compare(old[::10], new[::10])
    assert grouped.old_interval == pytest.approx(ten.old_interval, abs=0.02)
    for one, other in ((alone, grouped), (alone, ten)):
        assert one.difference_interval[0] > other.difference_interval[0]
    assert alone.p < 0.05


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 400 comparisons of networks that are as good, on groups of five, some 95 % of the intervals hold nothing."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        share = rng.beta(8, 2, (60, 1))
        old, new = (rng.random((60, 5)) < share for _ in range(2))
        low, high = compare(old.ravel(), new.ravel(), np.repeat(np.arange(60), 5).tolist()).difference_interval
        held += low <= 0 <= high
    assert math.isclose(held / 400, 0.95, abs_tol=0.03)
