"""Who takes words back goes on from a word that was said before: "look for north no sorry for south in the letter".

In the words of Levelt ("Monitoring and self-repair in speech", Cognition 14, 1983): the reparandum is taken back by an
editing term, and the repair begins anew from a word of the sentence, which tells where the reparandum began.
"""

from __future__ import annotations

import re
from dataclasses import replace

from schemas.number_words import is_number_word
from schemas.small_words import ARTICLES, words
from schemas.wording import Words, heard

#: Two of the weak ones or one of the strong ones take back what was said; "sorry" alone may be looked for.
_WEAK = r"(?:no|sorry|wait|actually|oh|well|hang on|hold on)"
_STRONG = r"(?:i mean|i meant|make that|scrap that|scratch that|or rather|not that)"
_EDITING = re.compile(rf"\b(?:{_WEAK} (?:{_WEAK} )*(?:{_WEAK}|{_STRONG}|make it)|{_STRONG}|{_WEAK}(?= not )) ")
_LEAST_WORDS = 2
#: With them most sentences go on: of these the next word must be the same as well.
_PRONOUNS = words("i it you we they he she is are that this there and so to have can could do not")


def retraced(whole: Words) -> Words:
    """The same without words that were taken back, as far as the repair begins with a word that was said before.

    It is `whole` itself where there are none; otherwise its `origin` tells what was said.
    """
    text, said = whole.text, " ".join(whole.words)
    for found in _EDITING.finditer(said):
        first, behind = (len(said[:place].split()) for place in found.span())
        start = _repair(whole.words[:first], whole.words[behind:])
        if start is not None:
            begin, anew = start
            kept = f"{text[: whole.places[begin][0]]}{text[whole.places[behind + anew][0] :]}"
            return replace(heard(kept), origin=whole.origin or text)
    return whole


def _repair(head: tuple[str, ...], tail: tuple[str, ...]) -> tuple[int, int] | None:
    """Where in `head` the words begin that are taken back, and where in `tail` those that replace them."""
    for denied in _denied(head, tail):
        skipped = denied and denied + 1
        rest = tail[skipped:]
        if len(rest) < _LEAST_WORDS:
            continue
        if head and is_number_word(rest[0]) and is_number_word(head[-1]):
            # "The top six, no, make it twelve": a number for a number, whatever comes before it.
            begin = len(head)
            while begin and is_number_word(head[begin - 1]):
                begin -= 1
            return begin, skipped
        lead = 1 if rest[0] in ARTICLES else 0
        for place in range(len(head) - 1, -1, -1):
            is_same = head[place + 1 : place + 2] == rest[lead + 1 : lead + 2] or rest[lead] not in _PRONOUNS
            if head[place] == rest[lead] and is_same:
                return place, skipped + lead
        again = tuple(word for word in tail[1:skipped] if word not in ARTICLES)
        if again and head[-len(again) :] == again:
            return len(head) - len(again), skipped + lead
    return None


def _denied(head: tuple[str, ...], tail: tuple[str, ...]) -> list[int]:
    """How many words of `tail` may say once more behind a "not" what is taken back; the most first."""
    if tail[:1] != ("not",):
        return [0]
    most = 0
    while tail[most + 1 : most + 2] and tail[most + 1] in head:
        most += 1
    return [count for count in range(most, 0, -1) if not ARTICLES.issuperset(tail[1 : count + 1])]
