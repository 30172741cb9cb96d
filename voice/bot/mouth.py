"""The mouth: the only way in which anything is said, one sentence after the other, each with a known end.

`Mouth` sits before the voice and hands it one utterance at a time; `Playout` sits behind the transport's
output and sees what was really played. An utterance ends exactly once: played, cut, or dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from infra.log import get_logger
from voice.bot.floor import Floor, Holder
from voice.bot.stage import Stage

log = get_logger(__name__)

#: Utterances that may wait; more than this is never worth hearing.
_MAX_WAITING = 16
#: The longest wait for a sentence to have been played: a start, and the slowest speech per character.
_START_S, _PER_CHAR_S = 15.0, 0.15
#: The longest wait for an interruption that was announced to arrive.
_PASSAGE_S = 1.0


class Outcome(StrEnum):
    """How an utterance ended."""

    PLAYED = "played"
    CUT = "cut"  # the user interrupted after its sound had begun
    DROPPED = "dropped"  # no sound of it was played


class Utterance:
    """Something to say. `done` is resolved exactly once.

    Args:
        text: one or more sentences.
        task: the task that it is about, for the page.
    """

    def __init__(self, text: str, task: str | None = None) -> None:
        self.text, self.task = text, task
        self.has_begun = False
        self.has_sound = False
        self.done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def deadline_s(self) -> float:
        """Seconds after which it is given up once it was handed to the voice."""
        return _START_S + _PER_CHAR_S * len(self.text)

    def finish(self, outcome: Outcome) -> None:
        """End it; a second end changes nothing."""
        if not self.done.done():
            self.done.set_result(outcome)

    def break_off(self) -> None:
        """End it because it will not be played to its end."""
        self.finish(Outcome.CUT if self.has_sound else Outcome.DROPPED)


class Mouth(Stage):
    """Says utterances in the order they were given, and drops all of them at an interruption.

    Args:
        floor: held while anything waits or plays.
        on_begin: told when an utterance begins to be played; what is dropped before is never reported.
        on_sound: told when the first sound of an utterance was handed to the caller.
    """

    def __init__(
        self,
        floor: Floor,
        on_begin: Callable[[Utterance], None],
        on_sound: Callable[[Utterance], None] | None = None,
    ) -> None:
        super().__init__()
        self._floor = floor
        self._on_begin = on_begin
        self._on_sound = on_sound
        self._waiting: deque[Utterance] = deque()
        self._current: Utterance | None = None
        self._news = asyncio.Event()
        self._passage = asyncio.Event()
        self._passage.set()
        self._is_shut = False
        self.playout = Playout(self)

    def say(self, text: str, task: str | None = None) -> Utterance:
        """Say it as soon as everything given before is said. Never blocks."""
        utterance = Utterance(text, task)
        if self._is_shut or len(self._waiting) >= _MAX_WAITING:
            utterance.finish(Outcome.DROPPED)
            return utterance
        self._waiting.append(utterance)
        self._floor.take(Holder.BOT)
        self._news.set()
        return utterance

    def interrupt(self) -> None:
        """Drop what was given so far: an interruption is on its way down to here.

        What is given from now on, such as the answer to the very words that interrupted, is said behind it.
        """
        self._break_off()
        self._passage.clear()

    async def hush(self) -> None:
        """Stop speaking now; whatever waits is dropped."""
        await self.broadcast_interruption()
        self._break_off()

    def shut(self) -> None:
        """Say nothing any more. Idempotent."""
        self._is_shut = True
        self._break_off()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Begin and end with the pipeline; let go at an interruption."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            self.begin_loop(self._speak(), "mouth")
            return
        if isinstance(frame, InterruptionFrame):
            if self._passage.is_set():
                self._break_off()
            await self.push_frame(frame, direction)
            self._passage.set()
            return
        if isinstance(frame, EndFrame | CancelFrame):
            self.shut()
            await self.end_loop()
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Let no wait outlive the session."""
        self.shut()
        await super().cleanup()

    async def _speak(self) -> None:
        while True:
            while not self._waiting:
                self._floor.leave(Holder.BOT)
                self._news.clear()
                await self._news.wait()
            await self._passage_free()
            if not self._waiting:
                continue
            utterance = self._current = self._waiting.popleft()
            await self.push_frame(TTSSpeakFrame(utterance.text, append_to_context=False))
            try:
                async with asyncio.timeout(utterance.deadline_s):
                    await asyncio.shield(utterance.done)
            except TimeoutError:
                log.warning("utterance_lost", deadline_s=utterance.deadline_s, consequence="it is not waited for")
                utterance.break_off()
            self._current = None

    async def _passage_free(self) -> None:
        # Handed to the voice ahead of the interruption, the answer would be dropped by it.
        with suppress(TimeoutError):
            async with asyncio.timeout(_PASSAGE_S):
                await self._passage.wait()
        self._passage.set()

    def _break_off(self) -> None:
        while self._waiting:
            self._waiting.popleft().finish(Outcome.DROPPED)
        if self._current is not None:
            self._current.break_off()

    def began(self) -> None:
        """The transport has reached the current utterance."""
        current = self._current
        if current is not None and not current.has_begun and not current.done.done():
            current.has_begun = True
            self._on_begin(current)

    def sounded(self) -> None:
        """Sound of the current utterance was handed to the caller."""
        current = self._current
        if current is not None and current.has_begun and not current.has_sound:
            current.has_sound = True
            if self._on_sound is not None:
                self._on_sound(current)

    def ended(self) -> None:
        """The transport has passed the end of the current utterance."""
        # An end that comes without a beginning belongs to one that was cut before.
        if self._current is not None and self._current.has_begun:
            self._current.finish(Outcome.PLAYED)


class Playout(Stage):
    """The end of the pipeline: what arrives here has been handed to the caller, in order."""

    def __init__(self, mouth: Mouth) -> None:
        super().__init__()
        self._mouth = mouth

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Report beginnings, sounds and ends to the mouth."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSStartedFrame):
            self._mouth.began()
        elif isinstance(frame, TTSAudioRawFrame):
            self._mouth.sounded()
        elif isinstance(frame, TTSStoppedFrame):
            self._mouth.ended()
        elif isinstance(frame, TTSSpeakFrame):
            # There is no voice in this session: the text itself is all there is to play.
            self._mouth.began()
            self._mouth.ended()
        await self.push_frame(frame, direction)
