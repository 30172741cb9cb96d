"""Words that have no counterpart: what separates "delete everything in the letters" from "compress everything in …".

A score over a whole phrase hides a word that means something else among many that are equal. Here each content word
must be near to one on the other side, or to two of them joined, since recognisers split and join ("check some").
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from rapidfuzz import fuzz

from schemas.likeness import Phrases, likeness
from schemas.small_words import BEHIND, KINDS, LIGHT, LIGHT_IN_NAMES
from schemas.wording import heard, plain

#: Score from which two words count as one, and for words of up to `SHORT` letters.
SAME, SAME_SHORT, SHORT = 62.0, 80.0, 4
#: Beginnings that turn a verb into its opposite: "unzip" is near to "zip", and never meant by it.
OPPOSITES = ("un", "de", "dis", "re")
#: Share of equal letters from which a word is only spelled in another way.
SPELLED = 84.0
#: Score from which two neighbours are one word on the other side.
JOINED = 76.0


@lru_cache(maxsize=16_384)
def strangers(said: str, wanted: str, *, is_name: bool = False) -> int:
    """How many content words of `said` have no counterpart in `wanted`, and the other way round.

    In a name more words count: "on me for the field trip" is no "field trip".
    """
    if said == wanted:
        return 0
    light = LIGHT_IN_NAMES if is_name else LIGHT
    return _alone(said.split(), wanted.split(), light) + _alone(wanted.split(), said.split(), light)


def is_shortened(wording: str, said: str) -> bool:
    """Whether `said` goes on where `wording` ends, and has the rest of it: a "never" at the end changes everything."""
    these, those = list(heard(said).without_courtesy().words), plain(wording).split()
    return bool(these) and not _alone(those, these, LIGHT) and goes_on(wording, said)


def goes_on(wording: str, said: str) -> bool:
    """Whether more words of content follow in `said`, behind the last that it shares with `wording`, than do there."""
    these, those = list(heard(said).without_courtesy().words), plain(wording).split()
    alone = _are_alone(these, those, LIGHT)
    last = max((place for place, is_alone in enumerate(alone) if not is_alone and these[place] in those), default=-1)
    more = zip(these[last + 1 :], alone[last + 1 :], strict=True)
    wanted = those[len(those) - those[::-1].index(these[last]) :] if last >= 0 else those
    return sum(is_alone and word not in BEHIND for word, is_alone in more) > sum(word not in LIGHT for word in wanted)


@lru_cache(maxsize=16_384)
def is_literal(said: str, wanted: str) -> bool:
    """Whether every content word was said as it is wanted, but for spelling: "back" is near to "pack", and not it."""
    these, those = said.split(), wanted.split()
    words, others = {*these, *_joined(these)}, {*those, *_joined(those)}
    return _all_spelled(these, others) and _all_spelled(those, words)


def _all_spelled(words: list[str], others: set[str]) -> bool:
    """Whether each content word, or it with a neighbour, is among `others`, perhaps with a slip of the pen."""
    for place, word in enumerate(words):
        if word in LIGHT or (place and word in KINDS):
            continue
        pieces = (word, *_joined(words[max(0, place - 1) : place + 2]))
        near = [(piece, other) for piece in pieces for other in others if fuzz.ratio(piece, other) >= SPELLED]
        if all(_is_opposite(*pair) for pair in near):
            return False
    return True


def _alone(these: list[str], those: list[str], light: frozenset[str]) -> int:
    """How many content words of `these` are near to nothing in `those`."""
    return sum(_are_alone(these, those, light))


def _are_alone(these: list[str], those: list[str], light: frozenset[str]) -> list[bool]:
    """For each of `these` whether it is a content word and near to nothing in `those`."""
    content = [word not in light and not (place and word in KINDS) for place, word in enumerate(these)]
    if not any(content) or not those:
        return content
    single, joined, others = Phrases.of(these), Phrases.of(_joined(these)), Phrases.of(those)
    best = np.concatenate([likeness(single, others), likeness(single, Phrases.of(_joined(those)))], axis=1).max(axis=1)
    for place, score in enumerate(likeness(joined, others).max(axis=1, initial=0.0).tolist()):
        if score >= JOINED and score > best[place : place + 2].max():  # as one, not because one of them is in it anyway
            best[place : place + 2] = score
    return [
        is_content and (score < _same(word) or any(_is_opposite(word, other) for other in those))
        for word, is_content, score in zip(these, content, best.tolist(), strict=True)
    ]


def _same(word: str) -> float:
    return SAME_SHORT if len(word) <= SHORT else SAME


def _joined(words: list[str]) -> list[str]:
    return [first + second for first, second in pairwise(words)]


def _is_opposite(word: str, other: str) -> bool:
    """Whether one undoes what the other does ("unzip"), tells that it was done ("compressed"), or names who does it."""
    longer, shorter = sorted((word, other), key=len, reverse=True)
    if len(shorter) < SHORT:
        return False
    return longer in {prefix + shorter for prefix in OPPOSITES} or longer in {
        shorter + "ed",
        shorter + "d",
        shorter + shorter[-1] + "ed",
        shorter + "or",
        shorter + "er",
    }
