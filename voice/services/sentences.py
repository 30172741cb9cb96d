"""Cuts a text to be spoken into sentences, so that the first sound does not wait for the last word. Pure."""

from __future__ import annotations

import re
from collections.abc import Container

#: Characters; a longer piece is cut at a comma or a space, since a piece sounds only when it is complete,
#: and the voice needs memory by the length of its longest piece (6 s of speech: 150 MB).
MAX_PIECE = 120
_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|\n+")
_LEAD = re.compile(r"^(\w+(?: \w+){0,2}),\s+(?=\S)")


def split_sentences(text: str) -> list[str]:
    """Return the speakable pieces of a text in order; what has no letter or digit is left out."""
    pieces = [piece for sentence in _END.split(text) for piece in _cut(" ".join(sentence.split()))]
    return [piece for piece in pieces if any(char.isalnum() for char in piece)]


def lead_in(sentence: str, known: Container[str]) -> list[str]:
    """Return a sentence in two when it opens with a known one: "Okay, counting." -> "Okay.", "counting.".

    Args:
        sentence: one sentence.
        known: the sentences whose sound is at hand.
    """
    found = _LEAD.match(sentence)
    if sentence in known or found is None or f"{found[1]}." not in known:
        return [sentence]
    return [f"{found[1]}.", sentence[found.end() :]]


def _cut(sentence: str) -> list[str]:
    pieces: list[str] = []
    while len(sentence) > MAX_PIECE:
        head = sentence[:MAX_PIECE]
        at = max(head.rfind(mark) for mark in (", ", "; ", ": "))
        at = at + 1 if at > MAX_PIECE // 3 else head.rfind(" ")
        at = at if at > 0 else MAX_PIECE
        pieces.append(sentence[:at].strip())
        sentence = sentence[at:].strip()
    return [*pieces, sentence]
