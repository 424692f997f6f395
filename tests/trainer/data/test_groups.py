"""Groups of pictures, and folds that keep them whole."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.command import UserError
from trainer.data.groups import folds_of, groups_of
from trainer.data.labels import Labelled

_LABELLED = [
    Labelled(Path("/scans/ann/3/page-1_a.png"), 0, 3, {"path": "", "writer": "Ann"}),
    Labelled(Path("/scans/ann/page-2_b.png"), 0, 4, {"path": "", "writer": "Ann"}),
    Labelled(Path("/scans/bob/page-1_c.png"), 0, 5, {"path": "", "writer": "Bob"}),
]


@pytest.mark.parametrize(
    ("how", "groups"),
    [
        ("parent", ["/scans/ann", "/scans/ann", "/scans/bob"]),
        ("writer", ["Ann", "Ann", "Bob"]),
        (r"page-(\d)", ["1", "2", "1"]),
    ],
)
def test_groups_by_folder_column_and_pattern(how: str, groups: list[str]) -> None:
    """The three ways to say which pictures belong together."""
    assert groups_of(_LABELLED, how) == groups


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("page", "has no such column, its columns: path, writer"),
        ("(", "no regular expression"),
        ("(?:page)", "needs a group in parentheses"),
        (r"(bob)", "does not match /scans/ann/3/page-1_a.png"),
    ],
)
def test_wrong_groups_are_told(how: str, told: str) -> None:
    """What is wrong with them, and what to give instead."""
    with pytest.raises(UserError, match=told):
        groups_of(_LABELLED, how)


@given(st.lists(st.integers(0, 30).map(str), min_size=1, max_size=200), st.integers(0, 2**32 - 1))
def test_folds_keep_groups_whole_and_are_of_a_size(groups: list[str], seed: int) -> None:
    """No group is in two folds, no fold is empty, and their sizes differ by the largest group at most."""
    folds = folds_of(groups, 5, seed)
    assert all(
        len({fold for fold, other in zip(folds, groups, strict=True) if other == group}) == 1 for group in groups
    )
    sizes = np.bincount(folds)
    assert len(sizes) == min(5, len(set(groups)))
    assert sizes.min() > 0
    largest = max(groups.count(group) for group in groups)
    assert sizes.max() - sizes.min() <= largest
    assert (folds == folds_of(groups, 5, seed)).all()
