"""What the model of free requests is taught: the sentences of the learned corpora, each with what it asks for.

Never those of held-out, fresh, free, unseen and of the sets called blind.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from benchmarks.matching import LOOSE, Command, commands, fragments, lines, matcher
from schemas.guess import LEAST_NAME
from schemas.match import MatchKind
from schemas.mentions import mentions
from schemas.request_model import NOTHING, masked
from schemas.taken_back import as_meant
from schemas.utterance import Matcher
from schemas.wording import heard

#: The sets that are learned.
LEARNED = ("tune", "wide", *LOOSE)
LEARNED_TOLD = ("told1", "told2", "told3", "told4", "told5")
#: Words, a name being one, of a beginning or an ending that is learned as nothing.
_FRAGMENT = 4


class Kind(StrEnum):
    """What a sentence of a corpus is; each counts for more or less."""

    COMMAND = "command"
    PIECE = "piece"
    NOTHING = "nothing"
    MISHEARD = "misheard"


@dataclass(frozen=True, slots=True)
class Sample:
    """A sentence as the model sees it, and what it asks for."""

    words: tuple[str, ...]
    label: str
    kind: Kind


def samples(which: str) -> Iterator[Sample]:
    """The commands of a set, its near misses, and short pieces of commands, which ask for nothing."""
    over = matcher(which, has_model=False)
    for command in commands(which):
        yield Sample(seen(over, command.text), command.intent, Kind.COMMAND)
        yield from (Sample(seen(over, piece), NOTHING, Kind.PIECE) for piece in pieces(over, command))
    yield from told(which, over)


def whole(which: str) -> Iterator[Sample]:
    """The commands of a set and its near misses."""
    over = matcher(which, has_model=False)
    yield from (Sample(seen(over, command.text), command.intent, Kind.COMMAND) for command in commands(which))
    yield from told(which, over)


def told(which: str, over: Matcher | None = None) -> Iterator[Sample]:
    """Sentences of a set that only sound like requests."""
    over = over or matcher(which, has_model=False)
    denied = lines("near-misses-taken-back.txt") if which == "tune" else []
    for text in (*lines(f"near-misses-{which}.txt"), *denied):
        yield Sample(seen(over, text), NOTHING, Kind.NOTHING)


def seen(over: Matcher, text: str) -> tuple[str, ...]:
    """What the model sees of a text."""
    said = as_meant(heard(text), over.lexicons).without_courtesy().words
    return masked(said, mentions(said, over.lexicons, LEAST_NAME))


def pieces(over: Matcher, command: Command) -> Iterator[str]:
    """Short beginnings and endings that are no request by themselves, and what is left of a pair without one of it."""
    for piece in fragments(command):
        said = heard(piece).words
        named = mentions(said, over.lexicons, LEAST_NAME)
        count = len(said) - sum(one.end - one.start - 1 for one in named)
        is_half = command.intent == "compare" and len(named) == 1
        if (count <= _FRAGMENT or is_half) and over.match(piece).kind is not MatchKind.ACCEPT:
            yield piece


def cuts(which: str) -> Iterator[Sample]:
    """Every beginning and ending of the commands of a set, under the label of the command."""
    over = matcher(which, has_model=False)
    for command in commands(which):
        said = heard(command.text).without_courtesy().words
        names = mentions(said, over.lexicons, LEAST_NAME)
        for cut in range(1, len(said)):
            head = [one for one in names if one.end <= cut]
            tail = [replace(one, start=one.start - cut, end=one.end - cut) for one in names if one.start >= cut]
            yield Sample(masked(said[:cut], head), command.intent, Kind.PIECE)
            yield Sample(masked(said[cut:], tail), command.intent, Kind.PIECE)


def misheard(sets: Collection[str]) -> Iterator[Sample]:
    """What the small recogniser made of the sentences of learned sets, one voice each."""
    over = {which: matcher(which, has_model=False) for which in sets}
    for kept in map(json.loads, lines("misheard.jsonl")):
        if kept["set"] in over:
            yield Sample(seen(over[kept["set"]], kept["heard"]), kept["label"], Kind.MISHEARD)
