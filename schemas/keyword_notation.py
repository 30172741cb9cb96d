"""The notation of key words: ``(compress|zip) [up|down] {source}``.

Words and ``(alternatives|of one or more words)`` must be said, in this order; ``{slots}`` are filled; ``[words]`` in
square brackets may be said anywhere among them. Everything else between is left to `schemas.keywords`. Apart from what
reads it, so that a program which only renders templates needs nothing of the packages that compare words.
"""

from __future__ import annotations

import re

from schemas.failure import RefusalError

TOKEN = re.compile(
    r"\{(?P<slot>\w+)\}|\((?P<any>[^()\[\]{}]*)\)|\[(?P<extra>[^()\[\]{}]*)\]|(?P<word>[^\s()\[\]{}|]+)|\S"
)
_LETTERS = re.compile(r"[A-Za-z]")


def check_notation(notation: str, field: str) -> None:
    """Raise RefusalError where brackets do not close, are nested or empty, or where no word must be said."""
    must = False
    for token in TOKEN.finditer(notation):
        choices = token[0].strip("()[]").split("|") if token.lastgroup != "slot" else ["slot"]
        if not token.lastgroup or not all(_LETTERS.search(choice) for choice in choices):
            message = f"{notation!r}: {token[0]!r} is none of word, (one|of these), [may|be|said] and {{parameter}}"
            raise RefusalError("keywords_notation", message, field)
        must |= token.lastgroup in {"word", "any"}
    if not must:
        raise RefusalError("keywords_notation", f"{notation!r} needs a word that must be said", field)
