"""What two looks leave open is heard in other ways, and done only where the sound and every look agree."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from schemas.match import Match, MatchKind, Reason
from tests.doubles.looks import (
    CANCEL,
    CLOSEST,
    MATCHES,
    SURE_LOG,
    Ears,
    Words,
    hearing_of_text,
)
from voice.bot.turns import CLEAR
from voice.bot.understanding import Understanding
from voice.services.errors import SpeechBusy
from voice.services.hearing import Look, Weight


async def test_a_guess_that_nothing_confirms_is_asked_back() -> None:
    """The better recogniser is busy: what no form has, the small one alone may not start."""
    MATCHES["pop it in a zip"] = Match(
        kind=MatchKind.ACCEPT,
        reason=Reason.CLEAR,
        best=SURE_LOG.model_copy(update={"is_guessed": True, "is_as_written": True}),
        text="x",
    )

    class Busy(Ears):
        async def look_again(self, pcm: bytes, heard: str) -> Look:
            raise SpeechBusy("busy", 1.0)

    understanding = Understanding(Words(), lambda: False)
    understanding.listen_to(lambda: hearing_of_text("pop it in a zip", Busy("-")))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is MatchKind.DOUBTFUL


class _Misheard(Ears):
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
    understanding = Understanding(Words(), lambda: False)
    ears = _Misheard(sounds_like)
    understanding.listen_to(lambda: hearing_of_text("the weather", ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind == kind
    assert ears.further_looks == 1


async def test_what_two_looks_settle_is_not_looked_at_further() -> None:
    """It takes a second."""
    ears = Ears("compress the error log")
    ears.go.set()
    understanding = Understanding(Words(), lambda: False)
    assert await understanding.closer_patience(hearing_of_text("compass the error lock", ears)) == CLEAR
    assert not ears.further_looks


async def test_what_names_nothing_is_not_looked_at_further() -> None:
    """People who talk among themselves are not kept waiting."""

    class Noting(Words):
        has_names = False

    understanding, ears = Understanding(Noting(), lambda: False), _Misheard("compress the error log")
    understanding.listen_to(lambda: hearing_of_text("the weather", ears))
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
    understanding, ears = Understanding(Words(), lambda: False), _Misheard("compress the error log")
    ears.further = further
    understanding.listen_to(lambda: hearing_of_text(heard, ears))
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

    understanding = Understanding(Words(), lambda: False)
    understanding.listen_to(lambda: hearing_of_text("the weather", Garbled("compress the error log")))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is kind


async def test_half_of_a_request_becomes_one_where_further_looks_agree() -> None:
    """Both models lost a word of it; two of three looks that listen for requests have it, and the sound is that."""
    understanding, ears = Understanding(Words(), lambda: False), _Misheard("compress the error log")
    ears.further = ["compress the error log", "compress", "compress the error log"]
    understanding.listen_to(lambda: hearing_of_text("compress", ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is MatchKind.ACCEPT


class _Nameless(Words):
    has_names = False


@pytest.mark.parametrize(
    ("sounds_like", "words", "kind"),
    [
        ("cancel", _Nameless(), MatchKind.ACCEPT),
        ("council", _Nameless(), MatchKind.UNKNOWN),
        ("cancel", Words(), MatchKind.UNKNOWN),
    ],
    ids=["it is one of that", "it is not", "something in the store is named"],
)
async def test_a_word_that_was_misheard_is_held_against_all_that_is_said_so_briefly(
    sounds_like: str, words: Words, kind: MatchKind
) -> None:
    """Both models write something else; so sure the better one of them need not be."""
    understanding, ears = Understanding(words, lambda: False), _Unsure("cancer", sounds_like)
    understanding.listen_to(lambda: hearing_of_text("council", ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is kind


@pytest.mark.parametrize(("words", "kind"), [(_Nameless(), MatchKind.ACCEPT), (Words(), MatchKind.UNKNOWN)])
async def test_who_speaks_of_a_file_cancels_nothing_by_a_likeness(words: Words, kind: MatchKind) -> None:
    """ "I have to mail the draft so zip it up" was written "... so leave it up"."""
    MATCHES["mail the draft so leave it up"] = MATCHES["mail the draft so live it up"] = MATCHES["the weather"]
    cancel = CANCEL.model_copy(update={"wording": "mail the draft so leave it"})
    CLOSEST["mail the draft so leave it up"] = [cancel]
    understanding, ears = Understanding(words, lambda: False), Ears("mail the draft so live it up")
    ears.go.set()
    likely = {"mail the draft so leave it": -1.0, "mail the draft so leave it up": -1.0}
    ears.likely |= likely
    understanding.listen_to(lambda: hearing_of_text("mail the draft so leave it up", ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=False)).kind is kind


async def test_a_misheard_answer_is_not_taken_for_a_request() -> None:
    """While a question is open, a word or two are its answer."""
    understanding, ears = Understanding(_Nameless(), lambda: True), _Unsure("cancer", "cancel")
    understanding.listen_to(lambda: hearing_of_text("council", ears))
    ear = understanding.take_heard()
    assert ear is not None
    assert (await ear.match(answer_expected=True)).kind is MatchKind.UNKNOWN


class _Unsure(Ears):
    """Models that write one thing, unsurely, and find another one likely."""

    def __init__(self, text: str, sounds_like: str) -> None:
        super().__init__(text)
        self._sounds_like = sounds_like

    async def look_again(self, pcm: bytes, heard: str) -> Look:
        return Look(((self._text, -1.8),), 0.0)

    def _weight(self, text: str) -> Weight:
        return Weight(-1.0 if text.lower().strip(".") == self._sounds_like else -20.0, 2)
