"""Numbers as they are spoken, in both directions: ``1984`` is "nineteen eighty four", "twenty five" is 25.

The only file that knows the number-spelling package. Bounded: a number too long to be said as one is said digit by
digit, and never more than `MAX_DIGITS` of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib import import_module

# The package has no types of its own; a plain import would leave every use of it unknown.
_num2words: Callable[..., str] = import_module("num2words").num2words

#: Digits of one number that are turned into words; nobody says more in one breath.
MAX_DIGITS = 12
#: Digits from which on a number is said digit by digit.
_LONG = 7
#: Numbers that people say as years: "nineteen eighty four", "twenty twenty six".
_YEARS = range(1100, 2100)
#: Spoken numbers that `read_number` understands.
_READABLE = range(1001)


@lru_cache(maxsize=4096)
def number_words(digits: str) -> str:
    """How a run of digits is said: a year as a year, a small number as one, anything else digit by digit."""
    if len(digits) >= _LONG or (len(digits) > 1 and digits[0] == "0"):
        return " ".join(number_words(digit) for digit in digits[:MAX_DIGITS])
    number = int(digits)
    return _spelled(number, "year" if number in _YEARS else "cardinal")


def read_number(words: Sequence[str]) -> int | None:
    """The number that `words` say, from zero to a thousand; None if they say none."""
    text = " ".join(word for word in words if word != "and")
    return _readable().get(f"one{text[1:]}" if text.startswith("a ") else text)


def is_number_word(word: str) -> bool:
    """Whether it is said in numbers: "five", "twenty", "hundred"."""
    return word in _readable() or word in {"hundred", "thousand"}


@cache
def _readable() -> dict[str, int]:
    return {_spelled(number, "cardinal"): number for number in _READABLE}


def _spelled(number: int, form: str) -> str:
    spelled = _num2words(number, to=form)
    return " ".join(word for word in spelled.replace("-", " ").replace(",", " ").split() if word != "and")
