"""Who takes words back goes on from a word that was said before: "look for north no sorry for south in the letter".

In the words of Levelt ("Monitoring and self-repair in speech", Cognition 14, 1983): the reparandum is taken back by an
editing term, and the repair begins anew from a word of the sentence, which tells where the reparandum began.
"""

from __future__ import annotations

import re
from dataclasses import replace

from schemas.number_words import is_number_word
from schemas.small_words import ARTICLES, PREDICATES, words
from schemas.wording import Words, heard

#: Two of the weak ones or one of the strong ones take back what was said; "sorry" alone may be looked for.
_WEAK = r"(?:no|sorry|wait|actually|oh|well|hang on|hold on)"
_STRONG = r"(?:i mean|i meant|make that|scrap that|scratch that|or rather)"
_EDITING = re.compile(rf"\b(?:{_WEAK} (?:{_WEAK} )*(?:{_WEAK}|{_STRONG}|make it)|{_STRONG}|{_WEAK}(?= not )) ")
#: Words of a repair, its article one of them.
_LEAST_WORDS = 2
#: With them most sentences go on: of these the next word must be the same as well.
_COMMON = words("i it you we they he she is are that this there and so to have can could do not")
#: Right behind them the words may be what is looked for.
_SEEKING = words("for word words phrase say says mention mentions")
#: Over them no repair reaches back: "zip this and hash that, no wait, zip the other".
_JOINING = words("and then")
#: Who corrects more than that is asked back.
_MOST = 3


def retraced(whole: Words) -> Words:
    """The same without words that were taken back, as far as the repair begins with a word that was said before.

    It is `whole` itself where there are none; otherwise its `origin` tells what was said.
    """
    for _ in range(_MOST):
        anew = _retraced_once(whole)
        if anew is whole:
            break
        whole = anew
    return whole


def _retraced_once(whole: Words) -> Words:
    text, said = whole.text, " ".join(whole.words)
    for found in _EDITING.finditer(said):
        first, behind = (len(said[:place].split()) for place in found.span())
        head = whole.words[:first]
        start = None if not head or head[-1] in _SEEKING else _repair(head, whole.words[behind:])
        if start is not None:
            begin, anew = start
            kept = f"{text[: whole.places[begin][0]]}{text[whole.places[behind + anew][0] :]}"
            return replace(heard(kept), origin=whole.origin or text)
    return whole


def _repair(head: tuple[str, ...], tail: tuple[str, ...]) -> tuple[int, int] | None:
    """Where in `head` the words begin that are taken back, and where in `tail` those that replace them."""
    denied = _denied(head, tail)
    if denied is None:
        return None
    begin, skipped = denied
    rest = tail[skipped:]
    lead = 1 if rest[:1] and rest[0] in ARTICLES else 0
    if len(rest) < _LEAST_WORDS or not PREDICATES.isdisjoint(rest[lead + 1 : lead + 2]):
        return None
    if is_number_word(rest[0]) and is_number_word(head[-1]):
        # "The top six, no, make it twelve": a number for a number, whatever comes before it.
        first = len(head)
        while first and is_number_word(head[first - 1]):
            first -= 1
        return first, skipped
    for place in range(len(head) - 1, -1, -1):
        same = _common(head[place:], rest[lead:])
        if same > (rest[lead] in _COMMON):
            is_new = same < min(len(head) - place, len(rest) - lead) and rest[lead + same] not in PREDICATES
            return (place, skipped + lead) if is_new and _JOINING.isdisjoint(head[place:]) else None
    # "The gist of the damp, no, not the damp, the floor levels".
    return (begin, skipped + lead) if lead and begin < len(head) else None


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many words they have in common at their beginnings."""
    pairs = zip(one, other, strict=False)
    return next((place for place, pair in enumerate(pairs) if pair[0] != pair[1]), min(len(one), len(other)))


def _denied(head: tuple[str, ...], tail: tuple[str, ...]) -> tuple[int, int] | None:
    """Where in `head` begins what `tail` says once more behind a "not", and how many words of `tail` say it.

    None where something else is denied.
    """
    if tail[:1] != ("not",):
        return len(head), 0
    for count in range(min(len(head), len(tail) - 1), 0, -1):
        again = tuple(word for word in tail[1 : count + 1] if word not in ARTICLES)
        if again and head[-len(again) :] == again and tail[count] not in ARTICLES:
            return len(head) - len(again), count + 1
    return None
