"""Who names one thing and then another one, "the error log, no, the access log", means the other one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from schemas.layout import MAX_WORDS
from schemas.lexicon import Lexicon
from schemas.mentions import Mention, mentions, with_names
from schemas.small_words import ARTICLES, words
from schemas.wording import Words, heard

#: What takes a name back stands right behind it; then only a small word may follow, and the other name.
_TAKING = r"no|sorry|wait|rather|actually|correction|i mean|i meant|make that|hang on"
_BETWEEN = re.compile(
    rf"(?:(?:but|oh|or|well) )*(?:{_TAKING})(?: (?:{_TAKING}|oh|well|it is|i should say))*( \w+)??( \w+)?"
)
_MARKS = words("no sorry wait rather actually correction mean meant make hang")
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
    text = whole.text
    for place in range(len(named) - 1, 0, -1):
        one, other = named[place - 1 : place + 1]
        is_sought = place + 1 < len(named) and not _SEEKING.isdisjoint(whole.words[: one.start])
        if one.kind == other.kind and not is_sought and _takes_back(whole.words, one, other):
            text = f"{text[: whole.places[one.start][0]]}{text[whole.places[other.start][0] :]}"
    return whole if text == whole.text else replace(heard(text), origin=with_names(whole, named))


def _takes_back(said: Sequence[str], one: Mention, other: Mention) -> bool:
    found = _BETWEEN.fullmatch(" ".join(said[one.end : other.start]))
    if found is None:
        return False
    small = [word.strip() for word in found.groups() if word]
    before = set(said[max(0, one.start - 2) : one.start])
    return all(word in ARTICLES or (word in _PREPOSITIONS and word in before) for word in small)
