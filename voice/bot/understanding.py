"""From sound or text to a match: n-best lists, a second look where the first is doubtful, and the sound as the judge.

Gate, turn taking and intent all ask here, so that one utterance has one meaning.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from schemas.control import CONTROLS
from schemas.match import Match, MatchKind, Reading, Reason
from schemas.template import Template
from voice.bot import proposals, verdicts, verification
from voice.bot.turns import CLEAR, DOUBTFUL, UNFINISHED, Patience
from voice.bot.verification import Weighed
from voice.services.hearing import Hearing, Look

#: Seconds that a second look may take; after that the first one has to do. These bounds are for a machine that is
#: overloaded: where it is only slow, an answer that is late is better than one that is asked back.
_SECOND_LOOK_S = 4.0
#: The same for holding what may have been meant against the sound.
_WEIGHING_S = 3.0
#: The same for all further looks, and for all that comes of them.
_FURTHER_LOOKS_S, _FURTHER_S = 4.0, 9.0
#: The same for the small model alone, which needs a tenth of it.
_CONFIRMING_S = 1.0
#: The same for all of it together. What is found out by then is what there is.
_UNDERSTANDING_S = 14.0
#: Further looks that must agree where the first ones heard half of a request.
_AGREED = 2

T = TypeVar("T")


class Words(Protocol):
    """The vocabulary."""

    @property
    def remotes(self) -> Sequence[str]:
        """The objects whose names are known."""
        ...

    @property
    def templates(self) -> Mapping[str, Template]:
        """What can be asked for, by name."""
        ...

    def understand(
        self, hypotheses: Sequence[tuple[str, float]], *, answer_expected: bool, is_typed: bool = False
    ) -> Match:
        """What is meant; nobody can have misheard what was typed."""
        ...

    def is_about_names(self, said: Sequence[str]) -> bool:
        """Whether something in the store is named in one of several hearings."""
        ...

    def forbids(self, said: Sequence[str]) -> bool:
        """Whether one of several hearings asks for nothing, or takes something back."""
        ...

    def closest(self, said: Sequence[str]) -> Sequence[Reading]:
        """The requests most like what was said, and their rivals, where no form fits it."""
        ...

    def brief(self, said: Sequence[str]) -> Sequence[Reading]:
        """The nearest of what is said in a few words to ask for status, help and the like."""
        ...

    def repaired(self, said: Sequence[str], heard: Sequence[str]) -> Sequence[Reading]:
        """The requests that a few misheard words make of what was said, those among all that was heard, and rivals."""
        ...


class Ear(Protocol):
    """One complete turn, not understood yet."""

    async def match(self, *, answer_expected: bool) -> Match:
        """What is meant by it."""
        ...


class Understanding:
    """One session's view of what is said.

    Args:
        words: the vocabulary, shared by all sessions.
        awaits_answer: whether a question is open now.
    """

    def __init__(self, words: Words, awaits_answer: Callable[[], bool]) -> None:
        self._words = words
        self._awaits_answer = awaits_answer
        self._take: Callable[[], Hearing | None] = lambda: None
        self._latest: _Heard | None = None

    @property
    def remotes(self) -> Sequence[str]:
        """The objects whose names are known."""
        return self._words.remotes

    def listen_to(self, take: Callable[[], Hearing | None]) -> None:
        """Where hearings come from (the gate)."""
        self._take = take

    def take_heard(self) -> Ear | None:
        """The turn that has just ended, or None if nothing was let through."""
        hearing = self._take()
        if hearing is None:
            return None
        heard = self._heard(hearing)
        # From here on it belongs to who asked.
        self._latest = None
        return heard

    def of_text(self, text: str) -> Ear:
        """A typed turn."""
        return _Typed(self._words, text)

    def is_command(self, hearing: Hearing) -> bool:
        """Whether the words are something that is acted on now, so that they interrupt the bot."""
        return self._first(hearing).kind is MatchKind.ACCEPT

    def patience(self, hearing: Hearing) -> Patience:
        """How long the turn waits for more words than these."""
        return _patience_for(self._first(hearing))

    async def closer_patience(self, hearing: Hearing) -> Patience | None:
        """The same once it is understood; what that takes is not done again when the turn has ended."""
        if not self._first(hearing).wants_second_look:
            return None
        # Who waits here is told to stop as soon as the turn ends, and then the work is wanted most.
        match = await asyncio.shield(self._heard(hearing).begin(answer_expected=self._awaits_answer()))
        return _patience_for(match)

    def _heard(self, hearing: Hearing) -> _Heard:
        if self._latest is None or self._latest.hearing is not hearing:
            if self._latest is not None:
                self._latest.forget()
            self._latest = _Heard(self._words, hearing)
        return self._latest

    def _first(self, hearing: Hearing) -> Match:
        return self._words.understand(hearing.hypotheses, answer_expected=self._awaits_answer())


class _Heard:
    """A turn so far; what is understood of it is found out once, perhaps before it has ended."""

    def __init__(self, words: Words, hearing: Hearing) -> None:
        self._words, self.hearing = words, hearing
        self._work: asyncio.Task[Match] | None = None
        self._answer_expected = False
        # How likely each meaning is whose sentences were weighed, those of what nothing here does among them.
        self._known: dict[tuple[str, ...], float] = {}
        self._ends_at_s = 0.0

    def begin(self, *, answer_expected: bool) -> asyncio.Task[Match]:
        """Begin to understand it, unless that was begun under the same expectation."""
        if self._work is None or self._answer_expected is not answer_expected:
            self.forget()
            self._answer_expected = answer_expected
            self._work = asyncio.create_task(self._understand(answer_expected=answer_expected))
        return self._work

    def forget(self) -> None:
        """Nobody asks any more."""
        if self._work is not None:
            self._work.cancel()

    async def match(self, *, answer_expected: bool) -> Match:
        """What is meant; the sound is let go."""
        try:
            return await self.begin(answer_expected=answer_expected)
        finally:
            self.hearing.release()

    async def _understand(self, *, answer_expected: bool) -> Match:
        """The first look; where it is doubtful, the second, and what the sound says of both."""
        self._ends_at_s = asyncio.get_running_loop().time() + _UNDERSTANDING_S
        hearing, templates = self.hearing, self._words.templates
        first = self._words.understand(hearing.hypotheses, answer_expected=answer_expected)
        if not first.wants_second_look:
            return first
        if verdicts.is_only_near(first) and verification.undisputed(first, [hearing.text]) is first:
            # Three of four are confirmed, and sooner where the better model is not at work beside it.
            confirming = verification.confirms(hearing, first, templates)
            if await self._within(_CONFIRMING_S, confirming):
                return first
        again = await self._looked_again(first)
        if again is None or not again.hypotheses:
            return verdicts.unconfirmed(first)
        second = self._words.understand(again.hypotheses, answer_expected=answer_expected)
        is_invented = first.kind is MatchKind.UNKNOWN and not verdicts.is_sure(again)
        choosing = verification.of_better_words(hearing, first, second, [hearing.text, again.text])
        second = await self._within(_WEIGHING_S, choosing) or second
        settled = first if is_invented else verdicts.settle(first, second)
        held = settled
        if is_invented or not await self._is_plain(first, second, again):
            held = await self._held_against_sound(settled, verification.readings_of(settled, first, second), again)
        if held.kind is not MatchKind.ACCEPT and not is_invented:
            held = await self._proposed(held, again, [])
        if held.kind is not MatchKind.ACCEPT and not is_invented:
            # Half of a request must not become another one.
            least = _AGREED if Reason.UNFINISHED in {first.reason, second.reason} else 0
            further = self._heard_further(held, again, least, answer_expected=answer_expected)
            held = await self._within(_FURTHER_S, further) or held
        if not answer_expected and verdicts.may_be_brief(held, first, second):
            held = await self._said_briefly(held, again)
        held = verification.uncontradicted(held, first, second)
        return verification.undisputed(held, [hearing.text, again.text])

    async def _looked_again(self, first: Match) -> Hearing | None:
        """The second look; beside it the small model sketches what will be held against the sound."""
        looking = asyncio.create_task(self._within(_SECOND_LOOK_S, self.hearing.second_look()))
        readings = verification.readings_of(first)
        await self._within(_WEIGHING_S, verification.sketch(self.hearing, readings, self._words.templates))
        return await looking

    async def _is_plain(self, first: Match, second: Match, again: Hearing) -> bool:
        """Whether the better model wrote a request word for word and nothing speaks against it: it is not weighed."""
        written = [self.hearing.text, again.text]
        alone = self._words.understand(again.hypotheses[:1], answer_expected=self._answer_expected)
        if not verdicts.is_plain(first, second, alone) or self._words.forbids(written):
            return False
        return bool(await self._within(_WEIGHING_S, verification.bears_out(self.hearing, again.text)))

    async def _held_against_sound(
        self, settled: Match, readings: Sequence[Reading], again: Hearing, *, is_further: bool = False
    ) -> Match:
        if not readings:
            return settled
        written = [self.hearing.text, again.text]
        weighing = verification.weigh(self.hearing, readings, written, self._words.templates)
        found = self._noted(await self._within(_WEIGHING_S, weighing) or [], is_further)
        return verification.verified(settled, found, written)

    async def _heard_further(self, unsure: Match, again: Hearing, least: int, *, answer_expected: bool) -> Match:
        """What the same sound is taken for when it is heard in other ways, if it may be a request at all.

        At least `least` of them must clearly be what comes of it.
        """
        written = [self.hearing.text, again.text]
        heard = [text for look in (self.hearing, again) for text, _ in look.hypotheses]
        if self._words.forbids(written):
            return unsure
        if unsure.best is None and not await self._is_about_names(heard):
            return unsure
        looks = await self.hearing.further_looks(_FURTHER_LOOKS_S)
        texts = [look.text for look in looks]
        if not looks or self._words.forbids(texts):
            return unsure
        found = [self._words.understand(look.hypotheses, answer_expected=answer_expected) for look in looks]
        agreed = Counter(match.best.meaning for match in found if match.kind is MatchKind.ACCEPT and match.best)
        if max(agreed.values(), default=0) < least:
            return unsure
        held = await self._held_against_sound(unsure, verification.readings_of(*found), again, is_further=True)
        if held.kind is not MatchKind.ACCEPT:
            held = await self._proposed(held, again, looks)
        if held.kind is MatchKind.ACCEPT and held.best is not None and agreed[held.best.meaning] < least:
            return unsure
        # Each of them may say that it is something else.
        clear = verdicts.clear(looks, found, held)
        held = verification.uncontradicted(
            held, *(match for look, match in zip(looks, found, strict=True) if look in clear)
        )
        for text in texts:
            held = verification.undisputed(held, [text])
        return verification.unshortened(held, [*written, *(look.text for look in clear)])

    async def _proposed(self, unsure: Match, again: Hearing, looks: Sequence[Look]) -> Match:
        """What words do not tell, whole sentences may: those like what was written, and it with a word repaired."""
        written = [self.hearing.text, again.text]
        heard = [text for look in (self.hearing, again, *looks) for text, _ in look.hypotheses]
        said, is_further = [*written, *(look.text for look in looks)], bool(looks)
        sentences = await asyncio.to_thread(self._words.closest, said)
        match = proposals.closest(unsure, await self._weighed(sentences, written, is_further), written)
        # "I have to mail the draft so leave it up" is about the draft, and cancels nothing.
        is_control = match.best is not None and match.best.intent in CONTROLS
        if match.kind is MatchKind.ACCEPT and not (is_control and await self._is_about_names(written)):
            return match
        repairing = asyncio.to_thread(self._words.repaired, said, heard)
        sentences = await self._within(_WEIGHING_S, repairing) or []
        found = await self._weighed(sentences, written, is_further)
        return proposals.repaired(unsure, found, written, is_further=is_further)

    async def _said_briefly(self, unsure: Match, again: Hearing) -> Match:
        """A word or two give a recogniser little to go by, but there is little that they may be: it is all weighed."""
        written = [self.hearing.text, again.text]
        proposed = await asyncio.to_thread(self._words.brief, written)
        if not proposed or await self._is_about_names(written):
            return unsure
        weighing = proposals.weigh(self.hearing, proposed, written, is_ended=True)
        found = await self._within(_WEIGHING_S, weighing) or []
        return proposals.brief(unsure, found, written, again.hypotheses[0][1])

    async def _is_about_names(self, said: Sequence[str]) -> bool:
        return await asyncio.to_thread(self._words.is_about_names, said)

    async def _weighed(self, sentences: Sequence[Reading], written: Sequence[str], is_further: bool) -> list[Weighed]:
        if not sentences:
            return []
        weighing = proposals.weigh(self.hearing, sentences, written)
        return self._noted(await self._within(_WEIGHING_S, weighing) or [], is_further)

    async def _within(self, limit_s: float, work: Awaitable[T]) -> T | None:
        """What `work` gives, or None where it takes longer than `limit_s` seconds, or than there is time at all."""
        left_s = self._ends_at_s - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, min(limit_s, left_s))):
                return await work
        except TimeoutError:
            return None

    def _noted(self, found: list[Weighed], is_further: bool) -> list[Weighed]:
        """The same, but nothing where something else that was weighed before is nearly as likely."""
        known = dict(self._known)
        for one in found:
            self._known[one.reading.meaning] = max(one.log_prob, self._known.get(one.reading.meaning, one.log_prob))
        return proposals.unrivalled(found, known) if is_further else found


class _Typed:
    def __init__(self, words: Words, text: str) -> None:
        self._words, self._text = words, text

    async def match(self, *, answer_expected: bool) -> Match:
        """Text is its only reading."""
        return self._words.understand(((self._text, 0.0),), answer_expected=answer_expected, is_typed=True)


def _patience_for(match: Match) -> Patience:
    if match.reason is Reason.UNFINISHED:
        return UNFINISHED
    return CLEAR if match.kind is MatchKind.ACCEPT else DOUBTFUL
