"""Sentences that may have been said instead of what was written, one or two places of it replaced.

A recogniser that misses a word writes something that sounds like it: "so what you can press the cold room log" for
"would you compress the cold room log". Most of the sentence is right, so only runs of words that sound like a word of a
request, or like a name, are replaced; what then is a request is held against the sound. Its rivals are the same
sentences with what people ask for and nothing here does: "edit" is as near to "audit" as anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from schemas.foreign import FOREIGN, FOREIGN_VERBS
from schemas.grammar import UNFINISHED, Grammar
from schemas.keyword_form import Slot
from schemas.layout import MAX_WORDS
from schemas.lexicon import Lexicon, article
from schemas.likeness import Phrases, likeness
from schemas.match import Reading
from schemas.mentions import mentions
from schemas.mishearings import misheard
from schemas.number_words import is_number_word
from schemas.small_words import DENYING, GLUE, LIGHT, words
from schemas.wording import Words, heard

#: Words of a run that is replaced, at most, and of what is put there; letters of that at least.
_RUN, _PUT_WORDS, _PUT_LETTERS = 4, 4, 3
#: Score from which a run may have been that phrase, or that name; from which it is that name, and surely.
_LEAST, _LEAST_NAME, _NAMED, _SURE_NAME = 58.0, 62.0, 85.0, 99.9
#: Phrases that are tried for one run, names, and edits that are tried in pairs.
_EACH, _NAMES, _PAIRED, _PAIRED_NAMES = 4, 2, 8, 4
#: Sentences of one text that are tried, of one edit and of two, and of all texts; rivals of one sentence.
_TRIED, _MOST, _RIVALS = 24, 72, 3
#: What a word more is worth, up to three: where more was misheard alike, it is likelier the same.
_WORD_BONUS, _BONUS_WORDS = 2.0, 3
#: The score of what is often written for a key word.
_MISHEARD = 80.0
#: The rank of what was written.
_UNTOUCHED = 110.0
#: What two edits cost against one.
_SECOND_COST = 4.0
#: Words that are never replaced: they change what is asked for.
_CHANGING = DENYING | words("if unless until when once who why yesterday later tomorrow")
#: And what is only replaced where it is known what for.
_KEPT = _CHANGING | words("did")


@dataclass(frozen=True, slots=True)
class Edit:
    """The words ``start:end`` replaced by `put`; `score` is how alike they are, `value` what it names, if anything."""

    start: int
    end: int
    put: str
    score: float
    value: str = ""

    @property
    def rank(self) -> float:
        """By this the likeliest are tried first."""
        return self.score + _WORD_BONUS * min(self.end - self.start, _BONUS_WORDS)


@dataclass(frozen=True, slots=True)
class Repaired:
    """A sentence with its edits."""

    text: str
    edits: tuple[Edit, ...]

    @property
    def rank(self) -> float:
        """Best first."""
        if not self.edits:
            return _UNTOUCHED
        return sum(edit.rank for edit in self.edits) / len(self.edits) - _SECOND_COST * (len(self.edits) - 1)


class Repairs:
    """Finds the sentences; holds what can be prepared once per grammar."""

    def __init__(self, grammar: Grammar) -> None:
        self._intents: dict[str, set[str]] = {}
        for intent, put in _phrases(grammar):
            if _is_telling(put):
                self._intents.setdefault(put, set()).add(intent)
        self._phrases = Phrases.of(sorted(self._intents))
        known = misheard()
        for meant in {meant for several in known.values() for meant in several} - self._intents.keys():
            self._intents[meant] = {one for word in meant.split() for one in self._intents.get(word, ())}
        self._misheard = {said: [meant for meant in several if self._intents[meant]] for said, several in known.items()}
        self._rivals = Phrases.of([verb for verb in FOREIGN_VERBS if verb not in grammar.verbs])

    def find(
        self,
        said: Sequence[str],
        others: Sequence[str],
        lexicons: Mapping[str, Lexicon],
        asked: Callable[[str], Reading | None],
        limit: int,
        rivals: int,
    ) -> list[Reading]:
        """The requests that may have been said, likeliest first, and then rivals of the likeliest.

        What was heard is among them as it was: the likeliest is not always the request.

        Args:
            said: what the recognisers wrote.
            others: what they thought of besides.
            lexicons: the names by kind.
            asked: what a text clearly asks for.
            limit: how many requests there may be.
            rivals: how many rivals.
        """
        wholes = [heard(text) for text in dict.fromkeys([*said, *others])]
        as_heard = [(Repaired(whole.text, ()), whole) for whole in wholes]
        short = [whole for whole in wholes if whole.text in said and len(whole.words) <= MAX_WORDS]
        edited = [(one, whole) for whole in short for one in self._repaired(whole, lexicons)]
        known: dict[str, Reading | None] = {}
        found: dict[str, tuple[Repaired, Words, Reading]] = {}
        # What was heard comes first: many edits of one text leave no room for others.
        for one, whole in [*as_heard, *edited]:
            if one.text not in known and len(known) < _MOST:
                known[one.text] = asked(one.text)
            reading = known.get(one.text)
            if reading is None or one.text in found or _is_no_better(one, reading, known.get(whole.text)):
                continue
            if self._is_reason(one, reading):
                found[one.text] = one, whole, reading
        best = sorted(found.values(), key=lambda each: -each[0].rank)[:limit]
        against = dict.fromkeys(rival for one, whole, _ in best for rival in self._rivals_of(whole, one))
        foreign = [Reading(intent=FOREIGN, meaning=(FOREIGN, text), score=0.0, wording=text) for text in against]
        return [*(_proposed(one, reading) for one, _, reading in best), *foreign[:rivals]]

    def _is_reason(self, one: Repaired, reading: Reading) -> bool:
        """Whether every edit belongs to the request: one that it does not need only bends the words to it."""
        return all(
            edit.value in reading.slots.values() if edit.value else reading.intent in self._intents[edit.put]
            for edit in one.edits
        )

    def _repaired(self, whole: Words, lexicons: Mapping[str, Lexicon]) -> list[Repaired]:
        """What a text may have been, likeliest first; it need not be a request."""
        edits = self._edits(whole, lexicons)
        one = [Repaired(_with(whole, (edit,)), (edit,)) for edit in edits[:_TRIED]]
        names = [edit for edit in edits if edit.value][:_PAIRED_NAMES]
        others = [edit for edit in edits if not edit.value][:_PAIRED]
        pairs = [
            (a, b) for a in others for b in (*names, *others) if a.end <= b.start or (b.value and b.end <= a.start)
        ]
        two = sorted((Repaired(_with(whole, pair), pair) for pair in pairs), key=lambda repaired: -repaired.rank)
        found = [*one, *two[:_TRIED]]
        if mentions(whole.words, lexicons, _NAMED):
            return found
        # Every request that is repaired has a name.
        return [repaired for repaired in found if any(edit.value for edit in repaired.edits)]

    def _rivals_of(self, whole: Words, repaired: Repaired) -> list[str]:
        """The same sentence with what people ask for and nothing here does, in the place of a key word."""
        edit = next((edit for edit in repaired.edits if not edit.value), None)
        if edit is None:
            return []
        rest = tuple(other for other in repaired.edits if other is not edit)
        said = Phrases.of([" ".join(whole.words[edit.start : edit.end]), edit.put])
        scores = likeness(said, self._rivals).max(axis=0)
        nearest = [self._rivals.texts[place] for place in cast("list[int]", np.argsort(-scores)[:_RIVALS].tolist())]
        return [_with(whole, (Edit(edit.start, edit.end, put, 0.0), *rest)) for put in nearest]

    def _edits(self, whole: Words, lexicons: Mapping[str, Lexicon]) -> list[Edit]:
        said = whole.words
        known = [
            (start, end)
            for start in range(len(said))
            for end in range(start + 1, min(start + _RUN, len(said)) + 1)
            if _CHANGING.isdisjoint(said[start:end]) and not _cuts_a_token(whole, start, end)
        ]
        places = [(start, end) for start, end in known if _KEPT.isdisjoint(said[start:end])]
        runs = [" ".join(said[start:end]) for start, end in places]
        scores = likeness(Phrases.of(runs), self._phrases, _LEAST)
        found = [
            Edit(*place, self._phrases.texts[column], float(row[column]))
            for place, run, row in zip(places, runs, scores, strict=True)
            for column in cast("list[int]", np.argsort(-row)[:_EACH].tolist())
            if row[column] >= _LEAST and self._phrases.texts[column] != run
        ]
        for start, end in known:
            meant = self._misheard.get(" ".join(said[start:end]), ())
            found += [Edit(start, end, put, _MISHEARD) for put in meant]
        for kind in ("object", "folder"):
            for place, run, names in zip(places, runs, lexicons[kind].nearest(runs, _LEAST_NAME), strict=True):
                near = [name for name in names[:_NAMES] if _LEAST_NAME <= name.score < _SURE_NAME]
                found += [Edit(*place, f"{article(run)}{name.form}", name.score, name.value) for name in near]
        whole_numbers = [edit for edit in found if not _loses_a_number(said[edit.start : edit.end], edit.put)]
        return list(_each_once(sorted(whole_numbers, key=lambda edit: -edit.rank)))


def _is_no_better(one: Repaired, reading: Reading, written: Reading | None) -> bool:
    """Whether what was written asks for the same by itself, and as clearly."""
    is_same = written is not None and written.meaning == reading.meaning and written.score >= reading.score
    return bool(one.edits) and is_same


def _phrases(grammar: Grammar) -> Iterator[tuple[str, str]]:
    """What is said in requests besides names, with what is asked for by it."""
    for form in grammar.keyword_forms:
        for element in form.elements:
            if not isinstance(element, Slot):
                yield from ((form.intent, " ".join(some)) for some in element)
    for frame in grammar.frames:
        if frame.intent != UNFINISHED:
            yield from ((frame.intent, part) for part in frame.fixed if len(part.split()) <= _PUT_WORDS)


def _is_telling(put: str) -> bool:
    return len(put) >= _PUT_LETTERS and not (GLUE | LIGHT).issuperset(put.split())


def _cuts_a_token(whole: Words, start: int, end: int) -> bool:
    """Whether a run begins or ends within what was written as one: "would" in "wouldn't"."""
    places = whole.places
    is_cut_before = start > 0 and places[start - 1] == places[start]
    return is_cut_before or (end < len(places) and places[end] == places[end - 1])


def _loses_a_number(run: Sequence[str], put: str) -> bool:
    """Whether a number of `run` is not in `put`: "the price list 2023" is not that of 2024."""
    return not {word for word in run if is_number_word(word)} <= set(put.split())


def _proposed(one: Repaired, reading: Reading) -> Reading:
    """The reading with the sentence that is held against the sound: with the names as they would be said."""
    is_written = not one.edits and reading.is_literal
    wording = one.text if reading.is_literal else reading.wording
    return reading.model_copy(update={"wording": wording, "is_as_written": is_written, "is_literal": is_written})


def _each_once(edits: Sequence[Edit]) -> Iterator[Edit]:
    """The same put from nearly the same place on once, but to each end: "checks and for" has "checksum for" in it."""
    known: set[tuple[str, int, int]] = set()
    for edit in edits:
        key = (edit.put, edit.start // 2, edit.end)
        if key not in known:
            known.add(key)
            yield edit


def _with(whole: Words, edits: Sequence[Edit]) -> str:
    """The text as it was written, but for the edits."""
    text = whole.text
    for edit in sorted(edits, key=lambda edit: -edit.start):
        begin, end = whole.places[edit.start][0], whole.places[edit.end - 1][1]
        text = f"{text[:begin]}{edit.put}{text[end:]}"
    return text
