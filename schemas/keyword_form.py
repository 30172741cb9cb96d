"""Key words, ready to be looked for: what must be said, in order, and what may be said besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from schemas.keyword_notation import TOKEN
from schemas.wording import plain

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
        for token in TOKEN.finditer(notation):
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

    @property
    def verbs(self) -> tuple[str, ...]:
        """Single words that are all that is said before the first slot."""
        first, *rest = self.elements
        if isinstance(first, Slot) or not rest or not isinstance(rest[0], Slot):
            return ()
        return tuple(words[0] for words in first if len(words) == 1)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The slots in the order in which they are said."""
        return tuple(element for element in self.elements if isinstance(element, Slot))
