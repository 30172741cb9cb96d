"""Decoding from the first moments of a pause on: used when the silence lasts, worth nothing when speech goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import cast

from pipecat.audio.vad.vad_analyzer import VADState
from pipecat.frames.frames import TranscriptionFrame

from voice.bot.silence import TOLD_AFTER, PauseDetector, Pauses
from voice.services.errors import SpeechBusy
from voice.services.hearing import Hearing, Hint, Look, Weight, hearing_of
from voice.services.lookahead import Lookahead
from voice.services.whisper import WhisperSTT
from voice.services.whisper_model import Listener, WhisperModel

RATE_HZ = 16_000


class _Model:
    """A listener that notes what it is asked and what was cancelled, and answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.cancelled: list[bytes] = []
        self.is_idle = True
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.hears_nothing = False

    async def look(self, pcm: bytes, hint: str = "", tempo: float = 1.0) -> Look:
        self.asked.append(pcm)
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled.append(pcm)
            raise
        return Look((), 0.9) if self.hears_nothing else Look(((pcm.decode(), -0.1),), 0.0)

    async def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        self.asked.append(pcm)
        return [Weight(-1.0, 1) for _ in texts]


def _lookahead(model: _Model) -> Lookahead:
    return Lookahead(cast("Listener", model))


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_silence_that_lasts_is_decoded_once() -> None:
    """What was decoded ahead is the segment, without the silence that came after it."""
    model = _Model()
    ahead = _lookahead(model)
    ahead.begin(b"count", b"")
    await _settled()
    assert model.asked == [b"count"]
    guess = ahead.claim(b"count......")
    look = await guess.look(guess.segment)
    assert look is not None
    assert (guess.segment, look.text) == (b"count", "count")
    assert model.asked == [b"count"]


async def test_the_whole_turn_is_decoded_after_its_last_segment() -> None:
    """After a pause inside a command both are wanted; others may come between them."""
    model = _Model()
    model.may_answer.clear()
    ahead = _lookahead(model)
    ahead.begin(b"report", b"count.")
    await _settled()
    assert model.asked == [b"report"]
    model.may_answer.set()
    await _settled()
    assert model.asked == [b"report", b"count.report"]
    guess = ahead.claim(b"report...")
    assert await guess.look(b"report") is not None
    assert await guess.look(b"count.report") is not None
    assert model.asked == [b"report", b"count.report"]


async def test_speech_that_goes_on_makes_it_worthless() -> None:
    """What began is cancelled, and all of the segment is decoded then."""
    model = _Model()
    model.may_answer.clear()
    ahead = _lookahead(model)
    ahead.begin(b"count", b"")
    await _settled()
    ahead.drop()
    await _settled()
    assert model.cancelled == [b"count"]
    model.may_answer.set()
    guess = ahead.claim(b"count the words")
    look = await guess.look(guess.segment)
    assert look is not None
    assert look.text == "count the words"


async def test_another_sound_does_not_wait_for_the_guess() -> None:
    """A buffer that was cut at its front is no longer what was decoded."""
    model = _Model()
    model.may_answer.clear()
    ahead = _lookahead(model)
    ahead.begin(b"count", b"")
    await _settled()
    guess = ahead.claim(b"unt the words")
    await _settled()
    assert guess.segment == b"unt the words"
    assert model.cancelled == [b"count"]


async def test_a_model_that_is_at_work_is_not_asked() -> None:
    """With many calls nobody's words wait for a guess at another one's."""
    model = _Model()
    ahead = _lookahead(model)
    ahead.begin(b"one", b"")
    await _settled()
    model.is_idle = False
    ahead.begin(b"one two", b"")
    await _settled()
    assert model.asked == [b"one"]
    assert ahead.claim(b"one two...").segment == b"one two...", "an older silence's sound is not the segment"


async def test_long_speech_is_not_decoded_ahead() -> None:
    """A look at it takes three times as long, for the same fifth of a second."""
    model = _Model()
    ahead = _lookahead(model)
    ahead.begin(bytes(12 * 2 * RATE_HZ), b"")
    await _settled()
    assert not model.asked


async def test_a_model_that_is_late_is_no_error() -> None:
    """It says nothing, ahead as well as when it is asked."""

    class _Late(_Model):
        async def look(self, pcm: bytes, hint: str = "", tempo: float = 1.0) -> Look:
            raise SpeechBusy("test", 1.0)

    ahead = _lookahead(_Late())
    ahead.begin(b"count", b"")
    guess = ahead.claim(b"count")
    assert await guess.look(b"count") is None
    assert await guess.look(b"other") is None


async def test_a_listener_is_idle_when_its_thread_is() -> None:
    """What nobody wants any more still takes its time."""
    go = threading.Event()

    class _Slow:
        def look(self, pcm: bytes, hint: str, tempo: float) -> Look:
            go.wait(10)
            return Look((), 0.0)

    listener = Listener("test", cast("WhisperModel", _Slow()), 10)
    assert listener.is_idle
    asked = asyncio.create_task(listener.look(b""))
    await _settled()
    asked.cancel()
    await _settled()
    assert asked.cancelled()
    assert not listener.is_idle
    go.set()
    async with asyncio.timeout(5):
        while not listener.is_idle:
            await asyncio.sleep(0.001)
    listener.close()


def _recogniser(first: _Model, second: _Model) -> WhisperSTT:
    return WhisperSTT(cast("Listener", first), cast("Listener", second), lambda _: Hint())


async def _heard(stt: WhisperSTT, segment: bytes) -> Hearing | None:
    frames = [frame async for frame in stt.run_stt(segment)]
    said = [frame for frame in frames if isinstance(frame, TranscriptionFrame)]
    return hearing_of(said[0]) if said else None


async def test_the_recogniser_uses_the_time_that_the_detector_waits() -> None:
    """Between the silence and its confirmation it decodes; the better model hears what came meanwhile, too."""
    first, second = _Model(), _Model()
    stt = _recogniser(first, second)
    assert isinstance(stt, Pauses)
    stt.silence_began()
    await _settled()
    assert not first.asked, "nobody speaks"
    stt._user_speaking = True
    stt._audio_buffer += b"count"
    stt.silence_began()
    await _settled()
    assert first.asked == [b"count"]
    hearing = await _heard(stt, b"count...")
    assert hearing is not None
    assert hearing.text == "count"
    await hearing.sketch(["one"])
    assert first.asked == [b"count", b"count"]
    await hearing.second_look()
    await hearing.weigh(["two"])
    assert second.asked == [b"count...", b"count..."]
    hearing.release()
    assert await hearing.sketch(["three"]) is None


async def test_the_recogniser_lets_a_guess_go() -> None:
    """When speech goes on, when there was nothing to hear, and at the end of the session."""
    first = _Model()
    stt = _recogniser(first, _Model())
    stt._user_speaking = True
    first.may_answer.clear()
    for number, let_go in enumerate((stt.silence_broken, None)):
        stt._audio_buffer += b"count"
        stt.silence_began()
        await _settled()
        if let_go is None:
            await stt.cleanup()
        else:
            let_go()
        await _settled()
        assert len(first.cancelled) == number + 1
    first.may_answer.set()


async def test_a_cough_behind_the_words_leaves_nothing_to_decode() -> None:
    """The turn with the cough in it is not wanted."""
    first = _Model()
    stt = _recogniser(first, _Model())
    assert await _heard(stt, b"count.") is not None
    first.hears_nothing = True
    stt._user_speaking = True
    stt._audio_buffer += b"cough"
    stt.silence_began()
    assert await _heard(stt, b"cough") is None
    await _settled()
    assert first.asked == [b"count.", b"cough"]


class _Told:
    def __init__(self) -> None:
        self.news: list[str] = []

    def silence_began(self) -> None:
        self.news.append("began")

    def silence_broken(self) -> None:
        self.news.append("broken")


async def _news(said: Sequence[tuple[VADState, int]]) -> list[str]:
    """What is told where Silero finds these states, each with the silent windows up to there."""
    told = _Told()
    detector = PauseDetector(told)
    detector.set_sample_rate(RATE_HZ)
    for state, silent in said:
        detector._vad_state, detector._vad_stopping_count = state, silent
        await detector.analyze_audio(b"")
    return told.news


async def test_a_silence_is_told_once_and_so_is_its_end() -> None:
    """Before it is known to last; one that lasts has no end to tell."""
    on, quiet = (VADState.SPEAKING, 0), (VADState.QUIET, 0)
    off = [(VADState.STOPPING, windows) for windows in range(1, 6)]
    few, some = off[: TOLD_AFTER - 1], off[:TOLD_AFTER]
    assert await _news([on, *few, on]) == [], "a stop inside a word"
    assert await _news([on, *off, on, on]) == ["began", "broken"]
    assert await _news([on, *some, quiet, on, *some]) == ["began", "began"]
    assert await _news([on, *off, *some]) == ["began", "broken", "began"], "a sound and two silences in one buffer"
