"""Choosing among readings: the best one that fits, or the error that says what none meets."""

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.numbers.checksums import is_right
from batch.numbers.choice import Checksum, Choice, NoneFitsError
from exporter.command import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

texts = st.text("0123456789", min_size=1, max_size=6)
readings = st.lists(texts, max_size=5, unique=True).map(
    lambda found: [(text, 0.5**place) for place, text in enumerate(found, 1)]
)
ranges = st.one_of(
    st.none(),
    st.integers(1, 6).map(str),
    st.tuples(st.integers(1, 6), st.integers(0, 3)).map(lambda pair: f"{pair[0]}-{sum(pair)}"),
)
patterns = st.one_of(
    st.none(), st.sampled_from(["[0-4]+", r"\d*[02468]", "(1|2).*", "7", "(?:..)+", "[0-9]{1,3}|[0-9]{5}"])
)


@given(readings, ranges, patterns, st.one_of(st.none(), st.sampled_from(list(Checksum))))
def test_the_best_that_fits(
    found: list[tuple[str, float]], digits: str | None, pattern: str | None, checksum: Checksum | None
) -> None:
    """The answer is the first reading that meets all demands; where none does, the error names the first unmet one."""
    choice = Choice.parse(digits, pattern, checksum)
    fewest, most = map(int, (digits or "0-99").split("-")) if "-" in (digits or "-") else (int(digits or 0),) * 2
    demands: list[tuple[str, Callable[[str], bool]]] = [
        ("no reading of so many digits", lambda text: fewest <= len(text) <= most),
        ("no reading fits the pattern", lambda text: pattern is None or bool(re.fullmatch(pattern, text))),
        ("no reading has the checksum", lambda text: checksum is None or is_right(checksum, text)),
    ]
    fitting = [reading for reading in found if all(is_met(reading[0]) for _, is_met in demands)]
    if fitting:
        assert choice.choose(found) == fitting[0]
        return
    left = found
    for error, is_met in demands:
        left = [reading for reading in left if is_met(reading[0])]
        if not left:
            with pytest.raises(NoneFitsError, match=f"^{error}$"):
                choice.choose(found)
            return


@given(readings.filter(bool))
def test_without_demands(found: list[tuple[str, float]]) -> None:
    """It is the model's best reading, and the server need not tell others."""
    choice = Choice.parse(None, None, None)
    assert choice.choose(found) == found[0]
    assert not choice.selects
    assert choice.expected == 0


def test_one_number_of_digits_is_the_servers_to_find() -> None:
    """It is told to expect so many; a range is chosen from what it tells, and so are patterns."""
    one, some = Choice.parse("5", None, None), Choice.parse("4-6", None, None)
    assert (one.expected, one.selects) == (5, False)
    assert (some.expected, some.selects) == (0, True)
    assert Choice.parse("7-7", None, None) == Choice.parse("7", None, None)
    assert (Choice.parse("5", "1.*", None).expected, Choice.parse("5", "1.*", None).selects) == (5, True)


@pytest.mark.parametrize(
    "digits", ["0", "33", "4-33", "6-4", "", "-", "4-", "-4", "5.0", "+5", "0-4", "four", "4 - 6", "٤", "9" * 40]
)
def test_wrong_digits(digits: str) -> None:
    """What is no number of digits that a field may have, and no range of them, is a mistake of the user's."""
    with pytest.raises(UserError, match=r"^--digits .*: give how many digits a field has, 1 to 32, such as 5"):
        Choice.parse(digits, None, None)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("12[", r"^--pattern '12\[' is no regular expression: unterminated character set at character 3; write"),
        ("(1|2", "missing \\), unterminated subpattern at character 1;"),
        ("1**", "multiple repeat at character 3;"),
        ("[9-0]", "bad character range 9-0 at character 2;"),
        (r"\d{99999999999}", "the repetition number is too large"),
        ("(" * 9999, r"^--pattern '\(+\.\.\.' "),
    ],
)
def test_a_pattern_that_is_none(pattern: str, said: str) -> None:
    """The message says what is wrong, and where."""
    with pytest.raises(UserError, match=said):
        Choice.parse(None, pattern, None)


def test_the_whole_text_must_match() -> None:
    """A pattern within a text is not enough; anchors do no harm."""
    found = [("1234", 0.9), ("123", 0.05)]
    for pattern in ("[1-3]+", "^[1-3]+$"):
        assert Choice.parse(None, pattern, None).choose(found) == ("123", 0.05)
