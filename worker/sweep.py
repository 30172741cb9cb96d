"""Sweeping up after the dead: containers, attempt directories and staging objects that nobody will come back for.

Every node sweeps, at random moments, without a leader. Nothing is removed that a live lease may still need.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from infra.errors import SisyphusError
from infra.log import get_logger
from infra.runtime import LABEL_CLUSTER, LABEL_EPOCH, LABEL_TASK
from schemas.paths import RESERVED_PREFIX, Remote, Scheme
from worker.ports import Ports

log = get_logger(__name__)

#: Mean seconds between two sweeps, and the age from which a leftover counts as one.
SWEEP_S, GRACE_S = 60.0, 120.0


class Sweep:
    """Removes leftovers of attempts whose lease is gone."""

    def __init__(self, ports: Ports, mine: Collection[str]) -> None:
        self._ports, self._mine = ports, mine

    async def run(self) -> None:
        """Sweep now and then, until canceled."""
        while True:
            await asyncio.sleep(SWEEP_S * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            try:
                await self.once()
            except SisyphusError as error:
                log.warning("sweep_failed", error=str(error))

    async def once(self, grace_s: float = GRACE_S) -> None:
        """One sweep of containers, directories and staging objects."""
        for orphan in await self._ports.runtime.orphans():
            if orphan.labels.get(LABEL_CLUSTER) != self._ports.cluster_id:
                continue
            task_id, epoch = orphan.labels.get(LABEL_TASK, ""), orphan.labels.get(LABEL_EPOCH, "0")
            if task_id not in self._mine and await self._is_over(task_id, int(epoch) if epoch.isdigit() else 0):
                log.warning("orphan_removed", container_id=orphan.id, task_id=task_id, epoch=epoch)
                await self._ports.runtime.destroy(orphan)
        await self._directories(grace_s)
        await self._staging(grace_s)

    async def _directories(self, grace_s: float) -> None:
        for folder in await asyncio.to_thread(_old_attempts, self._ports.settings.work_root, grace_s):
            task_id, epoch = folder.parent.name, int(folder.name)
            if task_id not in self._mine and await self._is_over(task_id, epoch):
                await asyncio.to_thread(shutil.rmtree, folder, True)
                await asyncio.to_thread(_remove_if_empty, folder.parent)

    async def _staging(self, grace_s: float) -> None:
        """Staged objects of attempts that ended without promoting them, and checkpoints of ended tasks."""
        settings = self._ports.settings
        prefix = Remote(Scheme.BUCKET, settings.default_bucket, RESERVED_PREFIX)
        store = self._ports.objects.at(prefix)
        async for info in store.list(prefix):
            parts = info.remote.key.split("/")
            if parts[1] == "logs" or time.time() - info.modified.timestamp() < grace_s:
                continue
            task_id = parts[2] if parts[1] == "checkpoints" and len(parts) > 3 else parts[1]
            record = await self._ports.store.load(task_id)
            if record is None or record.is_terminal:
                await store.delete([info.remote])

    async def _is_over(self, task_id: str, epoch: int) -> bool:
        """Whether attempt `epoch` can no longer write anything."""
        record = await self._ports.store.load(task_id) if task_id else None
        return record is None or record.is_terminal or record.epoch != epoch


def _old_attempts(root: Path, grace_s: float) -> list[Path]:
    """Attempt directories ``<root>/<task>/<epoch>`` that nobody touched for `grace_s` seconds."""
    found: list[Path] = []
    for folder in root.glob("*/*"):
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and time.time() - folder.stat().st_mtime > grace_s:
                found.append(folder)
    return found


def _remove_if_empty(folder: Path) -> None:

    with contextlib.suppress(OSError):
        folder.rmdir()
