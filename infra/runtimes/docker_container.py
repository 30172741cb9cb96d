"""One started Docker container. Its verdict is the engine's record of an exited container, never a broken stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from typing import Protocol

from infra.errors import ContainerError
from infra.runtime import ExitStatus, Stream
from infra.runtimes.docker_stream import AttachedStream, in_thread


class Engine(Protocol):
    """What a container needs of the engine; every call blocks."""

    def wait(self, container_id: str) -> ExitStatus:
        """Block until the container has exited."""
        ...

    def kill(self, container_id: str, signal: str) -> None:
        """Signal its first process; one that has ended or gone is left in peace."""
        ...

    def remove(self, container_id: str) -> None:
        """Remove it, running or not; one that has gone is fine."""
        ...


class DockerContainer:
    """See `infra.runtime.Container`."""

    def __init__(self, container_id: str, engine: Engine, stream: AttachedStream, executor: Executor) -> None:
        """Follow a container that has just been started."""
        self._id, self._engine, self._stream, self._executor = container_id, engine, stream, executor
        stream.begin(container_id[:12])
        self._end = in_thread(f"wait-{container_id[:12]}", lambda: engine.wait(container_id))
        self._removal: asyncio.Future[None] | None = None

    @property
    def id(self) -> str:
        """Docker's id of it."""
        return self._id

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """See `infra.runtime.Container.output`."""
        return self._stream.pieces()

    async def wait(self) -> ExitStatus:
        """See `infra.runtime.Container.wait`."""
        return await asyncio.shield(self._end)

    async def kill(self, grace_s: float = 0.0) -> None:
        """See `infra.runtime.Container.kill`."""
        if self._removal is not None or self._end.done():
            return
        loop = asyncio.get_running_loop()
        if grace_s > 0:
            await loop.run_in_executor(self._executor, self._engine.kill, self._id, "SIGTERM")
            with contextlib.suppress(TimeoutError, ContainerError):
                async with asyncio.timeout(grace_s):
                    await self.wait()
                return
        await loop.run_in_executor(self._executor, self._engine.kill, self._id, "SIGKILL")

    async def remove(self) -> None:
        """See `infra.runtime.Container.remove`."""
        if self._removal is None:
            loop = asyncio.get_running_loop()
            self._removal = loop.run_in_executor(self._executor, self._engine.remove, self._id)
        try:
            await asyncio.shield(self._removal)
        except ContainerError:
            self._removal = None
            raise
        finally:
            self._stream.close()
            # Nobody may be waiting: take the outcome, so that it is not reported as lost.
            self._end.add_done_callback(lambda end: end.cancelled() or end.exception())
