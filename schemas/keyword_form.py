"""The notation of key words: ``(compress|zip) [up|down] {source}``.

Words and ``(alternatives|of one or more words)`` must be said, in this order; ``{slots}`` are filled; ``[words]`` in
square brackets may be said anywhere among them. Everything else between is left to `schemas.keywords`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from schemas.failure import RefusalError
from schemas.wording import plain

_TOKEN = re.compile(
    r"\{(?P<slot>\w+)\}|\((?P<any>[^()\[\]{}]*)\)|\[(?P<extra>[^()\[\]{}]*)\]|(?P<word>[^\s()\[\]{}|]+)|\S"
)

#: Alternatives, each a tuple of words.
Alternatives = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value. `kind` is a `ParameterType` value, ``task``, or ``choice:<template>.<parameter>``."""

    name: str
    kind: str


@dataclass(frozen=True)
class KeywordForm:
    """What must be said, in order, and the words that may be said besides."""

    intent: str
    elements: tuple[Alternatives | Slot, ...]
    extras: frozenset[str]

    @classmethod
    def parse(cls, intent: str, notation: str, kinds: Mapping[str, str]) -> KeywordForm:
        """Read `notation`; `kinds` has the kind of every slot."""
        elements: list[Alternatives | Slot] = []
        extras: set[str] = set()
        for token in _TOKEN.finditer(notation):
            if token["slot"]:
                elements.append(Slot(token["slot"], kinds[token["slot"]]))
            elif token["extra"]:
                extras.update(plain(token["extra"].replace("|", " ")).split())
            elif words := token["any"] or token["word"]:
                elements.append(tuple(tuple(plain(alternative).split()) for alternative in words.split("|")))
        return cls(intent, tuple(elements), frozenset(extras))

    @cached_property
    def needs(self) -> tuple[frozenset[str], ...]:
        """For each group of alternatives the words with which they begin: where none was said, the form cannot fit."""
        groups = [element for element in self.elements if not isinstance(element, Slot)]
        return tuple(frozenset(words[0] for words in group) for group in groups)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The slots in the order in which they are said."""
        return tuple(element for element in self.elements if isinstance(element, Slot))


def check_notation(notation: str, field: str) -> None:
    """Raise RefusalError where brackets do not close, are nested or empty, or where no word must be said."""
    must = False
    for token in _TOKEN.finditer(notation):
        choices = token[0].strip("()[]").split("|") if token.lastgroup != "slot" else ["slot"]
        if not token.lastgroup or not all(plain(choice) for choice in choices):
            message = f"{notation!r}: {token[0]!r} is none of word, (one|of these), [may|be|said] and {{parameter}}"
            raise RefusalError("keywords_notation", message, field)
        must |= token.lastgroup in {"word", "any"}
    if not must:
        raise RefusalError("keywords_notation", f"{notation!r} needs a word that must be said", field)
