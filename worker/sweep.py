"""Sweeping up after the dead: containers, attempt directories and staging objects that nobody will come back for.

Every node sweeps, at random moments, without a leader. Nothing is removed that a live lease may still need.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Collection
from pathlib import Path

from infra.errors import SisyphusError, StorageRefusedError
from infra.log import get_logger
from infra.runtime import LABEL_CLUSTER, LABEL_EPOCH, LABEL_TASK, Orphan
from schemas.lease import Lease
from schemas.paths import RESERVED_PREFIX, Remote, Scheme
from worker.ports import Ports
from worker.retention import Retention
from worker.staging import remove_tree

log = get_logger(__name__)

#: Mean seconds between two sweeps, and the age from which a leftover counts as one.
SWEEP_S, GRACE_S = 60.0, 120.0
#: The age from which objects of an unknown task are leftovers: longer than any task may run.
UNKNOWN_S = 14 * 86_400.0
#: The age from which a copy of an object that nobody writes to any more is a leftover of a killed process.
COPY_S = 86_400.0
#: How such copies, on their way in or out, are called.
_COPIES = (".doctor-*", ".download-*", ".get-*", ".put-*", ".read-*", "*.part")


class Sweep:
    """Removes leftovers of attempts whose lease is gone."""

    def __init__(self, ports: Ports, mine: Collection[str]) -> None:
        self._ports, self._mine = ports, mine

    async def run(self) -> None:
        """Sweep now and then, until canceled."""
        while True:
            await asyncio.sleep(SWEEP_S * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            await self.once()

    async def once(self, grace_s: float = GRACE_S) -> None:
        """One sweep of containers, directories, staging objects and the past. What fails does not end the rest."""
        await _tried(self._containers())
        await _tried(self._directories(grace_s))
        for bucket in await self._buckets():
            await _tried(self._staging(bucket, grace_s))
        await _tried(Retention(self._ports).once())

    async def _containers(self) -> None:
        for orphan in await self._ports.runtime.orphans():
            if orphan.labels.get(LABEL_CLUSTER) != self._ports.cluster_id:
                continue
            task_id, epoch = orphan.labels.get(LABEL_TASK, ""), _number(orphan)
            if task_id not in self._mine and await self._is_over(task_id, epoch):
                log.warning("orphan_removed", container_id=orphan.id, task_id=task_id, epoch=epoch)
                await _tried(self._ports.runtime.destroy(orphan))

    async def _directories(self, grace_s: float) -> None:
        for folder in await asyncio.to_thread(_old_attempts, self._ports.settings.work_root, grace_s):
            task_id, epoch = folder.parent.name, int(folder.name)
            if task_id not in self._mine and await self._is_over(task_id, epoch):
                await asyncio.to_thread(remove_tree, folder)
        await asyncio.to_thread(_remove_empty, self._ports.settings.work_root, grace_s)
        await asyncio.to_thread(_remove_copies, self._ports.settings.work_root)

    async def _buckets(self) -> set[str]:
        """Every bucket may be an output's, and is staged in."""
        default = self._ports.settings.default_bucket
        with contextlib.suppress(SisyphusError):
            return {default, *await self._ports.objects.at(Remote(Scheme.BUCKET, default, "")).buckets()}
        return {default}

    async def _staging(self, bucket: str, grace_s: float) -> None:
        """Staged objects of attempts that ended without promoting them, and checkpoints of ended tasks."""
        prefix = Remote(Scheme.BUCKET, bucket, RESERVED_PREFIX)
        store = self._ports.objects.at(prefix)
        graces: dict[str, float] = {}  # task -> age in seconds from which its objects are leftovers
        with contextlib.suppress(StorageRefusedError):  # a bucket that is not ours to read
            async for info in store.list(prefix):
                parts = info.remote.key.split("/")
                age_s = time.time() - info.modified.timestamp()
                if parts[1] == "logs" or age_s < grace_s:
                    continue
                task_id = parts[2] if parts[1] == "checkpoints" and len(parts) > 3 else parts[1]
                if task_id not in graces:
                    graces[task_id] = await self._grace_s(task_id)
                if age_s >= graces[task_id]:
                    await store.delete([info.remote])

    async def _grace_s(self, task_id: str) -> float:
        """The age from which objects of this task are leftovers: any if it has ended, none while it has not.

        A task that is not known here may be another cluster's, which shares the bucket: they are kept for long.
        """
        record = await self._ports.store.load(task_id)
        if record is None:
            return UNKNOWN_S
        return 0.0 if record.is_terminal else float("inf")

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


def _remove_empty(root: Path, grace_s: float) -> None:
    """The directories of tasks whose attempts have all gone."""
    with contextlib.suppress(OSError):
        for folder in root.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > grace_s:
                    folder.rmdir()


def _remove_copies(root: Path) -> None:
    """Copies whose process was killed before it could remove them."""
    for path in (path for pattern in _COPIES for path in root.glob(pattern)):
        with contextlib.suppress(OSError):
            if path.is_file() and time.time() - path.stat().st_mtime > COPY_S:
                path.unlink()


async def remove_elders(ports: Ports, lease: Lease) -> None:
    """Remove what earlier attempts at the same task left running on this machine.

    A node that was killed together with its watchdog fences nothing, and two containers of one task must not go on
    beside each other.
    """
    try:
        for orphan in await ports.runtime.orphans():
            labels = orphan.labels
            is_ours = (labels.get(LABEL_CLUSTER), labels.get(LABEL_TASK)) == (ports.cluster_id, lease.task_id)
            if is_ours and _number(orphan) < lease.epoch:
                log.warning("elder_removed", container_id=orphan.id, task_id=lease.task_id, epoch=_number(orphan))
                await ports.runtime.destroy(orphan)
    except SisyphusError as error:
        log.warning("elders_not_removed", task_id=lease.task_id, error=str(error), consequence="swept later")


async def _tried(step: Awaitable[None]) -> None:
    try:
        await step
    except SisyphusError as error:
        log.warning("sweep_failed", error=str(error), consequence="tried again later")


def _number(orphan: Orphan) -> int:
    epoch = orphan.labels.get(LABEL_EPOCH, "0")
    return int(epoch) if epoch.isdecimal() else 0
