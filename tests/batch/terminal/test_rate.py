"""The rate of the last seconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.terminal.rate import Rate


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@given(
    start=st.floats(0, 1000),
    lump=st.integers(1, 1000),
    every=st.floats(0.001, 100),
    lumps=st.integers(2, 60),
)
def test_a_steady_stream_has_its_rate_whatever_came_before(start: float, lump: int, every: float, lumps: int) -> None:
    """Lumps that come at equal times give their rate, from the second on; the start before the first does not count."""
    clock = _Clock()
    rate = Rate(5.0, clock)
    clock.now += start
    for number in range(1, lumps + 1):
        rate.add(number * lump)
        if number == 1:
            assert rate.a_second() is None
            assert rate.seconds_left(10) is None
        else:
            assert rate.a_second() == pytest.approx(lump / every, rel=1e-6)
        clock.now += every
    assert rate.seconds_left(10 * lump) == pytest.approx(10 * every, rel=1e-6)


def test_only_the_last_seconds_count() -> None:
    """Ten seconds after it became slow, only the slow rate is left."""
    clock = _Clock()
    rate = Rate(5.0, clock)
    total = 0
    for step in range(2000):
        clock.now += 0.01
        total += 100 if step < 1000 else 1
        rate.add(total)
    assert rate.a_second() == pytest.approx(100)


def test_what_has_stopped_has_no_rate() -> None:
    """A stalled stream shows its rate for some seconds, then 0, and no time left; it goes on where it is resumed."""
    clock = _Clock()
    rate = Rate(5.0, clock)
    for total in range(1, 11):
        clock.now += 1
        rate.add(total)
    clock.now += 4
    assert rate.a_second() == pytest.approx(1)
    clock.now += 4
    assert rate.a_second() == 0
    assert rate.seconds_left(100) is None
    rate.add(11)
    assert 0 < (rate.a_second() or 0) < 1


def test_starting_over_forgets() -> None:
    """After a run has started over, nothing of what came before counts."""
    clock = _Clock()
    rate = Rate(5.0, clock)
    for total in (1000, 2000):
        clock.now += 1
        rate.add(total)
    rate.start_over()
    assert rate.a_second() is None
    for total in (1, 2):
        clock.now += 1
        rate.add(total)
    assert rate.a_second() == pytest.approx(1)
