"""The place where an LLM would sit: takes whole turns, spoken or typed, and does what the dialog decides.

Turns are handled one after the other by a task of its own, so that nothing long ever holds the pipeline; the queue is
bounded. What was heard is shown only once it was understood; what was typed is always shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    StartFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame

from infra.errors import SisyphusError
from infra.log import get_logger
from schemas.match import Match, MatchKind
from schemas.record import TaskRecord
from voice.bot import replies
from voice.bot.dialog import Act, Cancel, Dialog, Hush, Ignore, Say, Situation, Start
from voice.bot.floor import Floor, Holder
from voice.bot.latency import LatencyLog
from voice.bot.narration import Manner
from voice.bot.stage import Stage
from voice.bot.understanding import Ear, Understanding

log = get_logger(__name__)

#: Turns that may wait; people do not speak faster than they are understood.
_MAX_TURNS = 8
#: Seconds that handling one turn may take before its answer is worth nothing.
_TURN_S = 20.0
#: Seconds after the bot's last sound within which "stop" is about its speech.
_STILL_SPEECH_S = 4.0
#: Seconds that the floor is kept for an answer.
_ANSWER_S = 6.0
#: Longest text that is taken from the page.
_MAX_TYPED = 2_000


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user said or typed, complete."""

    ear: Ear
    typed: str | None = None


class Mouth(Protocol):
    """What is needed of the mouth."""

    def say(self, text: str, task: str | None = None) -> object:
        """Say it after everything given before."""
        ...

    async def hush(self) -> None:
        """Stop speaking now."""
        ...

    def interrupt(self) -> None:
        """An interruption is on its way to the mouth."""
        ...


class Tasks(Protocol):
    """What is needed of the session's tasks."""

    async def start(self, act: Start) -> None:
        """Submit a task and say so."""
        ...

    async def cancel(self, act: Cancel) -> str:
        """Stop tasks; what is to be said about it."""
        ...

    def known(self) -> list[tuple[TaskRecord, Manner]]:
        """The session's tasks, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told what happens to turns.

    Attributes:
        on_heard: text of a turn that is shown.
        on_handled: a turn has been handled; the session is checkpointed.
        last_said: the bot's last sentences.
    """

    on_heard: Callable[[str], None]
    on_handled: Callable[[], Awaitable[None]]
    last_said: Callable[[], str]


class Intent(Stage):
    """Understands and acts, turn by turn."""

    def __init__(
        self,
        understanding: Understanding,
        dialog: Dialog,
        mouth: Mouth,
        tasks: Tasks,
        floor: Floor,
        listeners: Listeners,
        latency: LatencyLog,
    ) -> None:
        super().__init__()
        self._understanding, self._dialog, self._mouth, self._tasks = understanding, dialog, mouth, tasks
        self._floor, self._listeners, self._latency = floor, listeners, latency
        self._turns: asyncio.Queue[Turn] = asyncio.Queue(_MAX_TURNS)
        self._interrupted_at_s = float("-inf")
        self._is_shut = False

    def take_typed(self, text: str) -> None:
        """A request typed on the page; takes the same way as a spoken one."""
        text = " ".join(text.split())[:_MAX_TYPED]
        if text:
            self._latency.turn_ended(typed=True)
            self._enqueue(Turn(self._understanding.of_text(text), text))

    def shut(self) -> None:
        """Take no more turns. Idempotent."""
        self._is_shut = True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Follow the user's voice, and take each turn that is complete."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            self.begin_loop(self._handle_turns(), "turns")
            return
        if isinstance(frame, LLMContextFrame):
            # The words stand in the hearing; the context is for language models and must not grow.
            frame.context.set_messages([])
            self._take_spoken()
            return
        if isinstance(frame, RTVISendTextFrame):
            self.take_typed(frame.text)
        else:
            self._follow_voice(frame, direction)
        if isinstance(frame, EndFrame | CancelFrame):
            self.shut()
            await self.end_loop()
        await self.push_frame(frame, direction)

    def _follow_voice(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, UserStartedSpeakingFrame | VADUserStartedSpeakingFrame):
            self._floor.take(Holder.USER)
        elif isinstance(frame, UserStoppedSpeakingFrame):
            self._floor.leave(Holder.USER)
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._latency.speech_ended(frame.timestamp - frame.stop_secs)
        elif isinstance(frame, InterruptionFrame):
            self._interrupted_at_s = self._now_s()
            if direction is FrameDirection.DOWNSTREAM:
                self._mouth.interrupt()

    def _take_spoken(self) -> None:
        ear = self._understanding.take_heard()
        if ear is not None:
            self._latency.turn_ended()
            self._enqueue(Turn(ear))

    def _enqueue(self, turn: Turn) -> None:
        if self._is_shut:
            return
        try:
            self._turns.put_nowait(turn)
        except asyncio.QueueFull:
            log.warning("turn_dropped", consequence="the user has to say it again")
            return
        self._floor.take(Holder.TURN)

    async def _handle_turns(self) -> None:
        while True:
            turn = await self._turns.get()
            try:
                async with asyncio.timeout(_TURN_S):
                    await self._handle(turn)
            except (SisyphusError, TimeoutError) as error:
                log.warning("turn_failed", error=repr(error), consequence="the user is asked to try again")
                self._mouth.say("Something went wrong with that. Please try again.")
            finally:
                if self._turns.empty():
                    self._floor.leave(Holder.TURN)
            await self._listeners.on_handled()

    async def _handle(self, turn: Turn) -> None:
        situation = self._situation(turn)
        if turn.typed is not None and situation.was_speaking:
            # Who types does not want to hear the end of the last answer first.
            await self._mouth.hush()
        match = await turn.ear.match(answer_expected=self._dialog.awaits_answer(self._now_s()))
        self._latency.understood()
        act = self._dialog.decide(match, situation)
        log.info(
            "turn",
            kind=match.kind.value,
            intent=match.intent,
            reason=match.reason.value,
            act=type(act).__name__,
            pii_text=match.text,
        )
        if turn.typed is not None or (match.kind is MatchKind.ACCEPT and not isinstance(act, Ignore)):
            self._listeners.on_heard(turn.typed or _shown(match, act))
        await self._perform(act)

    async def _perform(self, act: Act) -> None:
        match act:
            case Start():
                await self._tasks.start(act)
            case Cancel():
                self._mouth.say(await self._tasks.cancel(act))
            case Say():
                self._mouth.say(act.text)
                if act.is_question:
                    self._floor.await_answer(_ANSWER_S)
            case Hush():
                await self._mouth.hush()
            case Ignore():
                pass

    def _situation(self, turn: Turn) -> Situation:
        now_s = self._now_s()
        return Situation(
            tasks=self._tasks.known(),
            remotes=self._understanding.remotes,
            last_said=self._listeners.last_said(),
            was_speaking=self._floor.is_held_by(Holder.BOT) or now_s - self._interrupted_at_s < _STILL_SPEECH_S,
            now_s=now_s,
            is_typed=turn.typed is not None,
        )

    def _now_s(self) -> float:
        return self.get_event_loop().time()


def _shown(match: Match, act: Act) -> str:
    """What the page shows as said: the request as it was understood, so that an odd spelling is never shown."""
    if isinstance(act, Start) and match.best is not None and match.best.intent == act.template.name:
        asked = replies.request(act.template, act.spoken)
        return f"{asked[:1].upper()}{asked[1:]}."
    return match.text
