"""Memory that calls needed is given back when they have ended."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress

import pytest

from voice.session import calls
from voice.session.calls import Calls

_PROGRAM = """
import sys, threading, psutil
from voice.services.memory import keep_one_heap, return_memory

if sys.argv[1] == "one":
    keep_one_heap()
def rss():
    return psutil.Process().memory_info().rss // 1_000_000
def work():
    taken = [bytearray(1_000_000) for _ in range(50)]
    print(rss() - before)
    del taken
before = rss()
# Freeing a large block teaches the allocator to keep the next ones.
bytearray(32_000_000)
thread = threading.Thread(target=work); thread.start(); thread.join()
return_memory()
print(rss() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_blocks_of_all_threads_go_back_to_the_system() -> None:
    """Of 50 MB that a thread took and freed, nothing stays."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM, "one"], check=True, capture_output=True, text=True)
    taken_mb, left_mb = map(int, done.stdout.split())
    assert taken_mb > 40
    assert left_mb < 10


class _Time:
    """Looks at the calls when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.returned = 0
        self._sleeping = asyncio.Event()
        self._go = asyncio.Semaphore(0)
        monkeypatch.setattr(calls.asyncio, "sleep", self._sleep)
        monkeypatch.setattr(calls, "return_memory", self._count)

    async def _sleep(self, _: float) -> None:
        self._sleeping.set()
        await self._go.acquire()

    def _count(self) -> None:
        self.returned += 1

    async def looks(self, times: int) -> int:
        """How often memory was returned after so many looks."""
        for _ in range(times):
            await self._sleeping.wait()
            self._sleeping.clear()
            self._go.release()
        await self._sleeping.wait()
        return self.returned


async def test_memory_is_returned_after_the_last_call_and_during_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while nobody calls, not at once, and once only."""
    time = _Time(monkeypatch)
    lines = Calls(limit=2)
    helper = asyncio.create_task(lines.return_memory())
    try:
        assert await time.looks(5) == 0
        ticket = lines.admit("s")
        lines.release(ticket)
        assert await time.looks(1) == 0
        assert await time.looks(5) == 1
        ticket = lines.admit("s")
        assert await time.looks(25) == 3
        lines.release(ticket)
        assert await time.looks(1) == 3
        assert await time.looks(9) == 4
    finally:
        helper.cancel()
        with suppress(asyncio.CancelledError):
            await helper
