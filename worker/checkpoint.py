"""Checkpoints: what the commands wrote so far, archived in the object store before an item counts as completed.

A takeover restores the latest one and goes on at the first item that is not completed. An archive is named by the
item and the epoch that completed it, both of which the TODO list holds; so there is nothing else to remember.
"""

from __future__ import annotations

import asyncio
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from infra.errors import StorageError
from infra.object_store import ObjectStores
from schemas.lease import Lease
from schemas.paths import RESERVED_PREFIX, Remote, Scheme
from schemas.todo import ItemKind, ItemState, TodoItem
from worker.path_map import PathMap


class CorruptCheckpointError(StorageError):
    """An archive is not what was packed."""


class Checkpoints:
    """The checkpoints of one task."""

    def __init__(self, objects: ObjectStores, bucket: str, lease: Lease) -> None:
        self._objects, self._bucket, self._lease = objects, bucket, lease

    def _remote(self, index: int, epoch: int) -> Remote:
        key = f"{RESERVED_PREFIX}checkpoints/{self._lease.task_id}/{index}-{epoch}.tar"
        return Remote(Scheme.BUCKET, self._bucket, key)

    async def save(self, paths: PathMap, index: int) -> None:
        """Archive all that the commands wrote, after command `index`."""
        archive = paths.root / f"checkpoint-{index}.tar"
        remote = self._remote(index, self._lease.epoch)
        try:
            await asyncio.to_thread(_pack, paths.writable, archive)
            await self._objects.at(remote).store(archive, remote)
        finally:
            archive.unlink(missing_ok=True)

    async def restore(self, paths: PathMap, items: Sequence[TodoItem]) -> None:
        """Bring back the latest archive of the completed commands, if there is one.

        Raises:
            ObjectMissingError: the TODO list names a checkpoint that is gone.
        """
        done = [x for x in items if x.kind is ItemKind.COMMAND and x.state is ItemState.COMPLETED and x.durable]
        if not done:
            return
        last = max(done, key=lambda x: x.index)
        remote, archive = self._remote(last.index, last.epoch), paths.root / "restore.tar"
        await self._objects.at(remote).fetch(remote, archive)
        await asyncio.to_thread(_unpack, archive, paths.writable)

    async def forget(self, items: Sequence[TodoItem], before: int | None = None) -> None:
        """Delete the archives of durable commands, all or those before index `before`."""
        old = [
            self._remote(x.index, x.epoch)
            for x in items
            if x.kind is ItemKind.COMMAND and x.durable and (before is None or x.index < before)
        ]
        if old:
            await self._objects.at(old[0]).delete(old)


def _pack(tree: Path, archive: Path) -> None:
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(tree.iterdir()):
            tar.add(path, arcname=path.name)


def _unpack(archive: Path, tree: Path) -> None:
    shutil.rmtree(tree)
    tree.mkdir()
    with tarfile.open(archive) as tar:
        # Python before 3.11.4, as in Debian 12, has no filters; later ones want to be told of one.
        tar.extraction_filter = lambda member, _path: member
        tar.extractall(tree, _confined(tar))  # noqa: S202 - each member is judged before it is written
    archive.unlink()


def _confined(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members, each below the tree. Links are kept as they were: they are judged when outputs are collected.

    Raises:
        CorruptCheckpointError: a name that leads out of the tree, which none that we packed does.
    """
    links: set[PurePosixPath] = set()
    for member in tar:
        for name in [member.name, *([member.linkname] if member.islnk() else [])]:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not links.isdisjoint(path.parents):
                raise CorruptCheckpointError(f"the checkpoint {tar.name} holds {name!r}, which leads out of its tree")
        if member.issym():
            links.add(PurePosixPath(member.name))
        yield member
