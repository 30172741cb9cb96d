"""The verdict on an utterance, and the rule by which it is reached.

A clear match acts, a doubtful one is asked back, anything else is nothing. Every constant of the rule stands here;
``benchmarks/matching.py`` measures what they do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import Field

from schemas.document import Document
from schemas.grammar import UNFINISHED, Frame
from schemas.lexicon import Found
from schemas.strangers import is_literal

#: Least total score to act, of a frame's own words, and of a form without slots.
ACCEPT, ACCEPT_FIXED, ACCEPT_SLOTLESS = 80.0, 70.0, 90.0
#: Least score of a long name, and what each letter that it is shorter adds: short names are near to anything.
ACCEPT_NAME, LONG_NAME, SHORT_NAME_STEP = 62.0, 10, 2.0
#: More that is asked of a name beside free text, and of a kind of task.
LOOSE_NAME = 10.0
#: Distance to the next meaning.
MARGIN = 4.0
#: What it costs among meanings to leave words unexplained.
STRANGERS_COST = 6.0
#: From here on it is asked back: the total, how much a name may fall short, and a form without slots.
ASK, ASK_NAME_SHORT, ASK_SLOTLESS = 70.0, 10.0, 84.0
#: Below this, a better recogniser should listen again before anything is said.
SECOND_LOOK = 84.0
#: One or two words alone need at least this average log probability: fillers are written as words, but unsurely.
LEAST_LOG_PROB, FEW_WORDS = -1.5, 2
#: Other readings that are reported.
MAX_OTHERS = 3
#: Letters of fixed words from which on "which one?" is a sensible answer to a name that is not known.
WHICH_LETTERS = 8


class MatchKind(StrEnum):
    """What to do: act, ask back, or say that it was not understood."""

    ACCEPT = "accept"
    DOUBTFUL = "doubtful"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why it is not a clear match, or that it is."""

    CLEAR = "clear"
    NOTHING = "nothing"  # no words, or no frame near them
    UNSURE = "unsure"  # the words are near a request, but not near enough
    WHICH = "which"  # the request is clear, the name in it is not
    NAMESAKES = "namesakes"  # several objects have the name
    TIE = "tie"  # two meanings are equally near
    UNFINISHED = "unfinished"  # only a part of a request; the rest may follow


class Hypothesis(Document):
    """One reading of a recogniser, with its average log probability; typed text has 0."""

    text: str
    log_prob: float = 0.0


class Reading(Document):
    """One meaning.

    Attributes:
        intent: a template's name or a `ControlIntent` value.
        slots: values for `Template.render`.
        spoken: the same as they are said, for `Template.say`.
        meaning: what would be done: the intent and the values, but for free text, which every look spells in its way.
        weakest: the lowest score of a name in it, 100 without names.
        has_text: it holds free text, which nothing but a better recogniser can check.
        around: what was said before and behind the request itself.
        forms: what stands in each slot, in the spelling of `schemas.wording`.
        wording: the whole request as it would have been said if this is what was meant.
        is_literal: its own words and the names in it were said word for word.
        is_led: what was said before it leads into a request ("could you", not "I").
        is_guessed: no form has these words; a model took them for it.
        is_as_written: `wording` is what the recogniser wrote, so that the sound cannot but agree with it.
    """

    intent: str
    slots: dict[str, str] = Field(default_factory=dict)
    spoken: dict[str, str] = Field(default_factory=dict)
    meaning: tuple[str, ...] = ()
    score: float
    weakest: float = 100.0
    has_text: bool = False
    around: tuple[str, str] = ("", "")
    forms: dict[str, str] = Field(default_factory=dict)
    wording: str = ""
    is_literal: bool = True
    is_led: bool = True
    is_guessed: bool = False
    is_as_written: bool = False

    def worded(self, pattern: str) -> str:
        """The whole request as it would have been said in the form of `pattern`."""
        own = re.sub(r"\{(\w+)\}", lambda slot: self.forms[slot[1]], pattern)
        return " ".join(part for part in (self.around[0], own) if part) + self.around[1]


class Match(Document):
    """The verdict. `best` is what to do or to ask; `others` are the next meanings, best first."""

    kind: MatchKind
    reason: Reason
    best: Reading | None = None
    others: tuple[Reading, ...] = ()
    text: str = ""

    @property
    def intent(self) -> str | None:
        """The intent to act on or to ask about."""
        return None if self.kind is MatchKind.UNKNOWN or self.best is None else self.best.intent

    @property
    def wants_second_look(self) -> bool:
        """Whether a better recogniser should listen before this is acted on or answered."""
        if self.kind is not MatchKind.ACCEPT or self.best is None:
            return True
        best = self.best
        return best.has_text or best.is_as_written or not best.is_literal or best.score < SECOND_LOOK


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame with its slots filled.

    Attributes:
        meaning: what would be done. Free text is no part of it: candidates that differ in it alone do not compete.
        fixed: the score of the frame's own words alone.
        rank: orders candidates of one meaning: the score, and more of the frame's own words where that is equal.
        around, forms: see `Reading`.
        strangers: words that nothing explains.
        sureness: how much more is asked of its names than of those in a pattern.
        named: what was said where each name stands, with that name.
        origin: what was said, where the words of the frame are not it.
    """

    frame: Frame
    filled: Mapping[str, Found]
    meaning: tuple[str, ...]
    score: float
    fixed: float
    rank: float
    around: tuple[str, str] = ("", "")
    forms: Mapping[str, str] = field(default_factory=dict[str, str])
    strangers: int = 0
    sureness: float = 0.0
    is_literal_but_names: bool = True
    is_led: bool = True
    named: Sequence[tuple[str, str]] = ()
    origin: str = ""

    @property
    def is_literal(self) -> bool:
        """Whether all of it was said word for word."""
        return self.is_literal_but_names and all(is_literal(*pair) for pair in self.named)

    @property
    def reading(self) -> Reading:
        """The candidate as it is reported."""
        return Reading(
            intent=self.frame.intent,
            slots={name: found.value for name, found in self.filled.items()},
            spoken={name: found.spoken for name, found in self.filled.items()},
            meaning=self.meaning,
            score=round(self.score, 2),
            weakest=round(min((found.score for found in self.filled.values()), default=100.0), 2),
            has_text=self.frame.has_text,
            around=self.around,
            forms=dict(self.forms),
            wording=self.worded,
            is_literal=self.is_literal,
            is_led=self.is_led,
            is_as_written=bool(self.origin),
        )

    @property
    def worded(self) -> str:
        """The whole request in the words of its frame, or in its own where these are others."""
        if self.origin:
            return self.origin
        said = [self.around[0]]
        for fixed, slot in zip(self.frame.fixed[:-1], self.frame.slots, strict=True):
            said += [fixed, self.forms[slot.name]]
        return " ".join(part for part in (*said, self.frame.fixed[-1]) if part) + self.around[1]

    @property
    def standing(self) -> float:
        """The score by which meanings compete: one that leaves words unexplained gives way to one that does not."""
        return self.score - STRANGERS_COST * (self.strangers > 0)

    @property
    def surplus(self) -> float:
        """How far the weakest name is above what its length asks for; negative below."""
        return min((found.score - least_name(found.form) for found in self.filled.values()), default=100.0)

    @property
    def is_clear(self) -> bool:
        """Whether it may be acted on, if nothing else is near."""
        if self.strangers:
            return False
        if not self.frame.slots:
            return self.score >= ACCEPT_SLOTLESS
        least = max(self.sureness, LOOSE_NAME if self.frame.has_text or self._is_about_a_task else 0.0)
        return self.score >= ACCEPT and self.fixed >= ACCEPT_FIXED and self.surplus >= least

    @property
    def can_ask_which(self) -> bool:
        """Whether its words are so clear that only the name in it is in question."""
        has_words = self.fixed >= ACCEPT and self.frame.letters >= WHICH_LETTERS
        return has_words and bool(self.frame.slots) and not self._is_about_a_task

    @property
    def _is_about_a_task(self) -> bool:
        return any(slot.kind == "task" for slot in self.frame.slots)

    @property
    def is_worth_asking(self) -> bool:
        """Whether "did you mean …?" is a sensible question."""
        if not self.frame.slots:
            return self.score >= ASK_SLOTLESS
        return self.score >= ASK and self.surplus >= -ASK_NAME_SHORT


def least_name(form: str) -> float:
    """The least score for a name of this form."""
    return ACCEPT_NAME + SHORT_NAME_STEP * max(0, LONG_NAME - len(form)) if form else 0.0


def doubted(match: Match) -> Match:
    """The same, to be asked back whatever the sound says: it would only confirm the words."""
    best = match.best and match.best.model_copy(update={"is_as_written": True})
    return match.model_copy(update={"kind": MatchKind.DOUBTFUL, "reason": Reason.UNSURE, "best": best})


def verdict(ranked: Sequence[Candidate], text: str, *, is_faint: bool, is_typed: bool) -> Match:
    """Decide on the meanings of an utterance, best first, each meaning once.

    Args:
        ranked: the meanings.
        text: what was said.
        is_faint: it is so little and so unsure that it is nothing.
        is_typed: nobody can have misheard it: what is only near is not it.
    """
    kind, reason = _decided(ranked, is_faint=is_faint)
    if kind is MatchKind.ACCEPT and is_typed and not ranked[0].is_literal:
        kind, reason = MatchKind.DOUBTFUL, Reason.UNSURE
    whole = [candidate for candidate in ranked if candidate.frame.intent != UNFINISHED]
    readings = [candidate.reading for candidate in whole[: MAX_OTHERS + 1]]
    has_best = reason not in {Reason.NOTHING, Reason.UNFINISHED}
    best = readings[0] if has_best else None
    others = readings[1:] if has_best else readings
    return Match(kind=kind, reason=reason, best=best, others=tuple(others[:MAX_OTHERS]), text=text)


def _decided(ranked: Sequence[Candidate], *, is_faint: bool) -> tuple[MatchKind, Reason]:
    if not ranked or is_faint:
        return MatchKind.UNKNOWN, Reason.NOTHING
    best = ranked[0]
    if best.frame.intent == UNFINISHED:
        return MatchKind.UNKNOWN, Reason.UNFINISHED if best.score >= ASK else Reason.NOTHING
    if not best.is_worth_asking:
        return MatchKind.UNKNOWN, Reason.WHICH if best.can_ask_which else Reason.NOTHING
    if not best.is_clear:
        return MatchKind.DOUBTFUL, Reason.UNSURE
    if len(ranked) > 1 and best.standing - ranked[1].standing < MARGIN:
        is_same = ranked[1].frame.intent == best.frame.intent
        return MatchKind.DOUBTFUL, Reason.NAMESAKES if is_same else Reason.TIE
    return MatchKind.ACCEPT, Reason.CLEAR
