"""The Docker runtime: the engine's blocking calls on a bounded pool, images pulled once, paths made the daemon's.

It knows the engine by a protocol only, so that the SDK stays in `infra.runtimes.docker`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from infra.errors import ContainerError, RuntimeUnavailableError, SisyphusError
from infra.runtime import Container, ContainerSpec, ExitStatus, Image, Mount, Orphan
from infra.runtimes import docker_probe
from infra.runtimes.docker_container import DockerContainer, Engine
from infra.runtimes.docker_mounts import MountMap, map_of_mounts, own_container_id
from infra.runtimes.docker_options import EngineFacts, create_body
from infra.runtimes.docker_stream import AttachedStream, Closable
from infra.settings import Settings
from schemas.task import Resources

#: Calls to the engine at the same time, per slot, and beside them.
CALLS_PER_SLOT, CALLS_BESIDE = 2, 4
#: Seconds that the probe's container may take.
TRIAL_S = 60.0
#: (digest, path) pairs that are remembered.
KNOWN_PATHS = 10_000

T = TypeVar("T")


class _FullEngine(Engine, Protocol):
    """All that the runtime asks of the engine; every call blocks."""

    def describe(self) -> EngineFacts: ...
    def image_id(self, name: str) -> str | None: ...
    def pull(self, name: str) -> None: ...
    def import_image(self, name: str, tar: bytes) -> None: ...
    def create(self, body: dict[str, Any]) -> str: ...
    def attach(self, container_id: str, *, with_stdin: bool) -> tuple[socket.socket, Closable]: ...
    def start(self, container_id: str, program: str) -> None: ...
    def file(self, container_id: str, path: str) -> bytes | None: ...
    def exists(self, container_id: str, path: str) -> bool: ...
    def mounts(self, container_id: str) -> Sequence[dict[str, Any]] | None: ...
    def labelled(self, node_id: str | None) -> Sequence[Orphan]: ...
    def close(self) -> None: ...


class DockerRuntime:
    """See `infra.runtime.Runtime`."""

    name = "docker"
    honours_image = True

    def __init__(self, connect: Callable[[], _FullEngine], settings: Settings, mountinfo: Path) -> None:
        """See `infra.runtimes.docker.open_runtime`."""
        self._connect, self._settings, self._mountinfo = connect, settings, mountinfo
        self._executor = ThreadPoolExecutor(settings.slots * CALLS_PER_SLOT + CALLS_BESIDE, "docker")
        self._opening: asyncio.Task[None] | None = None
        self._engine: _FullEngine | None = None
        self._facts, self._mounts = EngineFacts(), MountMap()
        self._pulls: dict[str, asyncio.Task[Image]] = {}
        self._paths: dict[tuple[str, str], bool] = {}

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: work(*args))

    async def _opened(self) -> _FullEngine:
        """The engine, connected at the first use."""
        if self._engine is None:
            if self._opening is None or (self._opening.done() and self._opening.exception()):
                self._opening = asyncio.create_task(self._open())
            await asyncio.shield(self._opening)
        assert self._engine is not None  # noqa: S101 - set by the task that was awaited
        return self._engine

    async def _open(self) -> None:
        engine = await self._run(self._connect)
        self._facts = await self._run(engine.describe)
        self._mounts = await self._run(self._find_mounts, engine)
        self._engine = engine

    def _find_mounts(self, engine: _FullEngine) -> MountMap:
        """How the daemon sees the node's files: as told, as the node's own container is mounted, or as they are."""
        if self._settings.docker_host_dir:
            return MountMap({Path(os.path.realpath(self._settings.work_root)): self._settings.docker_host_dir})
        own = own_container_id(self._mountinfo.read_text())
        mounts = engine.mounts(own) if own else None
        return MountMap() if mounts is None else map_of_mounts(mounts)

    async def probe(self) -> None:
        """See `infra.runtime.Runtime.probe`; a container of a tiny image of our own must see a file of the node."""
        try:
            async with asyncio.timeout(TRIAL_S):
                engine = await self._opened()
                if await self._run(engine.image_id, docker_probe.IMAGE) is None:
                    tar = docker_probe.image_tar(self._facts.architecture)
                    await self._run(engine.import_image, docker_probe.IMAGE, tar)
                await self._run(self._try_canary, engine)
                if docker_probe.can_run(self._facts.architecture):
                    await self._try_program()
        except TimeoutError as error:
            raise RuntimeUnavailableError(f"Docker did not run a trial container within {TRIAL_S:.0f} s") from error
        except RuntimeUnavailableError:
            raise
        except SisyphusError as error:
            raise RuntimeUnavailableError(f"Docker answers, but a trial container failed: {error}") from error

    def _try_canary(self, engine: _FullEngine) -> None:
        """A wrong idea of where files lie shows tasks empty directories without any error: find it out now."""
        root = self._settings.work_root
        root.mkdir(parents=True, exist_ok=True)
        canary, text = root / f".canary-{uuid.uuid4().hex}", uuid.uuid4().hex.encode()
        canary.write_bytes(text)
        try:
            spec = ContainerSpec(
                docker_probe.IMAGE, [docker_probe.PROGRAM], [Mount(canary, docker_probe.CANARY, read_only=True)]
            )
            found = self._look_inside(engine, spec)
        finally:
            canary.unlink(missing_ok=True)
        if found != text:
            raise RuntimeUnavailableError(
                f"containers do not see the files below {root}: the Docker daemon lives in another file system; mount"
                " that directory at the same path for both, or set SISYPHUS_DOCKER_HOST_DIR to its path for the daemon"
            )

    def _look_inside(self, engine: _FullEngine, spec: ContainerSpec) -> bytes:
        try:
            container_id = engine.create(create_body(spec, self._facts, self._mounts.source))
        except ContainerError as error:
            # A bind source that the daemon cannot find is the loud form of the same mistake.
            if "bind source path" in str(error):
                return b""
            raise
        try:
            return docker_probe.file_in_tar(engine.file(container_id, docker_probe.CANARY) or b"")
        finally:
            engine.remove(container_id)

    async def _try_program(self) -> None:
        container = await self.start(ContainerSpec(docker_probe.IMAGE, [docker_probe.PROGRAM]))
        try:
            status: ExitStatus = await container.wait()
        finally:
            await container.remove()
        if not status.is_success:
            raise ContainerError(f"the trial program ended with code {status.code}")

    async def prepare(self, image: str) -> Image:
        """See `infra.runtime.Runtime.prepare`; several at once share one pull."""
        engine = await self._opened()
        digest = await self._run(engine.image_id, image)
        if digest is not None:
            return Image(image, digest)
        pull = self._pulls.get(image)
        if pull is None:
            pull = self._pulls[image] = asyncio.create_task(self._pull(engine, image))
            pull.add_done_callback(lambda done: self._pulls.pop(image, None) and (done.cancelled() or done.exception()))
        return await asyncio.shield(pull)

    async def _pull(self, engine: _FullEngine, image: str) -> Image:
        await self._run(engine.pull, image)
        digest = await self._run(engine.image_id, image)
        if digest is None:
            raise ContainerError(f"Docker pulled {image!r}, but does not have it")
        return Image(image, digest)

    async def has_path(self, image: Image, path: str) -> bool:
        """See `infra.runtime.Runtime.has_path`; the first look creates a container, and never starts it."""
        key = (image.digest, path)
        if key not in self._paths:
            engine = await self._opened()
            found = await self._run(self._look, engine, image.digest or image.name, path)
            if len(self._paths) >= KNOWN_PATHS:
                self._paths.clear()
            self._paths[key] = found
        return self._paths[key]

    def _look(self, engine: _FullEngine, image: str, path: str) -> bool:
        spec = ContainerSpec(image, ["/"], resources=Resources(read_only_root=False))
        container_id = engine.create(create_body(spec, self._facts, self._mounts.source))
        try:
            return engine.exists(container_id, path)
        finally:
            engine.remove(container_id)

    async def start(self, spec: ContainerSpec) -> Container:
        """See `infra.runtime.Runtime.start`."""
        engine = await self._opened()
        starting = asyncio.create_task(self._start(engine, spec))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The engine finishes what it was asked: wait for it, and leave nothing running.
            with contextlib.suppress(SisyphusError):
                container = await starting
                await container.remove()
            raise

    async def _start(self, engine: _FullEngine, spec: ContainerSpec) -> Container:
        container_id, sock, owner = await self._run(self._launch, engine, spec)
        return DockerContainer(container_id, engine, AttachedStream(sock, owner, spec.stdin), self._executor)

    def _launch(self, engine: _FullEngine, spec: ContainerSpec) -> tuple[str, socket.socket, Closable]:
        """Create, attach, start: attached first, so that the first output is not lost."""
        container_id = engine.create(create_body(spec, self._facts, self._mounts.source))
        owner: Closable | None = None
        try:
            sock, owner = engine.attach(container_id, with_stdin=spec.stdin is not None)
            engine.start(container_id, spec.argv[0])
        except BaseException:
            if owner is not None:
                owner.close()
            engine.remove(container_id)
            raise
        return container_id, sock, owner

    async def orphans(self, node_id: str | None = None) -> Sequence[Orphan]:
        """See `infra.runtime.Runtime.orphans`: those of the engine, of every node that uses it."""
        engine = await self._opened()
        return await self._run(engine.labelled, node_id)

    async def destroy(self, orphan: Orphan) -> None:
        """See `infra.runtime.Runtime.destroy`."""
        engine = await self._opened()
        await self._run(engine.remove, orphan.id)

    async def close(self) -> None:
        """See `infra.runtime.Runtime.close`."""
        for pull in list(self._pulls.values()):
            pull.cancel()
        self._executor.shutdown(wait=False)
        if self._engine is not None:
            self._engine.close()
