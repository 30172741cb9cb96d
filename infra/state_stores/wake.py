"""Wake-ups: who waits in this process, and how a change made by any process reaches them.

A wake-up carries no data and may be spurious; whoever is woken looks into the database. None is lost between the
creation of a listener and its `wait`: the flag is set from the moment the listener is registered.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

from infra.state_store import Topic

#: One character per topic on the wire.
LETTERS = {Topic.WORK: "w", Topic.CANCEL: "c", Topic.EVENT: "e"}
_TOPICS = {letter: topic for topic, letter in LETTERS.items()}


def encoded(topics: Collection[Topic]) -> str:
    """Topics as letters."""
    return "".join(LETTERS[topic] for topic in topics)


class WakeListener:
    """One waiter; see `infra.state_store.Listener`."""

    def __init__(self, topics: Collection[Topic]) -> None:
        self.topics = frozenset(topics)
        self.flag = asyncio.Event()

    async def wait(self, timeout_s: float) -> bool:
        """Return True when woken, False after `timeout_s` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.flag.wait()
        except TimeoutError:
            return False
        self.flag.clear()
        return True


class Wakes(ABC):
    """The listeners of one store, and the channel that feeds them; the channel is open while somebody listens."""

    def __init__(self) -> None:
        self._listeners: set[WakeListener] = set()
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def listen(self, topics: Collection[Topic]) -> AsyncGenerator[WakeListener]:
        """A listener for as long as the context is open."""
        listener = WakeListener(topics)
        async with self._lock:
            await self._open()
            self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                self._idle()

    def wake(self, letters: str) -> None:
        """Wake the listeners of the topics that these letters stand for. On the event loop only."""
        topics = {_TOPICS[letter] for letter in letters if letter in _TOPICS}
        for listener in self._listeners:
            if listener.topics & topics:
                listener.flag.set()

    def wake_all(self) -> None:
        """Wake every listener, because something may have been missed. On the event loop only."""
        self.wake("".join(_TOPICS))

    @abstractmethod
    async def _open(self) -> None:
        """Make sure that changes of other processes arrive from now on. Idempotent."""

    @abstractmethod
    def _idle(self) -> None:
        """Nobody listens any more."""

    @abstractmethod
    async def close(self) -> None:
        """Give everything back. Idempotent."""
