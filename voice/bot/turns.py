"""When a turn begins and ends: Silero VAD, SmartTurn, and the words themselves.

A turn begins with voice and never interrupts by itself (`gate` does that, by words). It ends when SmartTurn
hears an ending and a transcript is there, but not before the patience that the words deserve is over: after
"count the words" there is time for "in the annual report". Every wait is bounded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, NamedTuple, Protocol, cast

from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer
from pipecat.frames.frames import (
    Frame,
    TranscriptionFrame,
    UserBackchannelFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_start import TranscriptionUserTurnStartStrategy, VADUserTurnStartStrategy
from pipecat.turns.user_stop import TurnAnalyzerUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from voice.bot.silence import PauseDetector, Pauses
from voice.services.hearing import Hearing, NothingHeardFrame, hearing_of
from voice.services.turn_model import TurnModel


class Patience(NamedTuple):
    """Seconds of silence, from the end of speech, before a turn with these words may end.

    Attributes:
        if_finished: when the speaker sounded finished.
        if_unfinished: when the speaker did not.
    """

    if_finished: float
    if_unfinished: float


#: Seconds of silence after which SmartTurn calls any turn finished (counted from the VAD's own stop).
_STOP_S = 1.2
# SmartTurn calls some finished commands unfinished, and a command that is cut short finished; the words
# know better in both cases. Below: how long they make the turn wait.
#: The words are a whole command that nothing is missing from.
CLEAR = Patience(0.0, 0.7)
#: The words are no command; more of them may make it one.
DOUBTFUL = Patience(0.6, 1.4)
#: The words are the beginning of a command. A voice that goes on is noticed about half a second later, so
#: this bridges a pause of a second and a half.
UNFINISHED = Patience(2.0, 2.0)
#: Nothing is known about the words.
PLAIN = Patience(0.0, 1.4)

#: Seconds after which a turn in which nothing arrived any more ends without words.
_EMPTY_TURN_S = 2.5


class Judge(Protocol):
    """Judges by the words of the turn so far how long it waits for more."""

    def patience(self, hearing: Hearing) -> Patience:
        """CLEAR, DOUBTFUL or UNFINISHED, at first sight. Called on the event loop."""
        ...

    async def closer_patience(self, hearing: Hearing) -> Patience | None:
        """The same after all that can be found out about the words; None where the first sight is all there is."""
        ...


class _TaskMaker(Protocol):
    def create_task(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]: ...
    async def cancel_task(self, task: asyncio.Task[None]) -> None: ...


class PatientTurnStop(TurnAnalyzerUserTurnStopStrategy):
    """Ends a turn by sound and words.

    Args:
        analyzer: judges by sound whether the speaker is finished.
        judge: judges by the words.
    """

    def __init__(self, analyzer: BaseTurnAnalyzer, judge: Judge) -> None:
        # Pipecat leaves its keyword arguments untyped.
        cast("Any", super()).__init__(turn_analyzer=analyzer)
        self._judge = judge
        self._patience = PLAIN
        self._silent_since_s = 0.0
        self._end: asyncio.Task[None] | None = None
        self._end_at_s = 0.0
        self._closer_look: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Follow voice, words and their absence."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            await self._drop_waits()
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._silent_since_s = frame.timestamp - frame.stop_secs
        elif isinstance(frame, TranscriptionFrame):
            await self._weigh_words(hearing_of(frame))
        result = await super().process_frame(frame)
        if isinstance(frame, NothingHeardFrame | UserBackchannelFrame):
            await self._settle_without_words()
        elif isinstance(frame, TranscriptionFrame | VADUserStoppedSpeakingFrame):
            await self._hold()
        return result

    async def handle_user_turn_started(self) -> None:
        """Forget the last turn's words."""
        await super().handle_user_turn_started()
        await self._drop_waits()
        self._patience = PLAIN

    async def handle_user_turn_stopped(self) -> None:
        """Nothing is waited for any more."""
        await super().handle_user_turn_stopped()
        await self._drop_waits()

    async def cleanup(self) -> None:
        """Let no wait outlive the session."""
        await super().cleanup()
        await self._drop_waits()

    async def trigger_user_turn_stopped(self, *, enable_user_speaking_frames: bool | None = None) -> None:
        """End the turn, or wait until the patience for its words is over."""
        if self._silence_s() >= self._patience.if_finished:
            await super().trigger_user_turn_stopped(enable_user_speaking_frames=enable_user_speaking_frames)
        else:
            await self._hold_until(self._patience.if_finished)

    async def _weigh_words(self, hearing: Hearing) -> None:
        await self._drop(self._closer_look)
        self._patience = self._judge.patience(hearing)
        # Whatever is waited for, the time is used to find out more.
        self._closer_look = self._spawn(self._look_closer(hearing), "closer_look")

    async def _look_closer(self, hearing: Hearing) -> None:
        closer = await self._judge.closer_patience(hearing)
        if closer is not None:
            self._patience = min(self._patience, closer)
            await self._hold()

    async def _hold(self) -> None:
        """Wait as long as sound and words together ask for, once there are words and no voice."""
        if self._text and self._transcript_finalized and not self._vad_user_speaking:
            # By sound it goes on, by its words it may be over: then do not wait as long as the sound alone would.
            await self._hold_until(self._patience.if_finished if self._turn_complete else self._patience.if_unfinished)

    async def _settle_without_words(self) -> None:
        if self._vad_user_speaking:
            return
        if not self._text:
            await super().trigger_user_turn_stopped()
            return
        # A cough after the words: they are still all that was said.
        self._transcript_finalized = True
        await self._hold()

    def _silence_s(self) -> float:
        return time.time() - self._silent_since_s

    async def _hold_until(self, silence_s: float) -> None:
        if self._end is not None and self._end_at_s <= silence_s:
            return
        await self._drop(self._end)
        self._end_at_s = silence_s
        self._end = self._spawn(self._end_after(silence_s - self._silence_s()), "end")

    async def _end_after(self, wait_s: float) -> None:
        await asyncio.sleep(max(0.0, wait_s))
        # From here on the turn ends; whatever it drops must not be this very task.
        self._end = None
        await super().trigger_user_turn_stopped()

    async def _drop_waits(self) -> None:
        end, self._end = self._end, None
        look, self._closer_look = self._closer_look, None
        await self._drop(end)
        await self._drop(look)

    def _spawn(self, wait: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return cast("_TaskMaker", self.task_manager).create_task(wait, f"{self}::{name}")

    async def _drop(self, wait: asyncio.Task[None] | None) -> None:
        if wait is not None and not wait.done() and wait is not asyncio.current_task():
            await cast("_TaskMaker", self.task_manager).cancel_task(wait)


def user_turns(model: TurnModel, judge: Judge, pauses: Pauses | None = None) -> LLMUserAggregatorParams:
    """Return the user aggregator's parameters for a new session.

    Loads a Silero VAD of its own (30 ms, it keeps state); call it off the event loop where that matters.

    Args:
        model: SmartTurn, shared by all sessions.
        judge: judges by the words when a turn may end.
        pauses: told of every silence before it is known to last.
    """
    stop = PatientTurnStop(model.analyzer(_STOP_S), judge)
    return LLMUserAggregatorParams(
        vad_analyzer=PauseDetector(pauses),
        empty_user_turn=None,
        user_turn_stop_timeout=_EMPTY_TURN_S,
        user_turn_strategies=UserTurnStrategies(
            # Words that come so late that their turn has ended without them are a turn of their own.
            start=[
                VADUserTurnStartStrategy(enable_interruptions=False),
                TranscriptionUserTurnStartStrategy(enable_interruptions=False),
            ],
            stop=[stop],
        ),
    )
