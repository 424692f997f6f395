"""Which of a model's readings of a field is its answer: the best one that fits what is known of the field."""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from exporter.command import UserError, require_extra
from exporter.contract import MAX_DIGITS, NO_CHECKSUM, NO_MATCH, NO_READING

_SHOWN = 60  # characters of a pattern in a message


class Checksum(StrEnum):
    """Methods of check digits; `checksums` says what each is."""

    LUHN = "luhn"
    MOD10 = "mod10"
    MOD11 = "mod11"
    MOD97 = "mod97"
    VERHOEFF = "verhoeff"


class NoneFitsError(Exception):
    """No reading fits; the text is the contract's word for it."""


@dataclass(frozen=True)
class Choice:
    """What is known of all fields.

    Attributes:
        fewest: digits of a text.
        most: likewise; 0 with `fewest` where the number of digits is not known.
        pattern: a regular expression that the whole text matches; None for any.
        checksum: whose check digits the text ends with; None for none.
    """

    fewest: int = 0
    most: int = 0
    pattern: "re.Pattern[str] | None" = None
    checksum: Checksum | None = None

    @classmethod
    def parse(cls, digits: str | None, pattern: str | None, checksum: Checksum | None) -> "Choice":
        """Read the options of these names.

        Raises:
            UserError: one of them is wrong, or needs an extra that is not installed; says which and where.
        """
        fewest, most = (0, 0) if digits is None else _range(digits)
        if checksum is not None:
            require_extra("checksums", "stdnum")
        return cls(fewest, most, None if pattern is None else _compiled(pattern), checksum)

    @property
    def expected(self) -> int:
        """How many digits the server is told to expect; 0 where that is not one number."""
        return self.fewest if self.fewest == self.most else 0

    @property
    def selects(self) -> bool:
        """Whether it can be another reading than the best one, so that the server must tell others."""
        return self.fewest != self.most or self.pattern is not None or self.checksum is not None

    def choose(self, readings: Iterable[tuple[str, float]]) -> tuple[str, float]:
        """The first of these texts with their confidences that fits.

        Raises:
            NoneFitsError: none does; says which demand was the first that none met.
        """
        left = [reading for reading in readings if not self.most or self.fewest <= len(reading[0]) <= self.most]
        if not left:
            raise NoneFitsError(NO_READING)
        if self.pattern is not None:
            left = [reading for reading in left if self.pattern.fullmatch(reading[0])]
        if not left:
            raise NoneFitsError(NO_MATCH)
        if self.checksum is not None:
            from batch.numbers.checksums import is_right  # noqa: PLC0415 - an extra

            left = [reading for reading in left if is_right(self.checksum, reading[0])]
        if not left:
            raise NoneFitsError(NO_CHECKSUM)
        return left[0]

    def settings(self) -> dict[str, object]:
        """The options that make it, as JSON values."""
        digits = str(self.fewest) if self.fewest == self.most else f"{self.fewest}-{self.most}"
        return {
            "digits": digits if self.most else None,
            "pattern": None if self.pattern is None else self.pattern.pattern,
            "checksum": None if self.checksum is None else self.checksum.value,
        }


def _range(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", text)
    fewest = int(found[1]) if found else 0
    most = int(found[2] or found[1]) if found else 0
    if not 1 <= fewest <= most <= MAX_DIGITS:
        raise UserError(
            f"--digits {text}: give how many digits a field has, 1 to {MAX_DIGITS}, such as 5; or a range, such as 4-6"
        )
    return fewest, most


def _compiled(text: str) -> "re.Pattern[str]":
    shown = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what a later Python may read in another way
            return re.compile(text, re.ASCII)
    except re.error as error:
        where = "" if error.pos is None else f" at character {error.pos + 1}"
        raise UserError(
            f"--pattern {shown} is no regular expression: {error.msg}{where}; write it as Python's re does, such as "
            "'[1-9][0-9]{4}'"
        ) from None
    except (OverflowError, RecursionError) as error:
        raise UserError(f"--pattern {shown} cannot be used: {error}; write a shorter one") from None
