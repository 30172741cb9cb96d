"""How long people wait: from the end of their speech to the task's row, and to the first sound of the answer.

One line in the log per turn, in milliseconds. The end of speech is what the voice detector heard last, not when it
decided so. A turn that was typed counts from its arrival.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from infra.log import get_logger

log = get_logger(__name__)

#: Turns that are kept for whoever asks.
_KEPT = 200


@dataclass(slots=True)
class TurnTimes:
    """The times of one turn, in milliseconds from the end of speech; None for what did not happen."""

    ended_at_s: float
    typed: bool = False
    turn_ms: float | None = None
    understood_ms: float | None = None
    row_ms: float | None = None
    audio_ms: float | None = None

    def passed_ms(self) -> float:
        """Milliseconds since the end of speech."""
        return round(1000 * (time.time() - self.ended_at_s), 1)


class LatencyLog:
    """Follows one session's turns. All times are this machine's own."""

    def __init__(self) -> None:
        self.turns: deque[TurnTimes] = deque(maxlen=_KEPT)
        self._speech_ended_at_s = time.time()
        self._open: TurnTimes | None = None

    def speech_ended(self, at_s: float) -> None:
        """The user fell silent at `at_s` (Unix time); several per turn, the last one counts."""
        self._speech_ended_at_s = at_s

    def turn_ended(self, *, typed: bool = False) -> None:
        """What the user said is complete."""
        self._open = TurnTimes(time.time() if typed else self._speech_ended_at_s, typed)
        self._open.turn_ms = self._open.passed_ms()
        self.turns.append(self._open)

    def understood(self) -> None:
        """It is known what the user meant."""
        if self._open is not None and self._open.understood_ms is None:
            self._open.understood_ms = self._open.passed_ms()

    def row_stored(self) -> None:
        """The task's row is in the store."""
        if self._open is not None and self._open.row_ms is None:
            self._open.row_ms = self._open.passed_ms()

    def sounded(self) -> None:
        """The first sound of the answer was handed to the caller."""
        turn, self._open = self._open, None
        if turn is not None:
            turn.audio_ms = turn.passed_ms()
            log.info(
                "turn_latency",
                turn_ms=turn.turn_ms,
                understood_ms=turn.understood_ms,
                row_ms=turn.row_ms,
                audio_ms=turn.audio_ms,
                typed=turn.typed,
            )
