"""What a pronoun stands for: "i have to mail the letters so zip them up" asks to zip the letters up.

People say what a request is about before they make it, and then only point to it, or leave it out: "what is in the
price list, give me a summary". Such an utterance is written anew as the request alone, with the name in its place, and
has to be a whole request then. Where something is told, denied or only supposed before it, nothing is written anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from schemas.beginnings import ASKS
from schemas.lexicon import Lexicon
from schemas.mentions import Mention, mentions, with_names
from schemas.number_words import is_number_word
from schemas.small_words import NOT_SO, SUPPOSING, TELLING, words
from schemas.wording import Words, heard

#: Stand for one name, for two, and for the owner of what follows.
_ONE, _TWO, _OWNER = words("it them this that those these"), words("them those these both they"), words("its their")
#: Words behind which a request may begin.
_SEPARATORS = words("so and then please but now just")
#: With them a question begins; and what is told, not asked.
_ASKING, _PAST = words("how what which"), words("was were had did should")
_ASKING_HOW = frozenset({("how", "do"), ("how", "to"), ("how", "can"), ("how", "should"), ("how", "would")})
#: Before things that have no known name, and that "it" may stand for as well; not so in "to the printer" and "a bit".
_ARTICLES, _ASIDE = words("the a an this that another"), words("to for at in on by of from with about")
_MEASURES = words("bit lot little minute second moment while few")
#: Before a verb they make it somebody's, or something that is spoken of.
_GOVERNING = words(
    """
    i we you they he she it who to can could will would shall should must may might do does did not never let us of the
    a an my your our his her their its for with by in on and or about before after while without instead
    """
)
#: The least score of a name: here it must be the very name.
_LEAST_NAME = 90.0
#: Words before a request that name what it is about, at least.
_LEAST_BEFORE = 2
#: "I would like …" tells nothing.
_TELLING = TELLING - {"would", "used"} | words(
    "once might think thinking should how wonder usually often always people wants hard easy"
)
_PAIR = 2


class Pronouns:
    """Writes utterances anew.

    Args:
        verbs: words with which a request begins that names its object right behind them: "zip", "compare".
    """

    def __init__(self, verbs: Collection[str]) -> None:
        self._verbs = frozenset(verbs)

    def resolved(self, whole: Words, lexicons: Mapping[str, Lexicon]) -> list[Words]:
        """The requests that `whole` may end with, each with the names that were said before it."""
        said = whole.words
        begins = [place for place in range(_LEAST_BEFORE, len(said)) if self._may_begin(said, place)]
        if not begins:
            return []
        found = mentions(said[: begins[-1]], lexicons, _LEAST_NAME)
        texts: dict[str, None] = {}
        for place in begins:
            before = [one for one in found if one.end <= place]
            pointing = (end for end in range(place, len(said)) if said[end] in _ONE | _TWO | _OWNER)
            if _names_more(said[: next(pointing, place)], before):
                continue
            after = any(one.start >= place for one in found)
            texts.update(dict.fromkeys(_anew(said, place, before, is_named=after)))
        origin = whole.origin or with_names(whole, found)
        return [replace(heard(text), origin=origin) for text in texts]

    def _may_begin(self, said: Sequence[str], place: int) -> bool:
        """Whether a request may begin at `place`, and nothing before it takes it back."""
        before = said[:place]
        if said[place] in _PAST or said[place : place + 2] in _ASKING_HOW:
            return False
        if said[place - 1] == "so":
            return before[-2] not in NOT_SO and SUPPOSING.isdisjoint(before)
        if not _TELLING.isdisjoint(before):
            return False
        if (
            said[place - 1] in _SEPARATORS
            or said[place] in _ASKING
            or any(tuple(said[place : place + len(form)]) == form for form in ASKS)
        ):
            return True
        is_pointing = not (_ONE | _TWO).isdisjoint(said[place + 1 : place + 3])
        return said[place] in self._verbs and is_pointing and said[place - 1] not in _GOVERNING


def _names_more(said: Sequence[str], named: Sequence[Mention]) -> bool:
    """Whether something else is named that may be meant, or another number than the name's is said beside it."""
    inside = {place for one in named for place in range(one.start, one.end)}
    beside = {place for one in named for place in (one.start - 1, one.end)}
    for place, word in enumerate(said):
        if place in beside and place not in inside and is_number_word(word):
            return True
        following = said[place + 1 : place + 2]
        is_thing = bool(following) and place + 1 not in inside and following[0] not in _MEASURES
        if (
            word in _ARTICLES
            and place not in inside
            and is_thing
            and not _ASIDE.intersection(said[max(0, place - 1) : place])
        ):
            return True
    return False


def _anew(said: Sequence[str], place: int, before: Sequence[Mention], *, is_named: bool) -> Iterator[str]:
    """The request from `place` on, with what was named before it in the place of the pronoun, or at its end."""
    rest, names = list(said[place:]), [" ".join(said[one.start : one.end]) for one in before]
    if len(names) == _PAIR:
        yield from _with_both(rest, " and ".join(names))
    elif len(names) == 1:
        yield from _with_one(rest, names[0])
        if not is_named and (_ONE | _TWO | _OWNER).isdisjoint(rest):
            yield " ".join([*rest, "of", names[0]])


def _with_both(rest: Sequence[str], names: str) -> Iterator[str]:
    for place, word in enumerate(rest):
        if word in _TWO or (word == "two" and rest[place - 1] == "the"):
            yield " ".join([*rest[: place - (word == "two")], names, *rest[place + 1 :]])


def _with_one(rest: Sequence[str], name: str) -> Iterator[str]:
    for place, word in enumerate(rest):
        if word in _OWNER:
            yield " ".join([*rest[:place], "the", *rest[place + 1 :], "of", name])
        elif word in _ONE or (word == "there" and rest[place - 1] == "in"):
            yield " ".join([*rest[:place], name, *rest[place + 1 :]])
