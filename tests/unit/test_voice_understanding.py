"""An utterance is understood once, as early as possible, and for everybody who asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from infra.template_catalog import load_catalog
from schemas.match import Match, MatchKind, Reading, Reason
from voice.bot.turns import CLEAR, DOUBTFUL, UNFINISHED
from voice.bot.understanding import Understanding
from voice.services.errors import SpeechBusy
from voice.services.hearing import Hearing, Look, Weight

LOG = Reading.model_validate(
    {
        "intent": "compress",
        "slots": {"source": "logs/error-log.txt"},
        "meaning": ("compress", "logs/error-log.txt"),
        "forms": {"source": "the error log"},
        "score": 80.0,
        "wording": "compress the error log",
    }
)
SURE_LOG = LOG.model_copy(update={"score": 100.0})
MATCHES = {
    "compress the error log": Match(kind=MatchKind.ACCEPT, reason=Reason.CLEAR, best=SURE_LOG, text="x"),
    "compass the error lock": Match(kind=MatchKind.DOUBTFUL, reason=Reason.UNSURE, best=LOG, text="x"),
    "compress": Match(kind=MatchKind.UNKNOWN, reason=Reason.UNFINISHED, text="x"),
    "the weather": Match(kind=MatchKind.UNKNOWN, reason=Reason.NOTHING, text="x"),
}
OTHER = LOG.model_copy(update={"slots": {"source": "logs/other.txt"}, "meaning": ("compress", "logs/other.txt")})
MATCHES["compress the other log"] = Match(kind=MatchKind.ACCEPT, reason=Reason.CLEAR, best=OTHER, text="x")
#: What no words tell: the verb was misheard altogether.
CLOSEST = {"comes the error lock": [LOG]}
#: One word of it was misheard.
REPAIRED = {"would you press the error lock": [LOG.model_copy(update={"wording": "would you compress the error log"})]}
MATCHES["would you press the error lock"] = MATCHES["would you press the error log"] = MATCHES["the weather"]
MATCHES["comes the error lock"] = MATCHES["come the error log"] = MATCHES["the weather"]


#: A word or two that were misheard altogether.
CANCEL = Reading(intent="cancel", meaning=("cancel",), score=70.0, wording="cancel")
BRIEF = {"council": [CANCEL]}
MATCHES["the weather and vinegar tomorrow"] = MATCHES["the weather"]
MATCHES["council"] = MATCHES["cancer"] = MATCHES["the weather"]


class _Words:
    remotes: Sequence[str] = ()
    templates = load_catalog().templates
    has_names = True

    def understand(
        self, hypotheses: Sequence[tuple[str, float]], *, answer_expected: bool, is_typed: bool = False
    ) -> Match:
        return MATCHES[hypotheses[0][0]]

    def is_about_names(self, said: Sequence[str]) -> bool:
        return self.has_names

    def forbids(self, said: Sequence[str]) -> bool:
        return any("do not" in text for text in said)

    def closest(self, said: Sequence[str]) -> Sequence[Reading]:
        return CLOSEST.get(said[0], ())

    def brief(self, said: Sequence[str]) -> Sequence[Reading]:
        return BRIEF.get(said[0], ())

    def repaired(self, said: Sequence[str], heard: Sequence[str]) -> Sequence[Reading]:
        return REPAIRED.get(said[0], ())


class _Ears:
    """A better model that hears one text, as soon as it may; the sound is what it heard."""

    def __init__(self, text: str) -> None:
        self._text, self.looks, self.go = text, 0, asyncio.Event()
        self.further: list[str] = []
        self.likely: dict[str, float] = {text: -1.0}
        self.further_looks = 0
        self.weighed: list[str] = []

    async def look_again(self, pcm: bytes, heard: str) -> Look:
        self.looks += 1
        await self.go.wait()
        return Look(((self._text, -0.1),), 0.0)

    async def look_further(self, pcm: bytes, heard: str) -> AsyncIterator[Look]:
        self.further_looks += 1
        for text in self.further:
            yield Look(((text, -0.2),), 0.0)

    async def sketch(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        return [self._weight(text) for text in texts]

    async def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        self.weighed.extend(texts)
        return [self._weight(text) for text in texts]

    def _weight(self, text: str) -> Weight:
        return Weight(self.likely.get(text.lower().strip("."), -40.0), 5)


def _hearing(text: str, ears: _Ears) -> Hearing:
    return Hearing(Look(((text, -0.3),), 0.0), b"pcm", ears)


@pytest.mark.parametrize(
    ("text", "patience"),
    [("compress the error log", CLEAR), ("compass the error lock", DOUBTFUL), ("compress", UNFINISHED)],
)
def test_words_decide_how_long_a_turn_waits(text: str, patience: object) -> None:
    """A whole command ends at once, half of one is waited for."""
    understanding = Understanding(_Words(), lambda: False)
    assert understanding.patience(_hearing(text, _Ears("-"))) == patience


async def test_what_was_understood_before_the_turn_ended_is_not_worked_out_again() -> None:
    """The closer look that shortens the turn is the answer to it; who waited for it may be gone by then."""
    ears = _Ears("compress the error log")
    hearing = _hearing("compass the error lock", ears)
    understanding = Understanding(_Words(), lambda: False)
    understanding.listen_to(lambda: hearing)
    waiting = asyncio.create_task(understanding.closer_patience(hearing))
    await asyncio.sleep(0.01)
    waiting.cancel()
    ear = understanding.take_heard()
    assert ear is not None
    ears.go.set()
    match = await ear.match(answer_expected=False)
    assert match.kind is MatchKind.ACCEPT
    assert ears.looks == 1


async def test_a_closer_look_that_settles_the_doubt_ends_the_wait() -> None:
    """What both models and the sound agree on need not wait for more words; what was clear needs no closer look."""
    ears = _Ears("compress the error log")
    ears.go.set()
    understanding = Understanding(_Words(), lambda: False)
    assert await understanding.closer_patience(_hearing("compass the error lock", ears)) == CLEAR
    assert await understanding.closer_patience(_hearing("compress the error log", ears)) is None
    assert ears.looks == 1


async def test_what_the_better_model_wrote_word_for_word_needs_no_proof() -> None:
    """Weighing costs as much again as the look; it is for words that fit a request only nearly, or two requests."""
    ears = _Ears("compress the error log")
    ears.go.set()
    understanding = Understanding(_Words(), lambda: False)
    assert await understanding.closer_patience(_hearing("the weather", ears)) == CLEAR
    assert not ears.weighed
    assert await understanding.closer_patience(_hearing("compress the other log", ears)) is not None
    assert ears.weighed, "the small model wrote another request"


async def test_words_that_were_followed_by_others_are_not_understood_to_the_end() -> None:
    """The models are left to what is said now."""
    ears = _Ears("compress the error log")
    understanding = Understanding(_Words(), lambda: False)
    first = asyncio.create_task(understanding.closer_patience(_hearing("compass the error lock", ears)))
    await asyncio.sleep(0.01)
    ears.go.set()
    assert await understanding.closer_patience(_hearing("compass the error lock", ears)) == CLEAR
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_an_answer_that_became_expected_is_understood_anew() -> None:
    """A "no" is an answer only while there is a question."""
    asked: list[bool] = []

    class Words(_Words):
        def understand(
            self, hypotheses: Sequence[tuple[str, float]], *, answer_expected: bool, is_typed: bool = False
        ) -> Match:
            asked.append(answer_expected)
            return super().understand(hypotheses, answer_expected=answer_expected, is_typed=is_typed)

    ears = _Ears("compress the error log")
    ears.go.set()
    hearing = _hearing("compass the error lock", ears)
    understanding = Understanding(Words(), lambda: False)
    understanding.listen_to(lambda: hearing)
    await understanding.closer_patience(hearing)
    asked.clear()
    ear = understanding.take_heard()
    assert ear is not None
    await ear.match(answer_expected=True)
    assert asked == [True, True]


@pytest.mark.parametrize(
    ("written", "sounds_like", "kind"),
    [
        ("comes the error lock", "compress the error log", "accept"),
        ("comes the error lock", "another", "unknown"),
        ("would you press the error lock", "would you compress the error log", "accept"),
        ("would you press the error lock", "another", "unknown"),
    ],
)
async def test_where_words_tell_nothing_the_sound_of_whole_sentences_may(
    written: str, sounds_like: str, kind: str
) -> None:
    """No form fits what either model wrote; the request that the sound is sure of is done, and no other."""
    again = written.replace("comes", "come").replace("lock", "log")

    class Ears(_Ears):
        async def look_again(self, pcm: bytes, heard: str) -> Look:
            return Look(((again, -0.1),), 0.0)

        def _weight(self, text: str) -> Weight:
            return Weight({sounds_like: -3.0, again: -2.0}.get(text.lower().strip("."), -60.0), 5)

    understanding = Understanding(_Words(), lambda: False)
    understanding.listen_to(lambda: _hearing(written, Ears("-")))
    ear = understanding.take_heard()
    assert ear is not None
    match = await ear.match(answer_expected=False)
    assert match.kind == kind


async def test_a_guess_that_nothing_confirms_is_asked_back() -> None:
    """The better recogniser is busy: what no form has, the small one alone may not start."""
    MATCHES["pop it in a zip"] = Match(
        kind=MatchKind.ACCEPT,
        reason=Reason.CLEAR,
        best=SURE_LOG.model_copy(update={"is_guessed": True, "is_as_written": True}),
        text="x",
    )

    class Busy(_Ears):
        async def look_again(self, pcm: bytes, heard: str) -> Look:
            raise SpeechBusy("busy", 1.0)

    understanding = Understanding(_Words(), lambda: False)
    understanding.listen_to(lambda: _hearing("pop it in a zip", Busy("-")))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is MatchKind.DOUBTFUL


class _Misheard(_Ears):
    """Both models write what is none; told what can be asked for, the better one writes a request."""

    def __init__(self, sounds_like: str) -> None:
        super().__init__("the weather")
        self.go.set()
        self.further, self._sounds_like = ["compress the error log"], sounds_like

    def _weight(self, text: str) -> Weight:
        return Weight({self._sounds_like: -3.0, "the weather": -2.0}.get(text.lower().strip("."), -60.0), 5)


@pytest.mark.parametrize(("sounds_like", "kind"), [("compress the error log", "accept"), ("another", "unknown")])
async def test_what_a_further_look_hears_is_done_only_if_the_sound_is_that(sounds_like: str, kind: str) -> None:
    """Who listens for requests hears some in what is none."""
    understanding = Understanding(_Words(), lambda: False)
    ears = _Misheard(sounds_like)
    understanding.listen_to(lambda: _hearing("the weather", ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind == kind
    assert ears.further_looks == 1


async def test_what_two_looks_settle_is_not_looked_at_further() -> None:
    """It takes a second."""
    ears = _Ears("compress the error log")
    ears.go.set()
    understanding = Understanding(_Words(), lambda: False)
    assert await understanding.closer_patience(_hearing("compass the error lock", ears)) == CLEAR
    assert not ears.further_looks


async def test_what_names_nothing_is_not_looked_at_further() -> None:
    """People who talk among themselves are not kept waiting."""

    class Words(_Words):
        has_names = False

    understanding, ears = Understanding(Words(), lambda: False), _Misheard("compress the error log")
    understanding.listen_to(lambda: _hearing("the weather", ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is MatchKind.UNKNOWN
    assert not ears.further_looks


MATCHES["do not compress the error log"] = MATCHES["the weather"]


@pytest.mark.parametrize(
    ("heard", "further", "looks"),
    [
        ("do not compress the error log", ["compress the error log"], 0),
        ("the weather", ["compress the error log", "do not compress the error log"], 1),
        ("compress", ["compress the error log", "compress"], 1),
    ],
    ids=["in the first look", "in a further one", "half of it"],
)
async def test_what_any_look_takes_back_is_not_started(heard: str, further: list[str], looks: int) -> None:
    """However sure the sound is of the rest; nor does half of a request become another one."""
    understanding, ears = Understanding(_Words(), lambda: False), _Misheard("compress the error log")
    ears.further = further
    understanding.listen_to(lambda: _hearing(heard, ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is MatchKind.UNKNOWN
    assert ears.further_looks == looks


@pytest.mark.parametrize(("log_prob", "kind"), [(-0.3, MatchKind.DOUBTFUL), (-1.4, MatchKind.ACCEPT)])
async def test_what_a_garbled_look_goes_on_with_is_no_objection(log_prob: float, kind: MatchKind) -> None:
    """A "tomorrow" behind it is written by more than the worst of five looks."""

    class Garbled(_Misheard):
        async def look_further(self, pcm: bytes, heard: str) -> AsyncIterator[Look]:
            yield Look((("compress the error log", -0.2),), 0.0)
            yield Look((("the weather and vinegar tomorrow", log_prob),), 0.0)

    understanding = Understanding(_Words(), lambda: False)
    understanding.listen_to(lambda: _hearing("the weather", Garbled("compress the error log")))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is kind


async def test_half_of_a_request_becomes_one_where_further_looks_agree() -> None:
    """Both models lost a word of it; two of three looks that listen for requests have it, and the sound is that."""
    understanding, ears = Understanding(_Words(), lambda: False), _Misheard("compress the error log")
    ears.further = ["compress the error log", "compress", "compress the error log"]
    understanding.listen_to(lambda: _hearing("compress", ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is MatchKind.ACCEPT


class _Nameless(_Words):
    has_names = False


@pytest.mark.parametrize(
    ("sounds_like", "words", "kind"),
    [
        ("cancel", _Nameless(), MatchKind.ACCEPT),
        ("council", _Nameless(), MatchKind.UNKNOWN),
        ("cancel", _Words(), MatchKind.UNKNOWN),
    ],
    ids=["it is one of that", "it is not", "something in the store is named"],
)
async def test_a_word_that_was_misheard_is_held_against_all_that_is_said_so_briefly(
    sounds_like: str, words: _Words, kind: MatchKind
) -> None:
    """Both models write something else; so sure the better one of them need not be."""
    understanding, ears = Understanding(words, lambda: False), _Unsure("cancer", sounds_like)
    understanding.listen_to(lambda: _hearing("council", ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is kind


@pytest.mark.parametrize(("words", "kind"), [(_Nameless(), MatchKind.ACCEPT), (_Words(), MatchKind.UNKNOWN)])
async def test_who_speaks_of_a_file_cancels_nothing_by_a_likeness(words: _Words, kind: MatchKind) -> None:
    """ "I have to mail the draft so zip it up" was written "... so leave it up"."""
    MATCHES["mail the draft so leave it up"] = MATCHES["mail the draft so live it up"] = MATCHES["the weather"]
    cancel = CANCEL.model_copy(update={"wording": "mail the draft so leave it"})
    CLOSEST["mail the draft so leave it up"] = [cancel]
    understanding, ears = Understanding(words, lambda: False), _Ears("mail the draft so live it up")
    ears.go.set()
    likely = {"mail the draft so leave it": -1.0, "mail the draft so leave it up": -1.0}
    ears.likely |= likely
    understanding.listen_to(lambda: _hearing("mail the draft so leave it up", ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is kind


async def test_a_misheard_answer_is_not_taken_for_a_request() -> None:
    """While a question is open, a word or two are its answer."""
    understanding, ears = Understanding(_Nameless(), lambda: True), _Unsure("cancer", "cancel")
    understanding.listen_to(lambda: _hearing("council", ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=True)).kind is MatchKind.UNKNOWN


class _Unsure(_Ears):
    """Models that write one thing, unsurely, and find another one likely."""

    def __init__(self, text: str, sounds_like: str) -> None:
        super().__init__(text)
        self._sounds_like = sounds_like

    async def look_again(self, pcm: bytes, heard: str) -> Look:
        return Look(((self._text, -1.8),), 0.0)

    def _weight(self, text: str) -> Weight:
        return Weight(-1.0 if text.lower().strip(".") == self._sounds_like else -20.0, 2)
