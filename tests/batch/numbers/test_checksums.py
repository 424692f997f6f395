"""Check digits: against published examples, and by what each method promises."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batch.numbers.checksums import is_right
from batch.numbers.choice import Checksum

METHODS = list(Checksum)


@pytest.mark.parametrize(
    ("checksum", "text"),
    [
        (Checksum.LUHN, "79927398713"),  # Wikipedia's example
        (Checksum.LUHN, "4111111111111111"),  # a card number for tests
        (Checksum.LUHN, "490154203237518"),  # GSMA's example of an IMEI
        (Checksum.MOD10, "4006381333931"),  # EAN-13
        (Checksum.MOD10, "73513537"),  # EAN-8
        (Checksum.MOD10, "036000291452"),  # UPC-A
        (Checksum.MOD10, "9780306406157"),  # ISBN-13
        (Checksum.MOD10, "106141412345678908"),  # SSCC, of GS1's Tag Data Standard
        (Checksum.MOD11, "0306406152"),  # the same book's ISBN-10
        (Checksum.MOD11, "03178471"),  # ISSN
        (Checksum.MOD11, "20493630"),  # ISSN, of the ISSN manual
        (Checksum.MOD11, "9434765919"),  # NHS number
        (Checksum.MOD97, "539007547034271518"),  # RF18 5390 0754 7034, letters as ISO 11649 turns them into digits
        (Checksum.MOD97, "3214282912345698765432161182"),  # IBAN GB82 WEST 1234 5698 7654 32, likewise
        (Checksum.VERHOEFF, "2363"),  # Wikipedia's example
        (Checksum.VERHOEFF, "123451"),
    ],
)
def test_published_examples(checksum: Checksum, text: str) -> None:
    """Each is right, and wrong with any other digit in any place."""
    assert is_right(checksum, text)
    for place, digit in enumerate(text):
        for other in set("0123456789") - {digit}:
            assert not is_right(checksum, text[:place] + other + text[place + 1 :])


@given(st.sampled_from(METHODS), st.text("0123456789", min_size=1, max_size=8))
def test_check_digits_are_few(checksum: Checksum, number: str) -> None:
    """Of all check digits one makes a number right, where the method has one for it: 11 and 97 are no powers of ten."""
    places = 2 if checksum is Checksum.MOD97 else 1
    right = [end for end in range(10**places) if is_right(checksum, f"{number}{end:0{places}}")]
    fewest, most = {Checksum.MOD11: (0, 1), Checksum.MOD97: (1, 2)}.get(checksum, (1, 1))
    assert fewest <= len(right) <= most


@given(st.text("0123456789", min_size=2, max_size=10), st.data())
def test_neighbours_in_the_wrong_order(text: str, data: st.DataObject) -> None:
    """Verhoeff's method and the weights of mod11 find each such slip."""
    place = data.draw(st.integers(0, len(text) - 2))
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assume(swapped != text)
    for checksum in (Checksum.MOD11, Checksum.VERHOEFF):
        assert not (is_right(checksum, text) and is_right(checksum, swapped))


@pytest.mark.parametrize("checksum", METHODS)
def test_a_check_digit_alone(checksum: Checksum) -> None:
    """It checks nothing, and is not right."""
    assert not any(is_right(checksum, text) for text in ("", "0", "1", *(["01", "98"] if checksum == "mod97" else [])))


def test_mod11_takes_no_more_than_ten_digits() -> None:
    """A weight of 11 would leave a digit unchecked."""
    assert is_right(Checksum.MOD11, "0306406152")
    assert not is_right(Checksum.MOD11, "00306406152")
