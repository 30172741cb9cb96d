"""What people say around a request that takes it back, puts it off, or makes it no request at all.

Forms explain every word; a model that has learned what sentences mean may overlook the one that changes it: "is it safe
to …", "… no, leave it", "… on friday". So what it takes for a request must pass here. Where a word behind the last name
is not known to be harmless, it is asked back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from schemas.foreign import DOING_MORE
from schemas.lead_ins import DENIED
from schemas.lexicon import bare
from schemas.mentions import Mention
from schemas.number_words import is_number_word
from schemas.small_words import ARTICLES, BEHIND, GLUE, GOING_ON, LIGHT, words
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
#: Within so many words of an "if" or a "when" they make a courtesy of it: "if it is not too much bother".
_COURTEOUS = words(
    """
    you possible alright right okay ok bother trouble needed necessary suits need nothing
    may imposition convenient hassle handy
    """
)
_MAY_BE_COURTEOUS, _SO_FAR = words("if when"), 6
#: Behind them "if" begins what is to be found out: "see if …".
_ASKING_IF = words("see check know whether wonder look tell ask")
#: Right behind a request they put it off, with at most one more word; and take it back.
_LATER, _FEW = words("later tomorrow next monday tuesday wednesday thursday friday saturday sunday"), 2
_STOPPING = frozenset({("no", word) for word in words("wait leave stop cancel")})
#: Anywhere behind it they take it back, or say that it cannot be done.
_HALTING = frozenset(
    {
        ("hang", "on"),
        ("hold", "on"),
        ("no", "not"),
        ("not", "be"),
        ("not", "been"),
        ("done", "already"),
        ("did", "that"),
    }
)
#: The last two words of what is taken back in the same breath.
_TAKEN_BACK = frozenset(
    {("never", "mind"), ("forget", "it"), ("forget", "that"), ("scratch", "that"), ("leave", "it"), ("skip", "it")}
    | {("skip", "that"), ("drop", "it"), ("drop", "that"), ("disregard", "that"), ("my", "mind")}
)
#: Behind them "or not" only asks which: "are they the same or not".
_EITHER = words("same identical match different there other")
_OR_NOT, _POINTING = ("or", "not"), words("that this it which")
_NOT_SERIOUS, _FIRST_PERSON = words("kidding joking"), words("i we")
_AND, _NO, _NO_HASTE = words("and then"), "no", words("rush hurry skimping problem need worries")
#: Behind them may follow any words: they say why.
_REASONS = GOING_ON | words("before while as my our his her their")
#: Pairs of words that ask about doing something, or say who else should do it; and what makes a request of them again.
_ASKING_ABOUT = frozenset(
    {("should", "i"), ("should", "we"), ("would", "it"), ("is", "it"), ("do", "we"), ("do", "i"), ("talk", "about")}
    | {("how", "do"), ("how", "long"), ("shame", "to")}
    | {("wonder", "if"), ("wonder", "whether")}
    | {("good", "idea"), ("bad", "idea")}
)
#: Who says so wants to know how it is done.
_ASKING_HOW = frozenset(
    {("how", word) for word in words("to should would can could might")}
    | {("does", "one"), ("easiest", "way"), ("best", "way"), ("quickest", "way")}
)
#: Who would have done something did not; but "i would have it by noon" is a reason.
_UNDONE = frozenset((word, "have") for word in words("could should would"))
_HAD = words("it them that this one a the to")
#: "A zip of …" is one; "a zip the …" may have been "unzip the …".
_MADE_OF = words("of for file archive with from out containing made")
#: What "tot up" is taken for.
_TOTTED = frozenset({("top", "up"), ("top", "the")})
#: With these begins who asks whether something was done.
_ASKING_WHETHER_DONE = frozenset({("have", "you"), ("has", "anyone"), ("has", "anybody"), ("has", "somebody")})
_POSSIBLE = words("possible okay ok alright great lovely helpful")
#: The opposites of what is asked for; and what is only said to be done now and then.
_OPPOSITES, _HABITS = words("least rarest fewest longest shortest uncommon"), words("usually normally always sometimes")
#: Behind a name they tell what has become of it: "the letter is compressed".
_TELLING = words("is are was were")
_MODALS = words("should can will could would might must")
_SELF = words("you i we it they he she there that this what which who")
#: Others, who do it by themselves.
_OTHERS = words("people they everybody everyone somebody someone he she")
#: With them something is asked for all the same.
_WANTING = words("so please could can would need want tell give say you me us")
#: They do it as a rule; and somebody else.
_EVERYBODY, _SOMEBODY = words("people everybody everyone"), words("somebody someone anybody anyone")
#: What others do besides what is asked for, if something is asked for behind it: "they want it zipped so could you …".
_OF_ANYTHING, _ASKING = words("has have had do does did is are was were want wants need needs"), words("you")
#: Somebody else's words may follow.
_SAYING = words("said says told asked")
#: With them begins when it should be done: "at noon …".
_AT = words("at on after")
#: Whose wish is not theirs alone: "my editor wants to know".
_KNOWING = words("know see have hear get")


def takes_it_back(
    said: Sequence[str], named: Sequence[Mention], verbs: Collection[str], known: Collection[str]
) -> bool:
    """Whether it is taken back, put off, only asked about or intended, or others do it, whatever request it is like.

    Args:
        said: the words.
        named: where names stand.
        verbs: what may be asked for.
        known: the words of the request that it was taken for.
    """
    behind = said[named[-1].end :] if named else ()
    is_name_first = any(one.start == 0 and bare(" ".join(said[: one.end])) == one.found.form for one in named)
    if said and not is_name_first and said[0] in DOING_MORE - set(verbs) | _AT:
        return True
    if not _OPPOSITES.isdisjoint(said) or any(pair in _ASKING_HOW for pair in pairwise(said)):
        return True
    if any(pair in _UNDONE and said[place + 2] not in _HAD for place, pair in enumerate(pairwise(said[:-1]))):
        return True
    if tuple(said[:2]) in _ASKING_WHETHER_DONE and any(word in verbs or word.endswith("ed") for word in said[2:3]):
        return True
    is_theirs = any(
        (one in _EVERYBODY and other in verbs) or (one in _SOMEBODY and other == "else")
        for one, other in pairwise(said)
    )
    if is_theirs or _is_doubtful(said) or _is_intended(said) or not _HABITS.isdisjoint(said[:2]):
        return True
    is_put_off = _is_held_up(behind, known) or _is_timed(said, named, known)
    return is_put_off or _is_taken_back(behind) or is_compared(said, named)


def may_make_it_none(
    said: Sequence[str], named: Sequence[Mention], verbs: Collection[str], known: Collection[str]
) -> bool:
    """Whether there are words with which it may be denied, put off, conditional, a habit, or somebody else's business.

    Args:
        said: the words.
        named: where names stand.
        verbs: what may be asked for.
        known: the words of the request that it was taken for.
    """
    if not _HABITS.isdisjoint(said) or any(_is_besides(said, place) for place in range(len(said) - 1)):
        return True
    if named and "but" in said[named[-1].end :]:
        return True
    if _is_asked_about(said, known) or _is_done_by_others(said, verbs):
        return True
    if not _SAYING.isdisjoint(said[: named[-1].start] if named else ()):
        return True
    return _is_denied(said, verbs) or _goes_on(said, named) or _is_of_others(said, named, verbs)


def may_be_misheard(said: Sequence[str]) -> bool:
    """Whether the verb may have been another: "and zip …" may be "unzip …", and "top up the words" be "tot up" them."""
    is_cut = len(said) > 2 and (said[0] == "and" or (said[0] == "a" and said[2] not in _MADE_OF))
    is_undone = is_cut and f"un{said[1]}" in DOING_MORE
    return is_undone or any(pair in _TOTTED for pair in pairwise(said))


def is_compared(said: Sequence[str], named: Sequence[Mention]) -> bool:
    """Whether a name is only held against something that has none: "the form is longer than the letter so zip it"."""
    before = [word for word in said[: named[0].start] if word not in ARTICLES] if named else []
    return before[-1:] == ["than"]


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


def _is_taken_back(behind: Sequence[str]) -> bool:
    """Whether what is said behind the last name takes it back, or makes it no request of the one who speaks."""
    for place, pair in enumerate(pairwise(behind)):
        is_theirs = _FIRST_PERSON.isdisjoint(behind[place + 2 : place + 3])
        if pair == ("is", "what") and is_theirs and (place == 0 or behind[place - 1] not in _POINTING):
            return True
    is_left_open = any(
        pair == _OR_NOT and _EITHER.isdisjoint(behind[max(0, place - 1) : place])
        for place, pair in enumerate(pairwise(behind))
    )
    return is_left_open or tuple(behind[-2:]) in _TAKEN_BACK or not _NOT_SERIOUS.isdisjoint(behind)


def _is_held_up(behind: Sequence[str], known: Collection[str]) -> bool:
    """Whether what follows the request at once makes it depend on something, puts it off or takes it back."""
    if not _HALTING.isdisjoint(pairwise(behind)):
        return True
    small = GLUE.union(known, BEHIND, FILLERS) - _CONDITIONS - _LATER
    start = next((place for place, word in enumerate(behind) if word not in small), len(behind))
    rest = behind[start:]
    if not rest:
        return False
    is_asked = not _ASKING_IF.isdisjoint(behind[max(0, start - 1) : start])
    is_courteous = rest[0] in _MAY_BE_COURTEOUS and not _COURTEOUS.isdisjoint(rest[1:_SO_FAR])
    if rest[0] in _CONDITIONS - {"soon", "case"} and not is_asked and not is_courteous:
        return True
    is_later = rest[0] in _LATER and len(rest) <= _FEW
    is_hampered = "but" in behind and not _asks_hence(behind[list(behind).index("but") :], known)
    return is_later or tuple(rest[:2]) in _STOPPING or set(rest) == {_NO} or is_hampered


def _asks_hence(behind: Sequence[str], known: Collection[str]) -> bool:
    """Whether something is asked for after all: "… but my hands are full so you zip it"."""
    asked = set(behind[list(behind).index("so") :]) if "so" in behind else set[str]()
    return not asked.isdisjoint(known) and asked.isdisjoint(_TAKING_BACK | _NEGATIONS | _OTHERS | {_NO})


def _is_intended(said: Sequence[str]) -> bool:
    """Whether somebody is only going to do it: "i am going to zip …", not "i am going to need …"."""
    places = [place for place, pair in enumerate(pairwise(said)) if pair == ("going", "to")]
    return any(_WANTING.isdisjoint(said[place:]) for place in places)


def _is_doubtful(said: Sequence[str]) -> bool:
    """Whether it is asked whether it would be of use: "would it help to …", not "would it be a bother to …"."""
    for place, pair in enumerate(pairwise(said)):
        if pair == ("would", "it") and _POSSIBLE.union(_COURTEOUS).isdisjoint(said[place + 2 : place + 6]):
            return True
    return False


def _is_timed(said: Sequence[str], named: Sequence[Mention], known: Collection[str]) -> bool:
    """Whether it ends with its hour: "zip the letter at five", not "… the board meets at five"."""
    between = set(said[named[-1].end : -2]) if named else set[str]()
    return len(said) > 1 and said[-2] == "at" and is_number_word(said[-1]) and between <= GLUE.union(known)


def _is_denied(said: Sequence[str], verbs: Collection[str]) -> bool:
    """Whether something is said not to be done: "do not compress", "never have to"."""
    return any(
        pair in DENIED or (pair[0] in _NEGATIONS and (pair[1] in verbs or pair[1] == "have")) for pair in pairwise(said)
    )


def _is_asked_about(said: Sequence[str], known: Collection[str]) -> bool:
    for place, pair in enumerate(pairwise(said)):
        is_length = pair == ("how", "long") and "long" in known
        following = said[place + 2 : place + 4]
        is_request = not _POSSIBLE.isdisjoint(following[1:] if following[:1] == ("be",) else following[:1])
        if pair in _ASKING_ABOUT and not is_length and not is_request:
            return True
    return False


def _is_done_by_others(said: Sequence[str], verbs: Collection[str]) -> bool:
    """Whether somebody else does it, or wants to: "people zip it", "bob wants to take the letter and zip it"."""
    for place, pair in enumerate(pairwise(said)):
        is_wish = pair == ("wants", "to") and _KNOWING.isdisjoint(said[place + 2 : place + 3])
        if is_wish or (pair[0] in _OTHERS and pair[1] in verbs and pair[1] not in _OF_ANYTHING):
            return True
    return False


def _is_besides(said: Sequence[str], place: int) -> bool:
    """Whether others have, do or want something there, and nobody is asked for anything behind it."""
    other, does = said[place : place + 2]
    return other in _OTHERS and does in _OF_ANYTHING and _ASKING.isdisjoint(said[place + 2 :])


def _is_of_others(said: Sequence[str], named: Sequence[Mention], verbs: Collection[str]) -> bool:
    """Whether somebody else should, can or will: "anna can zip it"; not "the letter should be zipped"."""
    ends = {one.end for one in named}
    known = _SELF | GLUE
    for place, (word, following) in enumerate(pairwise(said)):
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
