"""The voice detector, which also tells of a silence before it is known to last.

Silero calls speech ended when it heard none for a fifth of a second. Who decodes speech can use that time, if it learns
of the silence when it begins and of its end when speech goes on.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADState

#: Seconds of silence that are told. A window of the detector is 32 ms, and between the sounds of a word one alone is
#: often silent.
TOLD_AFTER_S = 0.04
_BYTES_PER_SAMPLE = 2


@runtime_checkable
class Pauses(Protocol):
    """Who is told of silences, on the event loop."""

    def silence_began(self) -> None:
        """The voice has fallen silent, perhaps for good."""
        ...

    def silence_broken(self) -> None:
        """The voice goes on; after a silence that lasted, this is not told."""
        ...


class PauseDetector(SileroVADAnalyzer):
    """Silero for one session; loads its model, which takes 30 ms.

    Args:
        pauses: who is told of silences; None for nobody.
    """

    def __init__(self, pauses: Pauses | None = None) -> None:
        super().__init__()
        self._pauses = pauses
        self._silent_bytes = 0
        self._is_told = False

    async def analyze_audio(self, buffer: bytes) -> VADState:
        """Take mono PCM16 at the analyzer's rate; the state after it."""
        state = await super().analyze_audio(buffer)
        if self._pauses is not None:
            self._tell(state, len(buffer), self._pauses)
        return state

    def _tell(self, state: VADState, fresh_bytes: int, pauses: Pauses) -> None:
        if state is VADState.STOPPING:
            self._silent_bytes += fresh_bytes
            if not self._is_told and self._silent_bytes >= TOLD_AFTER_S * self.sample_rate * _BYTES_PER_SAMPLE:
                self._is_told = True
                pauses.silence_began()
            return
        if self._is_told and state is VADState.SPEAKING:
            pauses.silence_broken()
        self._silent_bytes, self._is_told = 0, False
