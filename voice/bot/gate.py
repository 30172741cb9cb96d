"""Decides by words whether the user's speech interrupts the bot: "stop that please" does, "uh huh" does not.

Sits between the recogniser and the user aggregator. What is dropped here is no part of any turn, and its
text is passed on to nobody: a recogniser writes inventions for coughs and hums.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    TranscriptionFrame,
    UserBackchannelFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from voice.services.hearing import Hearing, hearing_of

#: Words that match no command still interrupt when there are this many different ones, and the recogniser
#: is this sure that somebody spoke and of what was said. It makes "No, no, no.", "M and H and M" and
#: "Any time I am." (likelihood -0.77) of "uh huh" and "mm hmm"; sentences have -0.6 and more.
_MIN_WORDS, _MAX_NO_SPEECH, _MIN_LIKELIHOOD = 3, 0.3, -0.7
#: A single letter is a hum spelled out, not a word.
_WORD = re.compile(r"[^\W\d_]{2,}")


class BargeInGate(FrameProcessor):
    """Lets the user's words through; while the bot speaks, only those that mean to interrupt it.

    Args:
        is_command: whether a hearing matches something that the bot acts on now: a command, "stop that
            please", or an answer to what the bot is asking. Called on the event loop.
    """

    def __init__(self, is_command: Callable[[Hearing], bool]) -> None:
        # Pipecat leaves its keyword arguments untyped.
        cast("Any", super()).__init__()
        self._is_command = is_command
        self._is_bot_speaking = False
        self._heard: Hearing | None = None

    def take_hearing(self) -> Hearing | None:
        """Return the latest hearing that was let through, once; it speaks for the whole turn so far."""
        heard, self._heard = self._heard, None
        return heard

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Interrupt the bot, let the words through, or drop them."""
        await super().process_frame(frame, direction)
        if isinstance(frame, BotStartedSpeakingFrame | BotStoppedSpeakingFrame):
            self._is_bot_speaking = isinstance(frame, BotStartedSpeakingFrame)
        elif isinstance(frame, TranscriptionFrame):
            await self._pass_words(frame, direction)
            return
        await self.push_frame(frame, direction)

    async def _pass_words(self, frame: TranscriptionFrame, direction: FrameDirection) -> None:
        hearing = hearing_of(frame)
        if self._is_bot_speaking:
            if not self._is_barge_in(hearing):
                hearing.discard()
                await self.push_frame(UserBackchannelFrame("", frame.user_id, frame.timestamp), direction)
                return
            await self.broadcast_interruption()
        if self._heard is not None:
            self._heard.release()
        self._heard = hearing
        await self.push_frame(frame, direction)

    def _is_barge_in(self, hearing: Hearing) -> bool:
        if not hearing.hypotheses:
            return False
        text, likelihood = hearing.hypotheses[0]
        is_sure = hearing.no_speech_prob <= _MAX_NO_SPEECH and likelihood >= _MIN_LIKELIHOOD
        is_speech = is_sure and len(set(_WORD.findall(text.lower()))) >= _MIN_WORDS
        return is_speech or self._is_command(hearing)
