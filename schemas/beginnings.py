"""Where in an utterance a request may begin: behind lead-ins, behind a reason, behind the words of asking."""

from __future__ import annotations

import re
from collections.abc import Collection

from schemas.control import forms
from schemas.lead_ins import CARRIERS, LEAD_INS, OPENERS
from schemas.small_words import BETWEEN_LEAD_INS, DENYING, NOT_SO, SUPPOSING, TELLING
from schemas.wording import plain

#: What a request is for, behind it: "… so i know how long it is".
_PURPOSE = re.compile(
    r" (?:so (?:i|we|you|they|that|it)|because|since|before (?:i|we)|while (?:i|we)|in order to|to (?:save|free)) "
)
#: The same before it: "to save some space | compress …", and the least and the most words that has.
_REASON = re.compile(r"(?:(?:so|um|well|okay) )?(?:to|so (?:that )?(?:i|we)|before (?:i|we)|in order to) ")
_MIN_REASON, _MAX_REASON = 3, 10
#: The words of asking, whatever was said before: "my editor | wants to know | how many words …".
_ASKING = """
    can you; could you; would you; will you
    want to know; wants to know; wants a; needs a; i need; we need; i want
    tell me; give me; show me; get me; can i get; can i have; could i have; could i get
"""


def _phrases(wordings: Collection[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(plain(wording).split()) for wording in wordings)


_SOMEBODY = frozenset(["i", "we", "you", "he", "she", "it", "they", "somebody", "someone", "everybody", "everyone"])
_DONE = frozenset(["found", "made", "did", "ran", "took", "put", "sent", "got", "wrote", "read", "gave"])
#: In the past only to be polite: "i wanted you to count …".
_WISHING = frozenset(["needed", "wanted", "wondered", "hoped", "asked", "liked"])


_LEAD_INS = _phrases((*LEAD_INS, *CARRIERS))
_OPENERS = _LEAD_INS | _phrases(OPENERS)
ASKS = _phrases(forms(_ASKING))
_POLITE = _phrases(("can you", "could you", "would you", "will you"))
_LONGEST = max(map(len, _OPENERS))


def tells_what_happened(words: tuple[str, ...]) -> bool:
    """Whether they begin with somebody who has done something: "i found a typo in …", "she compressed …"."""
    if len(words) < 3 or words[0] not in _SOMEBODY:
        return False
    done = words[1]
    return done in _DONE or (done.endswith("ed") and len(done) > len("need") and done not in _WISHING)


def without_purpose(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words without what is said at the end about what the request is for."""
    text = " ".join(words)
    found = _PURPOSE.search(text, len(" ".join(words[:3])))
    if found is None or not DENYING.isdisjoint(text[found.start() :].split()):
        return words
    return tuple(text[: found.start()].split())


def beginnings(words: tuple[str, ...], *, is_name_first: bool) -> list[int]:
    """The places at which a request may begin.

    Args:
        words: what was said.
        is_name_first: it begins with a name: "open | the letter and count its words".
    """
    lead_ins = _OPENERS if is_name_first else _LEAD_INS
    reached = {0}
    # Where something is told or denied, what comes after it is not asked for.
    told = next((place for place, word in enumerate(words) if word in TELLING), len(words))
    if _REASON.match(" ".join(words)):
        reached.update(range(_MIN_REASON, min(told + 1, len(words), _MAX_REASON)))
    for place in range(2, min(told, len(words) - 2)):
        reached.update(place + len(asking) for asking in ASKS if words[place : place + len(asking)] == asking)
    # "i was told to hurry, so could you …" asks, whatever was told or denied.
    for place in range(3, len(words) - 2):
        if (
            words[place] == "so"
            and words[place - 1] not in NOT_SO
            and (words[place + 1 : place + 3] in _POLITE or SUPPOSING.isdisjoint(words[:place]))
        ):
            reached.add(place + 1)
    for place in range(len(words)):
        if place in reached:
            if words[place] in BETWEEN_LEAD_INS:
                reached.add(place + 1)
            ends = range(place + 1, min(len(words), place + _LONGEST) + 1)
            reached.update(end for end in ends if words[place:end] in lead_ins)
    return sorted(reached)
