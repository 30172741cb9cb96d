"""Objects as people and doors use them: put, get, list, read. Needs no database, so that it works without one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from infra.errors import ObjectMissingError
from infra.identity import new_id
from infra.object_store import ObjectInfo, ObjectStores, OnBytes
from infra.settings import Settings
from schemas.paths import RESERVED_PREFIX, Remote, Scheme


class ObjectClient:
    """The object stores of one cluster; an adapter is loaded for the first path that needs it."""

    def __init__(self, settings: Settings, objects: ObjectStores) -> None:
        self.settings, self.objects = settings, objects

    async def put(self, source: Path, remote: Remote, on_bytes: OnBytes | None = None) -> ObjectInfo:
        """Store a local file. Raises StorageError, StorageRefusedError."""
        return await self.objects.at(remote).store(source, remote, on_bytes)

    async def get(self, remote: Remote, to: Path, on_bytes: OnBytes | None = None) -> ObjectInfo:
        """Fetch an object into a local file, atomically. Raises ObjectMissingError, StorageError."""
        part = to.with_name(f".{to.name}.{new_id()}.part")
        try:
            info = await self.objects.at(remote).fetch(remote, part, on_bytes)
            part.replace(to)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        return info

    async def ls(self, prefix: Remote | None = None) -> AsyncIterator[ObjectInfo]:
        """Objects below a prefix (default: the whole default bucket), without the cluster's own."""
        where = prefix or Remote(Scheme.BUCKET, self.settings.default_bucket, "")
        async for info in self.objects.at(where).list(where):
            if not info.remote.key.startswith(RESERVED_PREFIX):
                yield info

    async def read_text(self, remote: Remote, limit_bytes: int = 65_536) -> str:
        """The beginning of a small text object.

        Raises:
            ObjectMissingError: there is no such object.
        """
        info = await self.objects.at(remote).stat(remote)
        if info is None:
            raise ObjectMissingError(f"{remote} does not exist")
        self.settings.work_root.mkdir(parents=True, exist_ok=True)
        part = self.settings.work_root / f".read-{new_id()}"
        try:
            await self.objects.at(remote).fetch(remote, part)
            with part.open("rb") as file:
                return file.read(limit_bytes).decode(errors="replace")
        finally:
            part.unlink(missing_ok=True)

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self.objects.close()


@asynccontextmanager
async def open_objects(settings: Settings) -> AsyncGenerator[ObjectClient]:
    """The object stores that the settings name."""
    client = ObjectClient(settings, ObjectStores(settings))
    try:
        yield client
    finally:
        await client.close()
