"""Forgetting: what ended longer ago than `keep_days` is removed, its logs in the object store before its row.

Every node does it as part of its sweep, in small steps that may be repeated: a node that dies in between leaves a row
whose logs are gone, and the next sweep of any node finds it again. Outputs are the user's and never touched.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from infra.errors import SisyphusError
from infra.log import get_logger
from worker.log_tail import log_remote
from worker.ports import Ports

log = get_logger(__name__)

#: Tasks, dead letters or sessions per transaction, so that nobody waits long; and transactions per sweep.
BATCH, BATCHES = 20, 100
#: Mean pause between two of them, in seconds.
PAUSE_S = 0.05
_DAY_S = 86_400.0


class Retention:
    """Removes the past of a cluster."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._keep_s = ports.settings.keep_days * _DAY_S

    async def once(self) -> None:
        """Remove what is outdated, at most some thousand tasks. Raises StateStoreError, StorageError and the like."""
        if not self._keep_s:
            return
        tasks = 0
        for _ in range(BATCHES):
            removed = await self._tasks()
            tasks += removed
            if not removed:
                break
            await _pause()
        letters = await self._all(self._ports.store.forget_dead_letters)
        sessions = await self._all(self._ports.store.forget_sessions)
        if tasks or letters or sessions:
            keep_days = self._ports.settings.keep_days
            log.info("past_removed", tasks=tasks, dead_letters=letters, sessions=sessions, keep_days=keep_days)

    async def _all(self, forget: Callable[[float, int], Awaitable[int]]) -> int:
        """Remove one kind of things, batch by batch; their number."""
        total = 0
        for _ in range(BATCHES):
            removed = await forget(self._keep_s, BATCH)
            total += removed
            if removed < BATCH:
                break
            await _pause()
        return total

    async def _tasks(self) -> int:
        """Remove one batch; 0 also where another node was faster, which then goes on with it."""
        found = await self._ports.store.outdated(self._keep_s, BATCH)
        bucket = self._ports.settings.default_bucket
        without_logs: list[str] = []
        for task in found:
            logs = [log_remote(bucket, task.task_id, epoch) for epoch in range(1, task.epoch + 1)]
            try:
                if logs:
                    await self._ports.objects.at(logs[0]).delete(logs)
                without_logs.append(task.task_id)
            except SisyphusError as error:  # the others need not wait for it
                log.warning("log_not_removed", task_id=task.task_id, error=str(error), consequence="tried again later")
        return await self._ports.store.forget(without_logs, self._keep_s)


async def _pause() -> None:
    await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
