"""Blocking calls off the event loop, in a bounded pool, that can be stopped and report their progress.

A call that is cancelled is told to stop at its next block and is waited for, so that it has cleaned up after
itself before the cancellation goes on. Callbacks always run on the event loop, and before the call returns.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

#: Seconds that a cancelled caller waits for its thread: a block takes milliseconds, a dead connection much longer.
_STOP_WAIT_S = 2.0


class StoppedError(Exception):
    """Raised inside a worker thread whose caller was cancelled; never seen outside it."""


class Transfer:
    """What a worker thread knows of its caller: whether to go on, and whom to tell of bytes that moved."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_bytes: Callable[[int], None] | None) -> None:
        self._loop, self._on_bytes = loop, on_bytes
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Make the next `check` or `moved` raise."""
        self._stopped.set()

    def check(self) -> None:
        """Go on only if the caller still waits.

        Raises:
            StoppedError: it does not.
        """
        if self._stopped.is_set():
            raise StoppedError

    def moved(self, count: int) -> None:
        """Tell the caller that `count` more bytes have moved. Raises StoppedError as `check` does."""
        self.check()
        if self._on_bytes is not None:
            self._loop.call_soon_threadsafe(self._on_bytes, count)

    def pause(self, seconds: float) -> None:
        """Sleep in the worker thread, but not longer than the caller waits. Raises StoppedError as `check` does."""
        self._stopped.wait(seconds)
        self.check()


class BlockingPool:
    """At most `threads` blocking calls at a time; further ones wait their turn. Threads start on first use."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, call: Callable[[Transfer], T], on_bytes: Callable[[int], None] | None = None) -> T:
        """Run `call` in a thread of the pool; cancelling stops it and waits a moment until it is out."""
        transfer = Transfer(asyncio.get_running_loop(), on_bytes)
        future = self._pool.submit(call, transfer)
        outcome = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(outcome)
        except asyncio.CancelledError:
            transfer.stop()
            if not future.cancel():
                await asyncio.wait([outcome], timeout=_STOP_WAIT_S)
                _ = outcome.done() and not outcome.cancelled() and outcome.exception()  # seen, so not logged
            raise

    def close(self) -> None:
        """Take no more calls and forget those that have not started. Idempotent."""
        self._pool.shutdown(wait=False, cancel_futures=True)
