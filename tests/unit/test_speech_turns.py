"""When a turn ends and what may interrupt the bot: by sound and by words, every wait bounded."""

from __future__ import annotations

import asyncio
from typing import Self, cast

import pytest
from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer, BaseTurnParams, EndOfTurnState
from pipecat.clocks.system_clock import SystemClock
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    TranscriptionFrame,
    UserBackchannelFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import MetricsData
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_turn_controller import UserTurnController
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.asyncio.task_manager import TaskManager

from voice.bot.gate import BargeInGate
from voice.bot.turns import PLAIN, Patience, PatientTurnStop
from voice.services.hearing import Hearing, Look, NothingHeardFrame

#: Longer than any test may take: a turn that ends only by this wait hangs its test.
_LONG = 60.0


class _Ear(BaseTurnAnalyzer):
    """Says of every stop whether the speaker sounded finished."""

    def __init__(self, is_finished: bool) -> None:
        super().__init__()
        self._verdict = EndOfTurnState.COMPLETE if is_finished else EndOfTurnState.INCOMPLETE

    @property
    def speech_triggered(self) -> bool:
        return False

    @property
    def params(self) -> BaseTurnParams:
        return BaseTurnParams()

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        return EndOfTurnState.INCOMPLETE

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, MetricsData | None]:
        return self._verdict, None

    def clear(self) -> None:
        return None


class _Call:
    """A turn controller with our strategy, and the turns that ended."""

    def __init__(
        self,
        sounds_finished: bool,
        patience: dict[str, Patience] | None = None,
        closer: dict[str, str] | None = None,
    ) -> None:
        self.stop = PatientTurnStop(_Ear(sounds_finished), _Judge(patience or {}, closer or {}))
        start = VADUserTurnStartStrategy(enable_interruptions=False)
        self.controller = UserTurnController(
            user_turn_strategies=UserTurnStrategies(start=[start], stop=[self.stop]),
            user_turn_stop_timeout=_LONG,
        )
        self.ended = asyncio.Event()
        self.controller.add_event_handler("on_user_turn_stopped", self._on_stopped)

    async def _on_stopped(self, *_: object) -> None:
        self.ended.set()

    async def __aenter__(self) -> Self:
        await self.controller.setup(
            FrameProcessorSetup(
                clock=SystemClock(), task_manager=TaskManager(), pipeline_worker=cast("PipelineWorker", None)
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.controller.cleanup()

    async def speak(self, *after: Frame) -> None:
        """One stretch of voice, then what came of it."""
        await self.controller.process_frame(VADUserStartedSpeakingFrame(start_secs=0.2))
        await self.controller.process_frame(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        for frame in after:
            await self.controller.process_frame(frame)

    async def ends(self) -> None:
        """Wait for the end of the turn."""
        async with asyncio.timeout(10):
            await self.ended.wait()


class _Judge:
    """Knows the patience of some words, and as what a closer look reads others."""

    def __init__(self, patience: dict[str, Patience], closer: dict[str, str]) -> None:
        self._patience, self._closer = patience, closer

    def patience(self, hearing: Hearing) -> Patience:
        return self._patience.get(hearing.text, PLAIN)

    async def closer_patience(self, hearing: Hearing) -> Patience | None:
        await asyncio.sleep(0)
        return self._patience[self._closer[hearing.text]] if hearing.text in self._closer else None


def _words(text: str) -> TranscriptionFrame:
    frame = TranscriptionFrame(text, "", "now", result=Hearing(Look(((text, -0.1),), 0.1)))
    frame.finalized = True
    return frame


async def test_a_finished_command_ends_the_turn_at_once() -> None:
    """Sound and words agree: nothing is waited for."""
    async with _Call(sounds_finished=True) as call:
        await call.speak(_words("count the words in the report"))
        assert call.ended.is_set()


async def test_an_unfinished_command_waits_for_its_rest() -> None:
    """A turn that sounds finished goes on while its words ask for more, and ends with them as one turn."""
    patience = {"count the words": Patience(_LONG, _LONG)}
    async with _Call(sounds_finished=True, patience=patience) as call:
        await call.speak(_words("count the words"))
        assert not call.ended.is_set()
        await call.speak(_words("in the report"))
        assert call.ended.is_set()


async def test_patience_is_bounded() -> None:
    """If the rest never comes, the turn ends by itself."""
    async with _Call(sounds_finished=True, patience={"count the words": Patience(0.3, 0.3)}) as call:
        await call.speak(_words("count the words"))
        assert not call.ended.is_set()
        await call.ends()


async def test_clear_words_shorten_an_unfinished_sound() -> None:
    """A whole command whose sound goes on does not wait for the sound's own bound."""
    async with _Call(sounds_finished=False, patience={"stop": Patience(0.0, 0.3)}) as call:
        await call.speak(_words("stop"))
        assert not call.ended.is_set()
        await call.ends()


async def test_a_better_look_ends_a_doubtful_turn() -> None:
    """Words that the second model hears as a whole command are not waited for any longer."""
    patience = {"count towards": Patience(_LONG, _LONG), "count the words in it": Patience(0.0, 0.5)}
    closer = {"count towards": "count the words in it"}
    async with _Call(sounds_finished=True, patience=patience, closer=closer) as call:
        await call.speak(_words("count towards"))
        await call.ends()


async def test_going_on_speaking_stops_the_wait() -> None:
    """While voice is heard no turn ends, however long ago its patience was over."""
    async with _Call(sounds_finished=True, patience={"count": Patience(0.25, 0.25)}) as call:
        await call.speak(_words("count"))
        await call.controller.process_frame(VADUserStartedSpeakingFrame(start_secs=0.2))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await call.ended.wait()


@pytest.mark.parametrize("nothing", [NothingHeardFrame(), UserBackchannelFrame("", "", "now")])
async def test_a_turn_without_words_ends_at_once(nothing: Frame) -> None:
    """A cough or a hum leaves no turn open."""
    async with _Call(sounds_finished=False) as call:
        await call.speak(nothing)
        assert call.ended.is_set()


async def test_a_cough_after_the_words_does_not_hold_the_turn() -> None:
    """The words before the cough are all that was said."""
    async with _Call(sounds_finished=True, patience={"count": Patience(0.3, 0.3)}) as call:
        await call.speak(_words("count"))
        await call.speak(NothingHeardFrame())
        await call.ends()


# --- the gate ---------------------------------------------------------------------------------------------


def _heard(text: str, no_speech: float = 0.1, likelihood: float = -0.2) -> TranscriptionFrame:
    return TranscriptionFrame(text, "user", "now", result=Hearing(Look(((text, likelihood),), no_speech)))


async def _through(gate: BargeInGate, *frames: Frame) -> list[Frame]:
    down, _ = await run_test(gate, frames_to_send=list(frames))
    return [f for f in down if isinstance(f, TranscriptionFrame | UserBackchannelFrame | InterruptionFrame)]


def _is_stop(hearing: Hearing) -> bool:
    return "stop" in hearing.text.lower()


@pytest.mark.parametrize(
    ("text", "likelihood", "no_speech"),
    [
        ("No, no, no.", -0.2, 0.1),
        ("Alright.", -0.2, 0.0),
        ("You had.", -0.2, 0.2),
        ("I'm so excited.", -0.2, 0.4),
        ("Okay, okay.", -0.2, 0.0),
        ("M and H and M", -0.5, 0.16),
        ("Any time I am.", -0.77, 0.16),
    ],
)
async def test_a_backchannel_neither_interrupts_nor_is_passed_on(
    text: str, likelihood: float, no_speech: float
) -> None:
    """What a recogniser makes of hums and coughs stays here, its invented text included."""
    gate = BargeInGate(_is_stop)
    passed = await _through(gate, BotStartedSpeakingFrame(), _heard(text, no_speech, likelihood))
    assert [type(frame) for frame in passed] == [UserBackchannelFrame]
    assert cast("UserBackchannelFrame", passed[0]).text == ""
    assert gate.take_hearing() is None


@pytest.mark.parametrize("text", ["Stop.", "Stop that please.", "Where is the report?"])
async def test_commands_and_sentences_interrupt_the_bot(text: str) -> None:
    """A command of one word does, and so do three different words."""
    gate = BargeInGate(_is_stop)
    passed = await _through(gate, BotStartedSpeakingFrame(), _heard(text))
    assert [type(frame) for frame in passed] == [InterruptionFrame, TranscriptionFrame]
    hearing = gate.take_hearing()
    assert hearing is not None
    assert hearing.text == text
    assert gate.take_hearing() is None, "a hearing is handed out once"


async def test_nothing_is_held_back_while_the_bot_is_quiet() -> None:
    """A short answer to a question passes when the bot has finished speaking."""
    gate = BargeInGate(_is_stop)
    passed = await _through(
        gate, BotStartedSpeakingFrame(), BotStoppedSpeakingFrame(), SleepFrame(0.01), _heard("Yes.")
    )
    assert [type(frame) for frame in passed] == [TranscriptionFrame]


async def test_a_dropped_hum_is_no_part_of_its_turn() -> None:
    """The turn's sound forgets what the gate dropped."""
    dropped: list[str] = []
    hum = Hearing(Look((("No.", -1.0),), 0.1), b"pcm", on_discard=lambda: dropped.append("hum"))
    await _through(BargeInGate(_is_stop), BotStartedSpeakingFrame(), TranscriptionFrame("No.", "", "now", result=hum))
    assert dropped == ["hum"]
