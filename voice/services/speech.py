"""All speech of one server: loaded once at its start, then handed to every session.

A server without weights still serves the page, where typing works; `status` says what is missing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from voice.services.hearing import Hints
from voice.services.memory import keep_one_heap, settle_memory
from voice.services.registry import SpeechSettings, SttEngine, TtsEngine, open_stt, open_tts
from voice.services.turn_model import TurnModel


@dataclass(frozen=True, slots=True)
class SpeechStatus:
    """Whether speech works now, and if not, why and what to do."""

    ready: bool
    reason: str = ""


class Speech:
    """The loaded engines. `open` makes one; `close` ends the voice process and the models' threads."""

    def __init__(self, stt: SttEngine, tts: TtsEngine, turn_model: TurnModel) -> None:
        self._stt = stt
        self._tts = tts
        self.turn_model = turn_model

    @classmethod
    async def open(cls, settings: SpeechSettings) -> Speech:
        """Load and warm everything, off the event loop; two to five seconds once the weights are in place.

        Raises:
            ConfigurationError: an engine is unknown, its package or its weights are missing or wrong.
            SpeechBusy: the voice process does not become ready.
        """
        stt = tts = None
        keep_one_heap()
        try:
            # One after the other: together they would only fight for the cores.
            tts = await open_tts(settings)
            stt = await open_stt(settings)
            turn_model = await asyncio.to_thread(TurnModel)
            # The weights were read as 16 bit and are kept as 8 bit: about 45 MB are free now.
            await asyncio.to_thread(settle_memory)
            return cls(stt, tts, turn_model)
        except BaseException:
            for engine in (stt, tts):
                if engine is not None:
                    await engine.close()
            raise

    def make_stt(self, hints: Hints) -> STTService:
        """Return the recogniser of a new session, which looks to `hints` for words."""
        return self._stt.make(hints)

    def make_tts(self) -> TTSService:
        """Return the voice of a new session."""
        return self._tts.make()

    def status(self) -> SpeechStatus:
        """Return whether a session could be heard and spoken to now."""
        reasons = [reason for reason in (self._stt.problem(), self._tts.problem()) if reason]
        return SpeechStatus(ready=not reasons, reason="; ".join(reasons))

    async def close(self) -> None:
        """End the voice process and the models' threads. Safe to call twice."""
        await self._tts.close()
        await self._stt.close()
