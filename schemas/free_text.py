"""Which of the words in the place of a free text are the text: "every mention of the word apple" asks for "apple"."""

from __future__ import annotations

import re

from schemas.small_words import ANEW

_PLACE = "mention|occurrence|instance|place|time|spot|line|sentence|passage|part|paragraph"
_TERM = "word|phrase|term|name|expression"
#: What people say before the words that they look for.
_BEFORE = re.compile(
    rf"""(?:
      (?:me|us|up|for|if|whether|where|wherever|it(?!\ is\b)|there\ is|there(?:\ (?:a|an|any|some))?)
    | (?:says?|mentions?(?!\ of)|containing)
      | (?:does|do|did|have|has)\ (?:(?:we|you|they)\ got|the\ (?:{_TERM})s?)
      | (?:does|do|did|has|have)\ (?:\w+\ ){{1,3}}?(?:say|said|mention|mentioned|talk\ about)
      | (?:do\ |did\ )?(?:i|we|you|they)\ (?:write|wrote|say|said|mention|mentioned)
    | (?:anything\ |something\ )?about
      | (?:any|all|every|each|the|a|an|some)(?=\ (?:{_PLACE}|{_TERM})s?\b)
      | (?:{_PLACE})s?(?:\ (?:of|with|that|where|containing|which)|(?!\ to\b))
      | the(?=\ \w)
      | (?:{_TERM})s?
    )\ """,
    re.VERBOSE,
)
#: What people say behind them.
_AFTER = re.compile(
    r" (?:(?:they|it) (?:should|must) be|anywhere|somewhere|at all|appears?|occurs?|stands?"
    r"|(?:shows?|turns?|comes?|crops?) up|(?:is |are |to be )?(?:mentioned|used|found|listed|written(?: down)?)"
    r"|[io]n (?:it|there|them))$"
)
#: Words that alone are nothing to look for.
_EMPTY = frozenset(
    {"the", "a", "an", "of", "in", "for", "to", "with", "it", "and", "is", "are", "word", "words", "phrase"}
    | {"that", "this", "them", "those", "these"}
)
#: What goes on behind a request that is over, and "find out how …".
_NO_BEGINNING = re.compile(r"and|out (?:how|what|whether|if|which|when|where|who|why)")


def text_span(words: tuple[str, ...], start: int, end: int) -> tuple[int, int] | None:
    """The words of the text among ``words[start:end]``, or None where there is none."""
    while end - start > 1 and (found := _BEFORE.match(" ".join(words[start:end]))):
        start += found[0].count(" ")
    start = _begun_again(words, start, end)
    while end - start > 1 and (found := _AFTER.search(" ".join(words[start:end]))):
        end -= found[0].count(" ")
    if _NO_BEGINNING.match(" ".join(words[start : start + 2])) or all(word in _EMPTY for word in words[start:end]):
        return None
    return start, end


def _begun_again(words: tuple[str, ...], start: int, end: int) -> int:
    """Where the text begins for the last time, if its first word is said again behind "sorry" and the like."""
    again = (place + 1 for place in range(start + 1, end - 1) if words[place] in ANEW)
    return max((place for place in again if words[place] == words[start]), default=start)
