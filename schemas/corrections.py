"""Who names one thing and then another one, "the error log, no, the access log", means the other one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from schemas.lexicon import Lexicon
from schemas.mentions import mentions, with_names
from schemas.small_words import ARTICLES, words
from schemas.wording import Words, heard

#: Between two names they take the first one back; and what may stand beside them.
_TAKING_BACK = words("no sorry wait mean rather actually correction")
_BESIDE = words("i but or with in of should say make that oh well hang on not it is") | ARTICLES
#: Words that stand between the two at most, and the least score of a name: here it must be the very name.
_MOST, _LEAST_NAME = 5, 90.0


def corrected(whole: Words, lexicons: Mapping[str, Lexicon]) -> Words:
    """The same without a name that was taken back in the same breath, and what took it back."""
    if _TAKING_BACK.isdisjoint(whole.words):
        return whole
    named = mentions(whole.words, lexicons, _LEAST_NAME)
    for one, other in pairwise(named):
        if one.kind == other.kind and _takes_back(whole.words[one.end : other.start]):
            start, end = whole.places[one.start][0], whole.places[other.start][0]
            rest = heard(f"{whole.text[:start]}{whole.text[end:]}")
            return replace(corrected(rest, lexicons), origin=with_names(whole, named))
    return whole


def _takes_back(between: Sequence[str]) -> bool:
    is_all = set(between) <= _TAKING_BACK | _BESIDE
    return len(between) <= _MOST and is_all and not _TAKING_BACK.isdisjoint(between)
