"""New identifiers. Time-ordered, so that listings and indexes stay in the order of creation."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str = "") -> str:
    """A unique id: optional prefix, 9 characters of milliseconds, 9 characters (45 bits) of randomness."""
    stamp, tail = time.time_ns() // 1_000_000, secrets.randbits(45)
    return prefix + _encode(stamp, 9) + _encode(tail, 9)


def _encode(value: int, width: int) -> str:
    digits: list[str] = []
    for _ in range(width):
        value, digit = divmod(value, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
