"""Keeps the child processes of the embedded system alive, and ends them in order.

A crashed child is started again after a growing pause. The first stop asks every child to drain (SIGTERM, once), the
second asks again, which stops them at once; what is left after a bound is killed with its process group.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from infra.clock import SystemClock
from infra.log import get_logger

log = get_logger(__name__)

#: Pause before a restart in seconds: the first, and the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
#: A child that lived this long has earned a short pause again.
_SOUND_S = 60.0
#: Seconds that a child gets after the second stop before it is killed.
_HURRY_S = 10.0


class Stop(IntEnum):
    """How much the user wants an end."""

    NO = 0
    DRAIN = 1
    NOW = 2
    KILL = 3


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child.

    Attributes:
        name: what the log calls it.
        arguments: its `sisyphus` command line.
        sockets: file descriptors that it inherits.
        is_last: drained only when all others have ended, so that people can watch them end.
    """

    name: str
    arguments: Sequence[str]
    sockets: Sequence[int] = ()
    is_last: bool = False


class Supervisor:
    """Runs children until it is asked to stop."""

    def __init__(self, specs: Sequence[ChildSpec], environment: Mapping[str, str]) -> None:
        self._specs, self._environment = specs, dict(environment)
        self._clock = SystemClock()
        self._stop = Stop.NO
        self._changed = asyncio.Condition()
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._background: set[asyncio.Task[None]] = set()
        #: Exit codes of children that ended before they were asked to, newest last.
        self.crashes: list[tuple[str, int]] = []

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop > Stop.NO

    def request_stop(self) -> None:
        """One step more towards the end; made to be a signal handler."""
        self._stop = Stop(min(self._stop + 1, Stop.KILL))
        self._signal_all()
        wake = asyncio.get_running_loop().create_task(self._wake())
        self._background.add(wake)
        wake.add_done_callback(self._background.discard)

    async def run(self) -> None:
        """Run all children; returns when every one has ended after a stop."""
        async with asyncio.TaskGroup() as group:
            for spec in self._specs:
                group.create_task(self._keep(spec), name=spec.name)

    def _signal_all(self) -> None:
        lasting = {spec.name for spec in self._specs if spec.is_last}
        others = self._running.keys() - lasting
        for name, process in self._running.items():
            if self._stop > Stop.DRAIN or name in others or not others:
                log.info("child_stopping", child=name, how=self._stop.name.lower())
                self._signal(process)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _until(self, level: Stop, timeout_s: float | None) -> bool:
        """Wait until a stop of at least `level` was asked for; False at the time-out."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self._stop >= level)
        return self._stop >= level

    async def _keep(self, spec: ChildSpec) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self.is_stopping:
            start = self._clock.monotonic()
            code = await self._once(spec)
            if self.is_stopping:
                return
            if self._clock.monotonic() - start >= _SOUND_S:
                pause_s = _FIRST_PAUSE_S
            self.crashes.append((spec.name, code))
            log.error("child_ended", child=spec.name, exit_code=code, restart_in_s=pause_s)
            await self._until(Stop.DRAIN, pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _once(self, spec: ChildSpec) -> int:
        """Run the child to its end; its exit code (negative: the signal that killed it)."""
        # -P: a folder called infra in the working directory must not become our package.
        argv = [sys.executable, "-P", "-m", "infra.commands.child", str(os.getpid()), *spec.arguments]
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=spec.sockets,
            process_group=0,  # Ctrl-C reaches us alone; we pass it on once
        )
        self._running[spec.name] = process
        if self.is_stopping:
            self._signal(process)
        try:
            return await self._ended(process)
        finally:
            del self._running[spec.name]
            if process.returncode is None:
                self._kill(process)
                await process.wait()
            if self._stop is Stop.DRAIN and all(x.is_last for x in self._specs if x.name in self._running):
                self._signal_all()

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        waiter = asyncio.ensure_future(process.wait())
        hurry = asyncio.ensure_future(self._until(Stop.NOW, None))
        try:
            await asyncio.wait({waiter, hurry}, return_when=asyncio.FIRST_COMPLETED)
            if not waiter.done():
                await asyncio.wait({waiter}, timeout=_HURRY_S)
            if not waiter.done():
                self._kill(process)
            return await waiter
        finally:
            hurry.cancel()
            waiter.cancel()

    def _signal(self, process: asyncio.subprocess.Process) -> None:
        if self._stop is Stop.KILL:
            self._kill(process)
            return
        with suppress(ProcessLookupError):
            process.terminate()

    @staticmethod
    def _kill(process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
