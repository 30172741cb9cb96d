"""One leaderless node: wires the ports, runs the loops, drains on a signal.

Loops: intake (claims work for free slots), lease keeper, sweep. An attempt is a task of its own; no attempt's end
can end the node.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress

from infra.broker import Consumer, open_broker
from infra.clock import SystemClock
from infra.errors import SisyphusError
from infra.log import get_logger
from infra.state_store import Claim, Listener, Topic
from schemas.record import NodeRecord
from worker.attempt import Attempt, Stop
from worker.fencing import Watchdog
from worker.intake import Intake
from worker.lease_keeper import LeaseKeeper
from worker.ports import Ports
from worker.sweep import Sweep

log = get_logger(__name__)

#: Longest sleep between two looks at the store when nobody wakes us, in seconds.
POLL_S = 2.0


class Node:
    """A node with a number of slots."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._consumer: Consumer | None = None
        self._attempts: dict[str, Attempt] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._free = asyncio.Semaphore(ports.settings.slots)
        self._draining = asyncio.Event()

    @property
    def busy(self) -> int:
        """Attempts that are running."""
        return len(self._running)

    def record(self) -> NodeRecord:
        """The node as its peers see it."""
        settings, runtime = self._ports.settings, self._ports.runtime
        return NodeRecord(
            id=self._ports.node_id,
            queue=settings.worker_class,
            slots=settings.slots,
            busy=self.busy,
            draining=self._draining.is_set(),
            runtime=runtime.name,
            seen_s=0.0,
        )

    def drain(self) -> None:
        """Take no more work; a second call releases what still runs, for other nodes to go on with."""
        if not self._draining.is_set():
            log.info("draining", running=self.busy, consequence="running tasks finish; interrupt again to release them")
            self._draining.set()
            return
        log.warning("releasing", running=self.busy, consequence="other nodes go on at the first open TODO item")
        for attempt in self._attempts.values():
            attempt.stop(Stop.RELEASED)

    async def run(self) -> None:
        """Work until drained."""
        settings = self._ports.settings
        watchdog = Watchdog(
            settings, self._ports.node_id, self._ports.boot_id, f"{_scheme(self._ports.runtime.name)}://"
        )

        def beat(*, confirmed: bool) -> None:
            watchdog.beat()
            if confirmed and settings.alive_file:
                with suppress(OSError):
                    settings.alive_file.touch()

        keeper = LeaseKeeper(self._ports.store, settings.lease, SystemClock(), self.record, beat)
        sweep = Sweep(self._ports, self._attempts)
        intake = asyncio.create_task(self._supervised("intake", self._intake))
        loops = [
            asyncio.create_task(self._supervised("lease_keeper", lambda: keeper.run(self._attempts))),
            asyncio.create_task(self._supervised("sweep", sweep.run)),
            intake,
        ]
        if settings.broker:
            loops.append(asyncio.create_task(self._supervised("broker", self._consume)))
        log.info("node_ready", node=self._ports.node_id, slots=settings.slots, runtime=self._ports.runtime.name)
        try:
            await self._draining.wait()
            await asyncio.wait({intake}, timeout=10)  # what it was just taking is run, not dropped
            await self._finish()
        finally:
            ending = [*self._running.values(), *reversed(loops)]
            for task in ending:
                task.cancel()
            await asyncio.wait(ending, timeout=30)
            with suppress(SisyphusError, TimeoutError):
                async with asyncio.timeout(3):
                    await self._ports.store.renew(self.record(), [], settings.lease)
            if not self._running:  # else the watchdog removes what this process could not
                watchdog.goodbye()
            log.info("node_stopped", node=self._ports.node_id)

    async def _finish(self) -> None:
        """Let running attempts end, for at most `drain_s` seconds, then release them."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=self._ports.settings.drain_s)
        if self._running:
            self.drain()
            await asyncio.wait(self._running.values(), timeout=30)

    async def _supervised(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run a loop for ever: what ends it is logged, and it starts again. Intake ends when the node drains."""
        while True:
            try:
                await loop()
                if self._draining.is_set() and name == "intake":
                    return
            except SisyphusError as error:
                log.warning("loop_failed", loop=name, error=str(error), consequence="starts again")
            except Exception:
                log.exception("loop_crashed", loop=name, consequence="starts again")
            await asyncio.sleep(random.uniform(0.5, 2.0))  # noqa: S311 - jitter

    # ------------------------------------------------------------------ intake

    async def _consume(self) -> None:
        """Hold the broker open. Until it answers, and whenever it does not, work comes from the store alone."""
        broker = await open_broker(self._ports.settings)
        if broker is None:
            return
        async with AsyncExitStack() as stack:
            stack.push_async_callback(broker.close)
            self._consumer = await broker.consume()
            stack.push_async_callback(self._consumer.close)
            try:
                await self._draining.wait()
            finally:
                self._consumer = None
            await asyncio.Event().wait()  # the deliveries that are being accepted still need the connection

    async def _intake(self) -> None:
        async with self._ports.store.listen(Topic.WORK) as listener:
            intake = Intake(self._ports)
            while not self._draining.is_set():
                await self._free.acquire()
                self._free.release()
                if self._draining.is_set():
                    return
                claims = await intake.due(self._ports.settings.slots - self.busy)
                for claim in claims:
                    await self._begin(claim)
                if not claims:
                    await self._next(intake, listener)

    async def _next(self, intake: Intake, listener: Listener) -> None:
        """Wait for the first of: a delivery, a wake-up from the store, the drain, the poll."""
        poll_s = POLL_S * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        waits: set[asyncio.Task[object]] = {
            asyncio.create_task(listener.wait(poll_s)),
            asyncio.create_task(self._draining.wait()),
        }
        consumer = self._consumer
        delivered = asyncio.create_task(intake.delivered(consumer, poll_s)) if consumer else None
        if delivered:
            waits.add(delivered)
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        if delivered and not delivered.cancelled() and (claim := delivered.result()):
            await self._begin(claim)

    async def _begin(self, claim: Claim) -> None:
        task_id = claim.lease.task_id
        if task_id in self._running:
            # Our own lease ran out and we claimed again: the old attempt ends first, it shares nothing but the name.
            self._attempts[task_id].stop(Stop.LOST)
            await asyncio.wait({self._running[task_id]})
        await self._free.acquire()
        attempt = self._attempts[task_id] = Attempt(self._ports, claim)
        log.info("attempt_started", task_id=task_id, epoch=claim.lease.epoch, takeover=claim.takeover)
        running = self._running[task_id] = asyncio.create_task(attempt.run())
        running.add_done_callback(lambda done: self._ended(task_id, attempt, done))

    def _ended(self, task_id: str, attempt: Attempt, done: asyncio.Task[None]) -> None:
        self._free.release()
        if self._attempts.get(task_id) is attempt:
            del self._attempts[task_id], self._running[task_id]
        if not done.cancelled() and (error := done.exception()):
            log.error("attempt_crashed", task_id=task_id, error=repr(error), consequence="the lease runs out")


def _scheme(runtime_name: str) -> str:
    return {"bubblewrap": "bwrap"}.get(runtime_name, runtime_name)
