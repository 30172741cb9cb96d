"""Decoding begins when a speaker falls silent, not when it is certain that the silence lasts.

The voice detector waits a fifth of a second before it calls speech ended, and nearly always it has. What the
recogniser makes of the sound up to the silence is the same before and after that wait, so the wait is used. Speech that
goes on makes the work worthless, so only a model that nobody waits for takes it on.
"""

from __future__ import annotations

import asyncio

from infra.log import get_logger
from voice.services.errors import SpeechBusy
from voice.services.hearing import Look
from voice.services.whisper_model import Listener

_log = get_logger("voice.services.lookahead")


class Lookahead:
    """What one session's recogniser has begun to decode before it was asked to.

    Args:
        listener: the model that decodes.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._segment = b""
        self._looks: dict[bytes, asyncio.Task[Look | None]] = {}

    def begin(self, segment: bytes, before: bytes) -> None:
        """Decode what was said since the last pause, and the whole turn with it.

        Args:
            segment: PCM16 up to now.
            before: the turn's earlier segments; empty where there are none.
        """
        self.drop()
        if self._listener.is_idle:
            self._segment = segment
            wanted = dict.fromkeys((segment, before + segment))
            self._looks = {pcm: asyncio.create_task(self._decode(pcm)) for pcm in wanted}

    def drop(self) -> None:
        """Speech goes on: what waits never runs, what runs is for nothing. Safe to call twice."""
        for task in self._looks.values():
            task.cancel()
        self._segment, self._looks = b"", {}

    def claim(self, segment: bytes) -> bytes:
        """The segment without the silence behind it, where that much was decoded ahead; else the segment itself."""
        return self._segment if self._segment and segment.startswith(self._segment) else segment

    async def look(self, pcm: bytes) -> Look | None:
        """What the model makes of it, now or ahead; None where it does not answer before its deadline."""
        ahead = self._looks.pop(pcm, None)
        return await (self._decode(pcm) if ahead is None else ahead)

    async def _decode(self, pcm: bytes) -> Look | None:
        try:
            return await self._listener.look(pcm)
        except SpeechBusy as error:
            _log.warning("speech_deadline", reason=str(error))
            return None
