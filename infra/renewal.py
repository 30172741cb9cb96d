"""Things that break and are opened again, and work that goes on when nobody waits for it any more.

Cancelling a call in the middle of a conversation with a server can cost the whole connection; what must not be cut
short runs in a task of its own here, and callers only wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: Tasks that finish by themselves; the loop alone would not keep them.
_background: set[asyncio.Task[None]] = set()


def in_background(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, which must not raise."""
    task = asyncio.create_task(work)
    _background.add(task)
    task.add_done_callback(_background.discard)


class Renewed(Generic[T]):
    """Something that is opened again when it broke.

    All who wait share one opening, and a waiter that gives up does not stop it.
    """

    def __init__(self, opening: Callable[[], Coroutine[Any, Any, T]], is_alive: Callable[[T], bool]) -> None:
        self._open, self._is_alive = opening, is_alive
        self._opening: asyncio.Task[T] | None = None

    @property
    def current(self) -> T | None:
        """What was opened last, if it lives."""
        task = self._opening
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result() if self._is_alive(task.result()) else None

    async def get(self) -> T:
        """What lives, opened if need be."""
        if self.current is None and (self._opening is None or self._opening.done()):
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(_seen)
        assert self._opening is not None  # noqa: S101 - for the type checker
        return await asyncio.shield(self._opening)

    async def stop(self) -> T | None:
        """End an opening under way; what is open is handed over to be closed."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait([self._opening])
        return self.current


def _seen(task: asyncio.Task[Any]) -> None:
    """Take note of a failure that nobody may be waiting for any more."""
    _ = task.cancelled() or task.exception()
