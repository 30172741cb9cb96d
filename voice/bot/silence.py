"""The voice detector, which also tells of a silence before it is known to last.

Silero calls speech ended when it heard none for a fifth of a second. Who decodes speech can use that time, if it learns
of the silence when it begins and of its end when speech goes on.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADState

#: Windows of the detector, 32 ms each, that are silent when it is told: inside a word one alone often is.
TOLD_AFTER = 2


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
        self._silent = 0
        self._is_told = False

    async def analyze_audio(self, buffer: bytes) -> VADState:
        """Take mono PCM16 at the analyzer's rate; the state after it."""
        state = await super().analyze_audio(buffer)
        if self._pauses is not None:
            self._tell(state, self._pauses)
        return state

    def _tell(self, state: VADState, pauses: Pauses) -> None:
        silent = self._vad_stopping_count if state is VADState.STOPPING else 0
        # A buffer may hold several windows, and a sound between two silences.
        is_broken = state is VADState.SPEAKING or 0 < silent < self._silent
        if self._is_told and is_broken:
            pauses.silence_broken()
        if is_broken or state is not VADState.STOPPING:
            self._is_told = False
        self._silent = silent
        if not self._is_told and silent >= TOLD_AFTER:
            self._is_told = True
            pauses.silence_began()
