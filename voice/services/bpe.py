"""Whisper's byte-level BPE: tokens into text, and text into tokens where a given text is to be weighed.

Its vocabulary is GPT-2's, where the number of a token is also the rank of the merge that makes it; so the vocabulary
alone is enough to encode.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from voice.services.token_table import TokenTable

# GPT-2's table: printable bytes stand for themselves, the others are moved up to 256 and beyond.
_PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))
_HIDDEN = tuple(byte for byte in range(256) if byte not in _PRINTABLE)
_BYTE_OF = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + i): byte for i, byte in enumerate(_HIDDEN)}


def decode_tokens(tokens: Iterable[str]) -> str:
    """Return the text of a token sequence, special tokens left out, outer spaces removed.

    A byte sequence that a cut-off token leaves incomplete becomes U+FFFD; nothing raises.
    """
    text = "".join(token for token in tokens if not (token.startswith("<|") and token.endswith("|>")))
    return bytes(_BYTE_OF[char] for char in text if char in _BYTE_OF).decode("utf-8", "replace").strip()


#: GPT-2's split into pieces that are encoded one by one: contractions, words, numbers, signs, spaces.
_PIECE = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
_CHAR_OF = {byte: char for char, byte in _BYTE_OF.items()}


class Vocabulary:
    """The tokens of one model, by number."""

    def __init__(self, folder: Path) -> None:
        """Read ``vocabulary.json`` or ``vocabulary.txt`` in `folder`."""
        listed = folder / "vocabulary.json"
        if listed.exists():
            tokens: list[str] = json.loads(listed.read_text(encoding="utf-8"))
        else:
            tokens = (folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
        self._table = TokenTable(tokens)
        self._encoded = lru_cache(maxsize=4_096)(self._merge)

    def number(self, token: str) -> int:
        """The number of a whole token, special ones included. Raises KeyError where there is none."""
        return self._table.number(token)

    def token(self, number: int) -> str:
        """The token of a number. Raises IndexError where there is none."""
        return self._table.token(number)

    def encode(self, text: str) -> list[int]:
        """The tokens of `text` as Whisper writes it, with a space before the first word."""
        return [number for piece in _PIECE.findall(f" {text.strip()}") for number in self._encoded(piece)]

    def _merge(self, piece: str) -> tuple[int, ...]:
        parts = [_CHAR_OF[byte] for byte in piece.encode()]
        while len(parts) > 1:
            pairs = [first + second for first, second in pairwise(parts)]
            ranks = [self._table.find(pair) for pair in pairs]
            known = [(rank, place) for place, rank in enumerate(ranks) if rank is not None]
            if not known:
                break
            _, place = min(known)
            parts[place : place + 2] = [pairs[place]]
        return tuple(self._table.number(part) for part in parts)
