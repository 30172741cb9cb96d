"""Keeping the leases of one node: renew all in one statement, pass on cancels, fence when renewal fails.

The fence here stops attempts inside a healthy process; the watchdog (a process of its own) does the same from
outside when this process is stopped, starved or dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Protocol

from infra.clock import Clock
from infra.errors import SisyphusError
from infra.log import get_logger
from infra.state_store import StateStore, Topic
from schemas.lease import LeaseTerms
from schemas.record import NodeRecord
from worker.attempt import Attempt, Stop

log = get_logger(__name__)


#: Where between `renew_s` and `fence_s` the attempts are stopped: time is left to see them gone before the watchdog,
#: at `fence_s`, ends the whole node. An outage of the database costs the attempts, not the nodes.
_SHARE = 0.75
#: Seconds until a renewal that failed is tried again.
_AGAIN_S = 1.0


class Beat(Protocol):
    """Tells the watchdog that no lease of this node can have run out."""

    def __call__(self, *, confirmed: bool) -> None:
        """`confirmed`: the database renewed them just now; else nothing runs here."""
        ...


class LeaseKeeper:
    """Renews while the node lives. `beat` is called after each confirmed renewal, and while nothing runs."""

    def __init__(
        self,
        store: StateStore,
        terms: LeaseTerms,
        clock: Clock,
        node: Callable[[], NodeRecord],
        beat: Beat,
    ) -> None:
        self._store, self._terms, self._clock, self._node, self._beat = store, terms, clock, node, beat
        self._confirmed = clock.monotonic()
        self._fence_s = terms.renew_s + _SHARE * (terms.fence_s - terms.renew_s)

    async def run(self, attempts: Mapping[str, Attempt]) -> None:
        """Renew every `renew_s` seconds, at once when a cancel is announced, until canceled."""
        async with AsyncExitStack() as stack:
            listener = await stack.enter_async_context(self._store.listen(Topic.CANCEL))
            while True:
                is_renewed = await self.renew(attempts)
                await listener.wait(self._terms.renew_s if is_renewed else min(_AGAIN_S, self._terms.renew_s))

    async def renew(self, attempts: Mapping[str, Attempt]) -> bool:
        """One renewal of all leases, with what follows from it; whether the database confirmed it."""
        held = {task_id: attempt.lease for task_id, attempt in attempts.items()}
        # The lease runs from before the request was sent: the answer may have been slow.
        asked = self._clock.monotonic()
        try:
            left_s = max(_AGAIN_S, self._confirmed + self._fence_s - asked)
            async with asyncio.timeout(min(self._terms.renew_s, left_s)):
                renewal = await self._store.renew(self._node(), list(held.values()), self._terms)
        except (SisyphusError, TimeoutError) as error:
            silent_s = self._clock.monotonic() - self._confirmed
            log.warning("renewal_failed", error=str(error) or "no answer in time", silent_s=round(silent_s, 1))
            if silent_s >= self._fence_s:
                self._fence(attempts, silent_s)
            if not attempts:
                self._beat(confirmed=False)
            return False
        self._confirmed = asked
        self._beat(confirmed=True)
        for task_id, lease in held.items():
            attempt = attempts.get(task_id)
            if attempt is None or attempt.lease != lease:
                continue
            if task_id not in renewal.kept:
                attempt.stop(Stop.LOST)
            elif task_id in renewal.canceled:
                attempt.stop(Stop.CANCELED)
        return True

    def _fence(self, attempts: Mapping[str, Attempt], silent_s: float) -> None:
        for attempt in attempts.values():
            attempt.stop(Stop.LOST)
        if attempts:
            log.error(
                "self_fenced", silent_s=round(silent_s, 1), tasks=len(attempts), consequence="taken over elsewhere"
            )
