"""What ``/proc`` and pidfds tell about processes.

A number alone is never trusted for long: it may be given to another process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")


class ProcessHandle:
    """A pidfd: a process that can be signalled and waited for, and is never mistaken for a later one of its number."""

    def __init__(self, pid: int) -> None:
        """Take hold of a process.

        Raises:
            ProcessLookupError: it has been reaped.
        """
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def send(self, number: signal.Signals) -> None:
        """Signal it; one that has ended is left in peace."""
        if self._fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, number)

    async def ended(self) -> None:
        """Wait until it has ended (it may still have to be reaped)."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        # A pidfd may be watched once per loop only, so that every waiter watches a copy of its own.
        copy = os.dup(self._fd)
        loop.add_reader(copy, lambda: done.done() or done.set_result(None))
        try:
            await done
        finally:
            loop.remove_reader(copy)
            os.close(copy)

    def close(self) -> None:
        """Let go of it. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def pids() -> Iterator[int]:
    """Every process that can be seen."""
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def children(parent: int) -> list[int]:
    """The direct children of a process."""
    return [pid for pid in pids() if _parent(pid) == parent]


def _parent(pid: int) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        # The command's name stands in parentheses and may hold blanks and parentheses itself.
        return int((PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[1])
    return None


def environment(pid: int, name: str) -> str | None:
    """One variable of the environment that a process was started with; None if unset or not ours to read."""
    with contextlib.suppress(OSError):
        prefix = name.encode() + b"="
        for item in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
            if item.startswith(prefix):
                return item.removeprefix(prefix).decode(errors="replace")
    return None


def shares_our_pid_namespace(pid: int) -> bool:
    """Whether a process lives beside us; one inside a sandbox does not, whatever its environment pretends."""
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "ns/pid").readlink() == (PROC / "self/ns/pid").readlink()
    return False
