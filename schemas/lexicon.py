"""Names that a slot can hold, ready to be found by text and by sound.

Owns the search for the nearest names. Immutable: a change of names makes a new lexicon, and what was worked out for a
name that stays (its words, its sound) is not worked out again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from schemas.likeness import Phrases, Scores, likeness
from schemas.spoken_name import SpokenName

#: Names looked at for one span of words, best first.
NEAREST = 3
#: Score below which a name is not even a candidate.
FLOOR = 40.0
#: Letters that a form needs to be a name; "a" would be everywhere.
_LEAST_LETTERS = 2
#: Words around a name that do not belong to it.
_BEFORE = re.compile(r"^(?:(?:the|a|an|my|our|your|this|that|file|document|called|named) )+(?=.)")
_AFTER = re.compile(r"(?<=.)(?: (?:file|document|spreadsheet|dot (?:csv|c s v|txt|t x t|text|md|m d|log)))$")


@dataclass(frozen=True, slots=True)
class Found:
    """A name near to what was said: what is meant, how it is spoken, its form, and the score."""

    value: str
    spoken: str
    form: str
    score: float


class Lexicon:
    """Forms of names and what each of them means."""

    def __init__(self, forms: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        """`forms` maps a form in plain spelling to pairs (value, spoken form)."""
        by_form: dict[str, list[tuple[str, str]]] = {}
        for form, meanings in forms.items():
            # Names lose their article as spans do: "the iliad" is said and heard with one or none.
            if len(bare(form)) >= _LEAST_LETTERS:
                by_form.setdefault(bare(form), []).extend(meanings)
        self._meanings = [tuple(meanings) for meanings in by_form.values()]
        self._phrases = Phrases.of(list(by_form))

    @classmethod
    def of_names(cls, names: Iterable[SpokenName]) -> Lexicon:
        """A lexicon of objects or folders."""
        forms: dict[str, list[tuple[str, str]]] = {}
        for name in names:
            for form in name.forms:
                forms.setdefault(form, []).append((name.remote, name.spoken))
        return cls(forms)

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[str, str]]) -> Lexicon:
        """A lexicon of pairs (form, value); each form is its own spoken form."""
        forms: dict[str, list[tuple[str, str]]] = {}
        for form, value in pairs:
            forms.setdefault(form, []).append((value, form))
        return cls(forms)

    def __len__(self) -> int:
        return len(self._phrases)

    @cached_property
    def spoken(self) -> tuple[str, ...]:
        """What can be said, each once."""
        return tuple(dict.fromkeys(spoken for meanings in self._meanings for _, spoken in meanings))

    @cached_property
    def _values(self) -> Mapping[str, Sequence[str]]:
        return {
            form: tuple(dict.fromkeys(value for value, _ in meanings))
            for form, meanings in zip(self._phrases.texts, self._meanings, strict=True)
        }

    @cached_property
    def names(self) -> tuple[Found, ...]:
        """Every form with everything that it means."""
        forms = zip(self._phrases.texts, self._meanings, strict=True)
        return tuple(Found(value, spoken, form, 100.0) for form, meanings in forms for value, spoken in meanings)

    def exactly(self, form: str) -> Sequence[str]:
        """What is meant by a form as it stands, without words around it; nothing where it is none."""
        return self._values.get(form, ())

    def nearest(self, spans: Sequence[str], least: float = 0.0) -> list[list[Found]]:
        """For each span of words the nearest names, best first, each value once.

        Below `least` they may be missing, or score less than they would.
        """
        if not self._phrases:
            return [[] for _ in spans]
        scores = likeness(Phrases.of([bare(span) for span in spans]), self._phrases, least)
        width = min(NEAREST * 4, scores.shape[1])
        columns = cast("list[list[int]]", np.argpartition(-scores, width - 1, axis=1)[:, :width].tolist())
        return [self._found(row, scores[number]) for number, row in enumerate(columns)]

    def _found(self, columns: list[int], scores: Scores) -> list[Found]:
        best: dict[str, Found] = {}
        # Equal scores go by the order of the forms, so that the answer never depends on the partition.
        for column in sorted(columns, key=lambda c: (-scores[c], c)):
            score = float(scores[column])
            if score < FLOOR:
                break
            for value, spoken in self._meanings[column]:
                best.setdefault(value, Found(value, spoken, self._phrases.texts[column], score))
                if len(best) == NEAREST:  # a thousand namesakes are as good as three
                    return list(best.values())
        return list(best.values())


def bare(span: str) -> str:
    """A span without articles and words like "file" around the name."""
    return _AFTER.sub("", _BEFORE.sub("", span))


def article(span: str) -> str:
    """What `bare` leaves out before the name, with the space behind it: "the ", or nothing."""
    found = _BEFORE.match(span)
    return found[0] if found else ""
