"""Decoding from the first moments of a pause on: used when the silence lasts, worth nothing when speech goes on."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from pipecat.audio.vad.vad_analyzer import VADState
from pipecat.frames.frames import TranscriptionFrame

from voice.bot.silence import TOLD_AFTER_S, PauseDetector, Pauses
from voice.services.errors import SpeechBusy
from voice.services.hearing import Hint, Look, hearing_of
from voice.services.lookahead import Lookahead
from voice.services.whisper import WhisperSTT
from voice.services.whisper_model import Listener

RATE_HZ = 16_000
TICK = bytes(2 * RATE_HZ // 50)


class _Model:
    """A listener that notes what it is asked, and answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.is_idle = True
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def look(self, pcm: bytes, hint: str = "", tempo: float = 1.0) -> Look:
        self.asked.append(pcm)
        await self.may_answer.wait()
        return Look(((pcm.decode(), -0.1),), 0.0)


def _lookahead(model: _Model) -> Lookahead:
    return Lookahead(cast("Listener", model))


async def _settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_silence_that_lasts_is_decoded_once() -> None:
    """What was decoded ahead is the segment, without the silence that came after it."""
    model = _Model()
    ahead = _lookahead(model)
    ahead.begin(b"count", b"")
    await _settled()
    segment = ahead.claim(b"count......")
    look = await ahead.look(segment)
    assert look is not None
    assert (segment, look.text) == (b"count", "count")
    assert model.asked == [b"count"]


async def test_the_whole_turn_is_decoded_ahead_too() -> None:
    """After a pause inside a command the second segment and both together are wanted."""
    model = _Model()
    ahead = _lookahead(model)
    ahead.begin(b"report", b"count.")
    await _settled()
    assert ahead.claim(b"report...") == b"report"
    for pcm in (b"report", b"count.report"):
        await ahead.look(pcm)
    assert model.asked == [b"report", b"count.report"]


async def test_speech_that_goes_on_makes_it_worthless() -> None:
    """All of the segment is decoded then, and what began is not waited for."""
    model = _Model()
    model.may_answer.clear()
    ahead = _lookahead(model)
    ahead.begin(b"count", b"")
    await _settled()
    ahead.drop()
    model.may_answer.set()
    segment = ahead.claim(b"count the words")
    look = await ahead.look(segment)
    assert look is not None
    assert look.text == "count the words"


async def test_a_model_that_others_wait_for_is_not_asked() -> None:
    """With many calls nobody's words wait for a guess at another one's."""
    model = _Model()
    ahead = _lookahead(model)
    ahead.begin(b"one", b"")
    await _settled()
    model.is_idle = False
    ahead.begin(b"one two", b"")
    await _settled()
    assert model.asked == [b"one"]
    assert ahead.claim(b"one two...") == b"one two...", "an older silence's sound is not the segment"


async def test_a_model_that_is_late_is_no_error() -> None:
    """It says nothing, ahead as well as when it is asked."""

    class _Late(_Model):
        async def look(self, pcm: bytes, hint: str = "", tempo: float = 1.0) -> Look:
            raise SpeechBusy("test", 1.0)

    ahead = _lookahead(_Late())
    ahead.begin(b"count", b"")
    assert await ahead.look(b"count") is None
    assert await ahead.look(b"other") is None


async def test_the_recogniser_uses_the_time_that_the_detector_waits() -> None:
    """Between the silence and its confirmation it decodes, and the transcription is of what was decoded."""
    first, second = _Model(), _Model()
    stt = WhisperSTT(cast("Listener", first), cast("Listener", second), lambda _: Hint())
    assert isinstance(stt, Pauses)
    stt.silence_began()
    await _settled()
    assert not first.asked, "nobody speaks"
    stt._user_speaking = True
    stt._audio_buffer += b"count"
    stt.silence_began()
    await _settled()
    assert first.asked == [b"count"]
    frames = [frame async for frame in stt.run_stt(b"count...") if isinstance(frame, TranscriptionFrame)]
    assert [hearing_of(frame).text for frame in frames] == ["count"]
    assert first.asked == [b"count"]


class _Told:
    def __init__(self) -> None:
        self.news: list[str] = []

    def silence_began(self) -> None:
        self.news.append("began")

    def silence_broken(self) -> None:
        self.news.append("broken")


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> list[VADState]:
    """What Silero says, buffer by buffer."""
    found: list[VADState] = []

    async def analyze(_self: object, _buffer: bytes) -> VADState:
        return found.pop(0)

    monkeypatch.setattr("pipecat.audio.vad.vad_analyzer.VADAnalyzer.analyze_audio", analyze)
    return found


async def _news(states: list[VADState], *said: VADState) -> list[str]:
    told = _Told()
    detector = PauseDetector(told)
    detector.set_sample_rate(RATE_HZ)
    states.extend(said)
    for _ in said:
        await detector.analyze_audio(TICK)
    return told.news


async def test_a_silence_is_told_once_and_so_is_its_end(states: list[VADState]) -> None:
    """Before it is known to last; one that lasts has no end to tell."""
    on, off, quiet = VADState.SPEAKING, VADState.STOPPING, VADState.QUIET
    ticks = round(TOLD_AFTER_S / 0.02)
    assert await _news(states, on, *[off] * (ticks - 1), on) == [], "a stop inside a word"
    assert await _news(states, on, *[off] * (ticks + 3), on, on) == ["began", "broken"]
    assert await _news(states, on, *[off] * ticks, quiet, on, *[off] * ticks) == ["began", "began"]
