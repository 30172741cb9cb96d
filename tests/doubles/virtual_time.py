"""An event loop whose clock jumps to the next timer when nothing is ready: hours of waiting take no time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """For code that waits by timers only; threads and sockets would be overtaken."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped_s = 0.0

    def time(self) -> float:
        return super().time() + self._skipped_s

    def _run_once(self) -> None:
        ready, scheduled = self.__dict__["_ready"], self.__dict__["_scheduled"]
        if not ready and scheduled:
            self._skipped_s += max(0.0, scheduled[0].when() - self.time())
        super()._run_once()  # type: ignore[misc]


def run_virtual(work: Coroutine[Any, Any, T], limit_s: float = 3600.0) -> T:
    """Run `work` to its end in virtual time; TimeoutError after `limit_s` of it."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(asyncio.wait_for(work, limit_s))
    finally:
        loop.close()
