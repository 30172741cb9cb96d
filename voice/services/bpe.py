"""Turns Whisper's byte-level BPE tokens into text. Decoding only: nothing here encodes."""

from __future__ import annotations

from collections.abc import Iterable

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
