"""Edit distances of texts of digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.edit_distance import edit_distance

texts = st.text("0123456789", max_size=7)


@pytest.mark.parametrize(
    ("text", "truth", "distance"),
    [
        ("", "", 0),
        ("", "123", 3),
        ("123", "", 3),
        ("1250", "1250", 0),
        ("1250", "1280", 1),
        ("125", "1250", 1),
        ("01250", "1250", 1),
        ("2150", "1250", 2),
        ("720", "73", 2),
        ("111", "999", 3),
    ],
)
def test_edit_distances(text: str, truth: str, distance: int) -> None:
    """Digits to insert, remove or change."""
    assert edit_distance(text, truth) == distance


@given(texts, texts, texts)
def test_the_distance_is_a_metric(one: str, two: str, three: str) -> None:
    """It is zero for equal texts alone, the same both ways, and no way around is shorter."""
    distance = edit_distance(one, two)
    assert (distance == 0) == (one == two)
    assert distance == edit_distance(two, one)
    assert distance <= edit_distance(one, three) + edit_distance(three, two)
    assert abs(len(one) - len(two)) <= distance <= max(len(one), len(two))
