"""Check digits: which texts of digits keep to a method. Needs the `checksums` extra.

Each method by its name in `Checksum`; weights count from the last digit to the left:

- `luhn`: ISO/IEC 7812-1, annex B. Payment cards, IMEI.
- `mod10`: GS1's. Weights 1, 3, 1, 3, ...; the sum is divisible by 10. EAN, UPC, GTIN, SSCC, ISBN-13.
- `mod11`: weights 1, 2, 3, ...; the sum is divisible by 11. ISBN-10, ISSN, NHS numbers. At most 10 digits, as a weight
  of 11 would leave a digit unchecked. The check digit X, which stands for 10, is no digit and never read.
- `mod97`: ISO 7064 MOD 97-10, with two check digits at the end. The whole number leaves 1 when it is divided by 97.
- `verhoeff`: J. Verhoeff, "Error Detecting Decimal Codes", Mathematisch Centrum, Amsterdam, 1969. Aadhaar.
"""

from collections.abc import Callable

from stdnum import ean, luhn, verhoeff
from stdnum.iso7064 import mod_97_10

from batch.numbers.choice import Checksum

_MOST_WEIGHTS = 10


def _is_gs1(text: str) -> bool:
    # `ean.is_valid` takes some lengths alone.
    return ean.calc_check_digit(text[:-1]) == text[-1]


def _is_mod_11(text: str) -> bool:
    total = sum(weight * int(digit) for weight, digit in enumerate(reversed(text), 1))
    return len(text) <= _MOST_WEIGHTS and total % 11 == 0


_METHODS: dict[Checksum, tuple[int, Callable[[str], bool]]] = {
    Checksum.LUHN: (1, luhn.is_valid),
    Checksum.MOD10: (1, _is_gs1),
    Checksum.MOD11: (1, _is_mod_11),
    Checksum.MOD97: (2, mod_97_10.is_valid),
    Checksum.VERHOEFF: (1, verhoeff.is_valid),
}
"""How many digits check the others, and whether they do."""


def is_right(checksum: Checksum, text: str) -> bool:
    """Whether a text of digits has what the method checks, and right check digits after it."""
    checks, method = _METHODS[checksum]
    return len(text) > checks and method(text)
