"""Who has the floor: the one place that knows whether user and bot are silent, thinking or speaking.

Everything that wants to speak unasked waits here for an opening. All methods are called on one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum


class BotState(StrEnum):
    """What the page shows."""

    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"


class Holder(StrEnum):
    """Who may hold the floor; several may at once."""

    USER = "user"  # speaks, or a turn of theirs has not ended yet
    TURN = "turn"  # a finished turn is being understood and answered
    BOT = "bot"  # a sentence is waiting to be played, or is playing


class Floor:
    """Keeps who holds the floor, and wakes those who wait for it to be free.

    Args:
        on_state: told each time what the page shows changes.
    """

    def __init__(self, on_state: Callable[[BotState], None] | None = None) -> None:
        self._on_state = on_state
        self._holders: set[Holder] = set()
        self._free_since_s = _now_s()
        self._answer_until_s = self._answer_s = 0.0
        self._changed = asyncio.Event()
        self._state = BotState.LISTENING

    @property
    def state(self) -> BotState:
        """What the page shows."""
        return self._state

    def is_held_by(self, holder: Holder) -> bool:
        """Whether `holder` has the floor now."""
        return holder in self._holders

    def take(self, holder: Holder) -> None:
        """`holder` begins. Idempotent."""
        self._holders.add(holder)
        if holder is Holder.USER:
            self._answer_until_s = self._answer_s = 0.0
        self._notify()

    def leave(self, holder: Holder) -> None:
        """`holder` ends. Idempotent."""
        if holder in self._holders:
            self._holders.discard(holder)
            if holder is Holder.BOT and self._answer_s:
                self.await_answer(self._answer_s)
                self._answer_s = 0.0
            if not self._holders:
                self._free_since_s = _now_s()
            self._notify()

    def await_answer(self, for_s: float) -> None:
        """Keep the floor for the user's answer to a question, counted from when the bot is done asking it."""
        self._answer_s, self._answer_until_s = for_s, _now_s() + for_s
        self._notify()

    def free_s(self) -> float:
        """Seconds for which nobody has had the floor; 0 while somebody has it or an answer is awaited."""
        if self._holders or _now_s() < self._answer_until_s:
            return 0.0
        return _now_s() - max(self._free_since_s, self._answer_until_s)

    async def until_free(self, for_s: float) -> None:
        """Return once nobody has had the floor for `for_s` seconds. The caller bounds the wait."""
        while True:
            if self._holders:
                await self._wait_change(None)
                continue
            wait_s = max(self._free_since_s + for_s, self._answer_until_s) - _now_s()
            if wait_s <= 0:
                return
            await self._wait_change(wait_s)

    async def _wait_change(self, timeout_s: float | None) -> None:
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()

    def _notify(self) -> None:
        state = BotState.LISTENING
        if Holder.BOT in self._holders:
            state = BotState.SPEAKING
        elif Holder.TURN in self._holders:
            state = BotState.THINKING
        self._changed.set()
        if state is not self._state:
            self._state = state
            if self._on_state is not None:
                self._on_state(state)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
