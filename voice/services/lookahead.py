"""Decoding begins when a speaker falls silent, not when it is certain that the silence lasts.

The voice detector waits a fifth of a second before it calls speech ended, and nearly always it has. What the
recogniser makes of the sound up to the silence is the same before and after that wait, so the wait is used. Speech that
goes on makes the work worthless, so only a model that has nothing else to do takes it on.
"""

from __future__ import annotations

import asyncio

from infra.log import get_logger
from voice.services.errors import SpeechBusy
from voice.services.hearing import SHORT_BYTES, Look
from voice.services.whisper_model import Listener

_log = get_logger("voice.services.lookahead")


class Lookahead:
    """What one session's recogniser has begun to decode before it was asked to.

    Args:
        listener: the model that decodes.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._guess: Guess | None = None

    def begin(self, segment: bytes, before: bytes) -> None:
        """Decode what was said since the last pause, and then the whole turn with it, as far as they are short.

        Args:
            segment: PCM16 up to now.
            before: the turn's earlier segments; empty where there are none.
        """
        self.drop()
        if self._listener.is_idle and len(segment) <= SHORT_BYTES:
            self._guess = Guess(self._listener, segment)
            self._guess.begin(before)

    def drop(self) -> None:
        """Speech goes on: what waits never runs, what runs is for nothing. Safe to call twice."""
        guess, self._guess = self._guess, None
        if guess is not None:
            guess.drop()

    def claim(self, segment: bytes) -> Guess:
        """What was decoded ahead of this segment, or of nothing; it is the caller's to drop."""
        guess, self._guess = self._guess, None
        if guess is not None and segment.startswith(guess.segment):
            return guess
        if guess is not None:
            guess.drop()
        return Guess(self._listener, segment)


class Guess:
    """Sound, and the looks at it that are under way.

    Attributes:
        segment: the PCM16 since the last pause, as far as it is decoded.
    """

    def __init__(self, listener: Listener, segment: bytes) -> None:
        self._listener = listener
        self.segment = segment
        self._looks: dict[bytes, asyncio.Task[Look | None]] = {}

    def begin(self, before: bytes) -> None:
        """Decode the segment, and then all of the turn if there is more of it."""
        own = self._looks[self.segment] = asyncio.create_task(self._decode(self.segment))
        whole = before + self.segment
        if before and len(whole) <= SHORT_BYTES:
            self._looks[whole] = asyncio.create_task(self._decode_after(own, whole))

    async def look(self, pcm: bytes) -> Look | None:
        """What the model makes of it, now or ahead; None where it does not answer before its deadline."""
        ahead = self._looks.pop(pcm, None)
        return await (self._decode(pcm) if ahead is None else ahead)

    def drop(self) -> None:
        """Let go what nobody has asked for. Safe to call twice."""
        for task in self._looks.values():
            task.cancel()
        self._looks = {}

    async def _decode_after(self, first: asyncio.Task[Look | None], pcm: bytes) -> Look | None:
        # Others that wait for the model come between the two.
        await asyncio.wait([first])
        return await self._decode(pcm)

    async def _decode(self, pcm: bytes) -> Look | None:
        try:
            return await self._listener.look(pcm)
        except SpeechBusy as error:
            _log.warning("speech_deadline", reason=str(error))
            return None
