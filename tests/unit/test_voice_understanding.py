"""An utterance is understood once, as early as possible, and for everybody who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from schemas.match import Match, MatchKind
from tests.doubles.looks import (
    Ears,
    Words,
    hearing_of_text,
)
from voice.bot.turns import CLEAR, DOUBTFUL, UNFINISHED
from voice.bot.understanding import Understanding
from voice.services.hearing import Look, Weight


@pytest.mark.parametrize(
    ("text", "patience"),
    [("compress the error log", CLEAR), ("compass the error lock", DOUBTFUL), ("compress", UNFINISHED)],
)
def test_words_decide_how_long_a_turn_waits(text: str, patience: object) -> None:
    """A whole command ends at once, half of one is waited for."""
    understanding = Understanding(Words(), lambda: False)
    assert understanding.patience(hearing_of_text(text, Ears("-"))) == patience


async def test_what_was_understood_before_the_turn_ended_is_not_worked_out_again() -> None:
    """The closer look that shortens the turn is the answer to it; who waited for it may be gone by then."""
    ears = Ears("compress the error log")
    hearing = hearing_of_text("compass the error lock", ears)
    understanding = Understanding(Words(), lambda: False)
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
    ears = Ears("compress the error log")
    ears.go.set()
    understanding = Understanding(Words(), lambda: False)
    assert await understanding.closer_patience(hearing_of_text("compass the error lock", ears)) == CLEAR
    assert await understanding.closer_patience(hearing_of_text("compress the error log", ears)) is None
    assert ears.looks == 1


@pytest.mark.parametrize(
    ("written", "likely", "is_weighed"),
    [
        ("the weather", {}, False),
        ("compass the error lock", {}, False),
        ("compass the other lock", {}, True),
        ("compress the other log", {}, True),
        ("the weather", {"the weather": -1.0, "compress the error log": -60.0}, True),
        ("do not compress the error log", {}, True),
    ],
)
async def test_what_the_better_model_wrote_word_for_word_is_not_weighed(
    written: str, likely: dict[str, float], is_weighed: bool
) -> None:
    """But where the small one wrote another request or a denial, or finds it impossible, it is."""
    ears = Ears("compress the error log")
    ears.go.set()
    ears.likely |= likely
    understanding = Understanding(Words(), lambda: False)
    assert await understanding.closer_patience(hearing_of_text(written, ears)) is not None
    assert bool(ears.weighed) is is_weighed


async def test_words_that_were_followed_by_others_are_not_understood_to_the_end() -> None:
    """The models are left to what is said now."""
    ears = Ears("compress the error log")
    understanding = Understanding(Words(), lambda: False)
    first = asyncio.create_task(understanding.closer_patience(hearing_of_text("compass the error lock", ears)))
    await asyncio.sleep(0.01)
    ears.go.set()
    assert await understanding.closer_patience(hearing_of_text("compass the error lock", ears)) == CLEAR
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_an_answer_that_became_expected_is_understood_anew() -> None:
    """A "no" is an answer only while there is a question."""
    asked: list[bool] = []

    class Noting(Words):
        def understand(
            self, hypotheses: Sequence[tuple[str, float]], *, answer_expected: bool, is_typed: bool = False
        ) -> Match:
            asked.append(answer_expected)
            return super().understand(hypotheses, answer_expected=answer_expected, is_typed=is_typed)

    ears = Ears("compress the error log")
    ears.go.set()
    hearing = hearing_of_text("compass the error lock", ears)
    understanding = Understanding(Noting(), lambda: False)
    understanding.listen_to(lambda: hearing)
    await understanding.closer_patience(hearing)
    asked.clear()
    ear = understanding.take_heard()
    assert ear is not None
    await ear.match(answer_expected=True)
    assert asked
    assert all(asked)


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

    class Changing(Ears):
        async def look_again(self, pcm: bytes, heard: str) -> Look:
            return Look(((again, -0.1),), 0.0)

        def _weight(self, text: str) -> Weight:
            return Weight({sounds_like: -3.0, again: -2.0}.get(text.lower().strip("."), -60.0), 5)

    understanding = Understanding(Words(), lambda: False)
    understanding.listen_to(lambda: hearing_of_text(written, Changing("-")))
    ear = understanding.take_heard()
    assert ear is not None
    match = await ear.match(answer_expected=False)
    assert match.kind == kind
