"""Keeping the leases of one node: renew all in one statement, pass on cancels, fence when renewal fails.

The fence here stops attempts inside a healthy process; the watchdog (a process of its own) does the same from
outside when this process is stopped, starved or dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from infra.clock import Clock
from infra.errors import SisyphusError
from infra.log import get_logger
from infra.state_store import StateStore, Topic
from schemas.lease import LeaseTerms
from schemas.record import NodeRecord
from worker.attempt import Attempt, Stop

log = get_logger(__name__)


class LeaseKeeper:
    """Renews while the node lives. `beat` is called after each renewal that the database confirmed."""

    def __init__(
        self,
        store: StateStore,
        terms: LeaseTerms,
        clock: Clock,
        node: Callable[[], NodeRecord],
        beat: Callable[[], None],
    ) -> None:
        self._store, self._terms, self._clock, self._node, self._beat = store, terms, clock, node, beat
        self._confirmed = clock.monotonic()

    async def run(self, attempts: Mapping[str, Attempt]) -> None:
        """Renew every `renew_s` seconds, at once when a cancel is announced, until canceled."""
        async with AsyncExitStack() as stack:
            listener = await stack.enter_async_context(self._store.listen(Topic.CANCEL))
            while True:
                await self.renew(attempts)
                await listener.wait(self._terms.renew_s)

    async def renew(self, attempts: Mapping[str, Attempt]) -> None:
        """One renewal of all leases, with what follows from it."""
        held = {task_id: attempt.lease for task_id, attempt in attempts.items()}
        # The lease runs from before the request was sent: the answer may have been slow.
        asked = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._terms.renew_s):
                renewal = await self._store.renew(self._node(), list(held.values()), self._terms)
        except (SisyphusError, TimeoutError) as error:
            silent_s = self._clock.monotonic() - self._confirmed
            log.warning("renewal_failed", error=str(error) or "no answer in time", silent_s=round(silent_s, 1))
            if silent_s >= self._terms.fence_s:
                self._fence(attempts, silent_s)
            return
        self._confirmed = asked
        self._beat()
        for task_id, lease in held.items():
            attempt = attempts.get(task_id)
            if attempt is None or attempt.lease != lease:
                continue
            if task_id not in renewal.kept:
                attempt.stop(Stop.LOST)
            elif task_id in renewal.canceled:
                attempt.stop(Stop.CANCELED)

    def _fence(self, attempts: Mapping[str, Attempt], silent_s: float) -> None:
        for attempt in attempts.values():
            attempt.stop(Stop.LOST)
        if attempts:
            log.error(
                "self_fenced", silent_s=round(silent_s, 1), tasks=len(attempts), consequence="taken over elsewhere"
            )
