"""Who names one thing and then another one, "the error log, no, the access log", means the other one.

So does who says which one is not meant: "not the error log, i want the access log".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from schemas.layout import MAX_WORDS
from schemas.lexicon import Lexicon, bare
from schemas.mentions import Mention, mentions, with_names
from schemas.small_words import ARTICLES, PREDICATES, words
from schemas.wording import Words, heard

#: What takes a name back stands right behind it; then only a small word may follow, and the other name.
_TAKING = (
    "no|sorry|wait|rather|actually|correction|i mean|i meant|make that|hang on|hold on|scrap that|scratch that|my bad"
)
_ASIDE = "oh|well|it is|i should say|i want|i need|let us see|what am i saying|i tell a lie|silly me"
#: "The wedding bookings, no, not the weddings, the rota".
_NOT_THAT = r"(?: not (?:(?:the|my|our|that) )?(?!(?:the|my|our|that)\b)(?P<denied>\w+))?"
_BETWEEN = re.compile(rf"(?:(?:but|oh|or|well) )*(?:{_TAKING})(?: (?:{_TAKING}|{_ASIDE}))*{_NOT_THAT}( \w+)??( \w+)?")
#: What may stand for a name.
_POINTING = words("this those it")
_MARKS = words("no sorry wait rather actually correction mean meant make hang hold scrap scratch not never")
#: Before a name that is not meant, and between it and the one that is.
_NOT_MEANT = re.compile(
    rf"(?:^| )((?:(?:{_TAKING}|oh|well|but) )*(?:not|never mind)(?: (?:the|my|our|that|whole|all))*)$"
)
_BUT = re.compile(r"(?:(?:i|we|you|want|need|meant|mean|it|is|but|just|only|sorry|no|yes|yeah|rather|instead) )*")
#: May stand before the other name if it does before the first one.
_PREPOSITIONS = words("with of in for from on and to")
#: Behind them a name may be words to look for: "find letters, no reply in the error log".
_SEEKING = words("find search look locate phrase word words mention mentions say says containing")
#: The least score of a name: here it must be the very name.
_LEAST_NAME = 90.0


def corrected(whole: Words, lexicons: Mapping[str, Lexicon]) -> Words:
    """The same without the names that were taken back in the same breath, and what took them back.

    It is `whole` itself where there is none; then its `origin` is empty.
    """
    if _MARKS.isdisjoint(whole.words) or len(whole.words) > MAX_WORDS:
        return whole
    named = mentions(whole.words, lexicons, _LEAST_NAME)
    text, kept = whole.text, len(whole.words)
    for place in range(len(named) - 1, 0, -1):
        one, other = named[place - 1 : place + 1]
        if other.start > kept:
            continue
        is_sought = place + 1 < len(named) and not _SEEKING.isdisjoint(whole.words[: one.start])
        start = _not_meant(whole.words, named[: place + 1])
        if start is None and one.kind == other.kind and not is_sought and _takes_back(whole.words, one, other):
            start = one.start
        if start is not None:
            kept = start
            text = f"{text[: whole.places[start][0]]}{text[whole.places[other.start][0] :]}"
    return whole if text == whole.text else replace(heard(text), origin=whole.origin or with_names(whole, named))


def _not_meant(said: Sequence[str], named: Sequence[Mention]) -> int | None:
    """Where the words begin which say that the last but one of the names is not meant, but the last."""
    *before, one, other = named
    found = _NOT_MEANT.search(" ".join(said[: one.start]))
    between = " ".join(word for word in said[one.end : other.start] if word not in ARTICLES)
    is_same = one.found.value == other.found.value or not PREDICATES.isdisjoint(said[other.end : other.end + 1])
    if found is None or is_same or _BUT.fullmatch(f"{between} ".lstrip()) is None:
        return None
    start = one.start - len(found[1].split())
    # "The safety log, no, not the safety log, the error log"; "the safe, no, not the safety log, …". But "the folder
    # without the safety log, the error log" names two.
    if before:
        is_again = before[-1].end == start and before[-1].found.value in {one.found.value, other.found.value}
        return before[-1].start if is_again else None
    name = bare(" ".join(said[one.start : one.end])).split()
    begun = next((size for size in range(len(name), 0, -1) if [*said[max(0, start - size) : start]] == name[:size]), 0)
    return start - begun


def _takes_back(said: Sequence[str], one: Mention, other: Mention) -> bool:
    if one.found.value == other.found.value or not PREDICATES.isdisjoint(said[other.end : other.end + 1]):
        return False
    # An article belongs to the name, but the "that" of "make that" does not.
    end = next((place for place in range(other.start, other.end) if said[place] not in ARTICLES), other.start)
    found = _BETWEEN.fullmatch(" ".join(said[one.end : end]))
    if found is None:
        return False
    denied = found["denied"]
    if (
        denied
        and denied not in _POINTING
        and not any(word.startswith(denied.rstrip("s")) for word in said[one.start : one.end])
    ):
        return False
    small = [word.strip() for word in found.groups()[1:] if word]
    before = set(said[max(0, one.start - 2) : one.start])
    return all(word in ARTICLES or (word in _PREPOSITIONS and word in before) for word in small)
