"""What people say around a request that takes it back, puts it off, or makes it no request at all.

Forms explain every word; a model that has learned what sentences mean may overlook the one that changes it: "is it safe
to …", "… no, leave it", "… on friday". So what it takes for a request must pass here. Where a word behind the last name
is not known to be harmless, it is asked back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from schemas.control import CONTROLS
from schemas.foreign import DOING_MORE
from schemas.lead_ins import DENIED
from schemas.mentions import Mention
from schemas.small_words import BEHIND, GLUE, GOING_ON, LIGHT, words
from schemas.wording import FILLERS

#: Before a verb they deny it; and what they may stand before at the end.
_NEGATIONS, _NOT_AT_ALL = words("not never nobody"), words("do to that want") | {""}
#: Behind a name they make the request depend on something, put it off or take it back; or go on with another one.
_CONDITIONS = words("if unless until till when once soon provided assuming case")
_TAKING_BACK = words(
    """
    never nobody said told asked cancel stop wait but forget leave scratch kidding hold hang later tomorrow tonight
    next monday tuesday wednesday thursday friday saturday sunday morning afternoon evening
    """
)
_AND, _NO, _NO_HASTE = words("and then"), "no", words("rush hurry skimping problem need worries")
#: Behind them may follow any words: they say why.
_REASONS = GOING_ON | words("before while as my our his her their")
#: Pairs of words that ask about doing something, or say who else should do it; and what makes a request of them again.
_ASKING_ABOUT = frozenset(
    {("should", "i"), ("should", "we"), ("how", "to"), ("how", "do"), ("how", "should"), ("would", "it"), ("is", "it")}
    | {("could", "have"), ("should", "have"), ("would", "have"), ("talk", "about"), ("do", "we"), ("do", "i")}
    | {("how", "long"), ("wonder", "if"), ("wonder", "whether"), ("shame", "to"), ("good", "idea"), ("bad", "idea")}
)
_POSSIBLE = words("possible okay ok alright great lovely helpful")
#: The opposites of what is asked for; and what is only said to be done now and then.
_OPPOSITES, _HABITS = words("least rarest fewest longest shortest uncommon"), words("usually normally always sometimes")
#: Behind a name they tell what has become of it: "the letter is compressed".
_TELLING = words("is are was were")
_MODALS = words("should can will could would might must")
_SELF = words("you i we it they he she there that this what which who")
#: With them begins when it should be done: "at noon …".
_AT = words("at on after")
#: Whose wish is not theirs alone: "my editor wants to know".
_KNOWING = words("know see have hear get")


def makes_it_none(said: Sequence[str], named: Sequence[Mention], verbs: Collection[str], label: str) -> bool:
    """Whether it is denied, taken back, conditional, put off, asked about, or somebody else's.

    Args:
        said: the words.
        named: where names stand.
        verbs: what, denied, is not to be done.
        label: what it was taken for.
    """
    if not (_OPPOSITES | _HABITS).isdisjoint(said) or (said and said[0] in DOING_MORE - set(verbs) | _AT):
        return True
    is_none = _is_denied(said, verbs) or _goes_on(said, named)
    return is_none or (label not in CONTROLS and (_is_asked_about(said, label) or _is_of_others(said, named, verbs)))


def is_explained(said: Sequence[str], named: Sequence[Mention], known: Collection[str]) -> bool:
    """Whether every word behind the last name is harmless, or says why.

    Args:
        said: the words.
        named: where names stand.
        known: the words of the request itself.
    """
    for word in said[named[-1].end :] if named else ():
        if word in _REASONS:
            return True
        if word not in GLUE and word not in BEHIND and word not in LIGHT and word not in FILLERS and word not in known:
            return False
    return True


def _is_denied(said: Sequence[str], verbs: Collection[str]) -> bool:
    """Whether something is said not to be done: "do not compress", "never have to"."""
    return any(
        pair in DENIED or (pair[0] in _NEGATIONS and (pair[1] in verbs or pair[1] == "have")) for pair in pairwise(said)
    )


def _is_asked_about(said: Sequence[str], label: str) -> bool:
    for place, pair in enumerate(pairwise(said)):
        is_length = pair == ("how", "long") and label == "count-words"
        following = said[place + 2 : place + 4]
        is_request = not _POSSIBLE.isdisjoint(following[1:] if following[:1] == ("be",) else following[:1])
        if pair in _ASKING_ABOUT and not is_length and not is_request:
            return True
    return False


def _is_of_others(said: Sequence[str], named: Sequence[Mention], verbs: Collection[str]) -> bool:
    """Whether somebody else wants, should, can or will: "anna can zip it"; not "the letter should be zipped"."""
    ends = {one.end for one in named}
    known = _SELF | GLUE
    for place, (word, following) in enumerate(pairwise(said)):
        if word == "wants" and following == "to" and _KNOWING.isdisjoint(said[place + 2 : place + 3]):
            return True
        if word == "have" and following not in known and not set(verbs).isdisjoint(said[place + 2 : place + 3]):
            return True
        is_subject = place > 0 and place not in ends and said[place - 1] not in known
        if word in _MODALS and is_subject and following not in _SELF:
            return True
    return False


def _goes_on(said: Sequence[str], named: Sequence[Mention]) -> bool:
    """Whether behind the last name something is taken back, made conditional, or more is asked for than can be done."""
    behind = list(said[named[-1].end :]) if named else []
    if behind and behind[0] in _TELLING and behind[-1].endswith("ed"):
        return True
    for word, following in pairwise([*behind, ""]):
        is_condition = word in _CONDITIONS and following != "you"
        is_negated = (word == "not" and following in _NOT_AT_ALL) or (word == _NO and following not in _NO_HASTE)
        if word in _TAKING_BACK or is_condition or is_negated or (word in _AND and following in DOING_MORE):
            return True
    return False
