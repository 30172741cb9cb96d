"""What a turn's words are: the whole turn across pauses, a second look on demand, sound let go in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from voice.services.errors import SpeechBusy
from voice.services.hearing import (
    MAX_TURN_BYTES,
    Hearing,
    Hint,
    Look,
    NothingHeardFrame,
    TurnSound,
    Weight,
    hearing_of,
)
from voice.services.whisper import FURTHER_TEMPOS, WhisperSTT
from voice.services.whisper_model import Listener


class _Ears:
    """The models behind a hearing, of which only the second look is given."""

    def __init__(self, again: Callable[[bytes], Awaitable[Look]]) -> None:
        self._again = again
        self.sketched: list[str] = []

    async def look_again(self, pcm: bytes, heard: str) -> Look:
        return await self._again(pcm)

    async def sketch(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        self.sketched.extend(texts)
        return [Weight(-1.0, 3) for _ in texts]

    async def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        if texts == ["busy"]:
            raise SpeechBusy("test", 1.0)
        return [Weight(-2.0, 3) for _ in texts]


def _look(*texts: str, no_speech: float = 0.1) -> Look:
    return Look(tuple((text, -0.1 * (i + 1)) for i, text in enumerate(texts)), no_speech)


async def test_a_second_look_is_taken_once() -> None:
    """Two who ask at the same time, and one who asks later, share one decoding."""
    asked: list[bytes] = []

    async def again(pcm: bytes) -> Look:
        asked.append(pcm)
        return _look("better")

    hearing = Hearing(_look("first"), b"pcm", _Ears(again))
    one, two = await asyncio.gather(hearing.second_look(), hearing.second_look())
    three = await hearing.second_look()
    assert one is two is three
    assert one is not None
    assert one.text == "better"
    assert asked == [b"pcm"]


async def test_no_second_look_without_sound() -> None:
    """Released sound, other recognisers and a model that is too busy all mean: no better look."""

    async def busy(pcm: bytes) -> Look:
        raise SpeechBusy("test", 1.0)

    async def never(pcm: bytes) -> Look:
        raise AssertionError("released sound was decoded")

    released = Hearing(_look("first"), b"pcm", _Ears(never))
    released.release()
    assert await released.second_look() is None
    assert await Hearing(_look("first")).second_look() is None
    assert await Hearing(_look("first"), b"pcm", _Ears(busy)).second_look() is None


async def test_a_look_outlives_who_asked_for_it() -> None:
    """An interruption cancels the asker; the look goes on and serves the next one."""
    go = asyncio.Event()

    async def again(pcm: bytes) -> Look:
        await go.wait()
        return _look("better")

    hearing = Hearing(_look("first"), b"pcm", _Ears(again))
    asker = asyncio.create_task(hearing.second_look())
    await asyncio.sleep(0)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    go.set()
    second = await hearing.second_look()
    assert second is not None
    assert second.text == "better"


async def test_the_sound_is_asked_until_it_is_let_go() -> None:
    """After a second look the same sound can still be held against sentences; released, or when busy, it cannot."""

    async def again(pcm: bytes) -> Look:
        return _look("better")

    ears = _Ears(again)
    hearing = Hearing(_look("first"), b"pcm", ears)
    await hearing.second_look()
    assert await hearing.sketch(["one", "one"]) == [Weight(-1.0, 3)] * 2
    assert await hearing.weigh(["one", "two"]) == [(Weight(-1.0, 3), Weight(-2.0, 3))] * 2
    assert await hearing.weigh(["busy"]) is None
    assert ears.sketched == ["one", "two", "busy"], "each is asked about once"
    hearing.release()
    assert await hearing.weigh(["one"]) is None
    assert await hearing.sketch(["one"]) is None


def test_a_turn_is_its_segments() -> None:
    """Sound and words of the segments are those of the turn, without the ones that were dropped."""
    turn = TurnSound()
    turn.add(b"aa", _look("Count the words."))
    hum = turn.add(b"hh", _look("No."))
    turn.add(b"bb", _look("In the report.", no_speech=0.2))
    turn.drop(hum)
    turn.drop(99)
    assert turn.is_split
    assert turn.pcm() == b"aabb"
    assert turn.joined() == ("Count the words. In the report.", -0.1)


def test_a_long_turn_keeps_words_and_lets_sound_go() -> None:
    """The sound of a turn is bounded; its words stay."""
    turn = TurnSound()
    turn.add(bytes(MAX_TURN_BYTES), _look("one"))
    assert turn.pcm() is not None
    turn.add(b"aa", _look("two"))
    assert turn.pcm() is None
    assert turn.joined()[0] == "one two"


def test_plain_text_of_another_recogniser_is_a_hearing() -> None:
    """A transcription without our result counts as certain."""
    hearing = hearing_of(TranscriptionFrame("stop", "", "now"))
    assert hearing.hypotheses == (("stop", 0.0),)
    assert hearing.no_speech_prob == 0.0


class _Script:
    """A listener that says what the sound is by its bytes."""

    def __init__(self, says: dict[bytes, Look]) -> None:
        self.says = says
        self.asked: list[bytes] = []
        self.hints: list[str] = []
        self.tempos: list[float] = []

    async def look(self, pcm: bytes, hint: str = "", tempo: float = 1.0) -> Look:
        self.hints.append(hint)
        self.tempos.append(tempo)
        self.asked.append(pcm.strip(b"\0"))
        look = self.says[pcm.strip(b"\0")]
        if look.text == "too slow":
            raise SpeechBusy("test", 1.0)
        return look


def _hints(heard: str) -> Hint:
    return Hint(names=f"like {heard}", requests=f"zip it, like {heard}")


def _segment(sound: bytes) -> list[object]:
    return [
        VADUserStartedSpeakingFrame(),
        InputAudioRawFrame(sound, 16000, 1),
        VADUserStoppedSpeakingFrame(),
        SleepFrame(0.05),
    ]


async def _run(script: _Script, *frames: object) -> list[TranscriptionFrame | NothingHeardFrame]:
    service = WhisperSTT(cast("Listener", script), cast("Listener", script), _hints)
    down, _ = await run_test(service, frames_to_send=cast("list[VADUserStartedSpeakingFrame]", list(frames)))
    return [frame for frame in down if isinstance(frame, TranscriptionFrame | NothingHeardFrame)]


async def test_a_pause_inside_a_command_is_heard_as_one_command() -> None:
    """The second segment's text is its own, but its hearing is that of the whole turn."""
    script = _Script(
        {
            b"aaaa": _look("Count the words."),
            b"bbbb": _look("In the report."),
            b"aaaabbbb": _look("Count the words in the report."),
        }
    )
    first, second = await _run(script, *_segment(b"aaaa"), *_segment(b"bbbb"))
    assert isinstance(first, TranscriptionFrame)
    assert isinstance(second, TranscriptionFrame)
    assert (first.text, second.text) == ("Count the words.", "In the report.")
    assert first.finalized
    assert hearing_of(first).text == "Count the words."
    assert [text for text, _ in hearing_of(second).hypotheses] == ["Count the words in the report."]
    again = await hearing_of(second).second_look()
    assert again is not None
    assert again.text == "Count the words in the report."
    assert script.asked[-1] == b"aaaabbbb"
    assert script.hints[0] == ""
    assert script.hints[-1] == "like Count the words in the report.", "the better one knows what is near"


async def test_further_looks_are_told_what_can_be_asked_for_and_hear_it_slower_and_faster() -> None:
    """They are for what two looks left open, and say nothing where the model is late or the sound was let go."""
    script = _Script({b"aaaa": _look("Sip the report."), b"ssss": _look("Hm.")})
    heard, slow = await _run(script, *_segment(b"aaaa"), UserStoppedSpeakingFrame(), *_segment(b"ssss"))
    assert isinstance(heard, TranscriptionFrame)
    assert isinstance(slow, TranscriptionFrame)
    looks = await hearing_of(heard).further_looks(9.0)
    assert [look.text for look in looks] == ["Sip the report."] * len(FURTHER_TEMPOS)
    assert script.tempos[-len(FURTHER_TEMPOS) :] == list(FURTHER_TEMPOS)
    assert set(script.hints[-len(FURTHER_TEMPOS) :]) == {"zip it, like Sip the report."}
    script.says[b"ssss"] = _look("too slow")
    assert await hearing_of(slow).further_looks(9.0) == []
    hearing_of(heard).release()
    assert await hearing_of(heard).further_looks(9.0) == []


async def test_the_next_turn_knows_nothing_of_the_last() -> None:
    """What was said before the turn ended is no part of what comes after it."""
    script = _Script({b"aaaa": _look("Yes."), b"bbbb": _look("Stop.")})
    heard = await _run(script, *_segment(b"aaaa"), UserStoppedSpeakingFrame(), *_segment(b"bbbb"))
    assert [hearing_of(frame).text for frame in heard if isinstance(frame, TranscriptionFrame)] == ["Yes.", "Stop."]
    assert script.asked == [b"aaaa", b"bbbb"]


async def test_silence_and_a_late_model_yield_no_words() -> None:
    """Noise, and a decoding that is too late, end as news that nothing was heard, never as text."""
    script = _Script({b"nnnn": _look(no_speech=0.9), b"ssss": _look("too slow")})
    heard = await _run(script, *_segment(b"nnnn"), *_segment(b"ssss"))
    assert [type(frame) for frame in heard] == [NothingHeardFrame, NothingHeardFrame]


async def test_a_cough_inside_a_turn_changes_no_words() -> None:
    """A noise between two segments is left out of the whole."""
    script = _Script(
        {
            b"aaaa": _look("Count the words."),
            b"nnnn": _look(no_speech=0.9),
            b"bbbb": _look("In the report."),
            b"aaaabbbb": _look("Count the words in the report."),
        }
    )
    heard = await _run(script, *_segment(b"aaaa"), *_segment(b"nnnn"), *_segment(b"bbbb"))
    last = heard[-1]
    assert isinstance(last, TranscriptionFrame)
    assert hearing_of(last).text == "Count the words in the report."


async def test_words_survive_when_the_whole_cannot_be_heard() -> None:
    """If the whole turn's sound gives nothing, the segments' words one after the other are the turn."""
    script = _Script({b"aaaa": _look("Count."), b"bbbb": _look("The report."), b"aaaabbbb": _look("too slow")})
    heard = await _run(script, *_segment(b"aaaa"), *_segment(b"bbbb"))
    last = heard[-1]
    assert isinstance(last, TranscriptionFrame)
    assert hearing_of(last).hypotheses == (("Count. The report.", -0.1),)
