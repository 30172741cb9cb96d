"""The ports of an attempt for tests in one process: a runtime that plays commands, and ports that crash on call."""

import asyncio
import functools
import inspect
import os
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.object_store import ObjectStores
from infra.runtime import ExitStatus, Image, Orphan, Stream
from infra.settings import load_settings
from infra.state_store import Claim, StateStore, open_state_store
from schemas.lease import LeaseTerms
from schemas.legacy import parse_task
from worker.ports import Ports

TERMS = LeaseTerms()
STEPS = [["append", "/work/trace", f"step-{n} "] for n in range(3)]
DOCUMENTS = {
    "checkpoint": {
        "commands": [*({"command": c} for c in STEPS), {"command": ["copy", "/work/trace", "/out/trace"]}],
        "volumes": ["/work/"],
        "inputs": {"sisyphus:in/a": "/in/a"},
        "outputs": {"sisyphus:r/": "/out/", "sisyphus:said": ">"},
        "checkpoint": True,
    },
    "plain": {
        "commands": [
            {"command": ["print", "hello\n"]},
            {"command": STEPS[0]},
            {"command": ["copy", "/work/trace", "/o/x"]},
        ],
        "volumes": ["/work/"],
        "outputs": {"sisyphus:x": "/o/x", "sisyphus:log": ">>"},
    },
    "no outputs": {"commands": [{"command": ["print", "hello\n"]}]},
    "failing": {
        "commands": [{"command": ["print", "hello\n"]}, {"command": ["exit", "7"]}],
        "outputs": {"sisyphus:x": "/o/x", "sisyphus:log": ">>"},
    },
}


class CrashError(BaseException):
    """The process is dead from here on: no handler may write anything more."""


@dataclass
class Fault:
    """What happens at the port call number `at`, before its effect or after it; without `at` calls are counted.

    `act` is awaited there; without it `error` is raised once, or the process is dead from there on.
    """

    at: int | None = None
    after: bool = False
    error: Exception | None = None
    act: Callable[[], Awaitable[None]] | None = None
    calls: list[str] = field(default_factory=list)
    is_dead: bool = False
    has_struck: bool = False

    def begin(self, name: str) -> int:
        self.check()
        self.calls.append(name)
        return len(self.calls) - 1

    def check(self) -> None:
        if self.is_dead:
            raise CrashError

    async def pass_by(self, number: int, *, after: bool) -> None:
        """Strike if this is the place."""
        if (number, after) == (self.at, self.after):
            self.has_struck = True
            if self.act is not None:
                await self.act()
            elif self.error is not None:
                raise self.error
            else:
                self.is_dead = True
        self.check()


class Faulty:
    """Any port behind a fault: every coroutine and asynchronous iterator of it is an edge."""

    def __init__(self, port: object, fault: Fault) -> None:
        self._port, self._fault = port, fault

    def __getattr__(self, name: str):
        found = getattr(self._port, name)
        if inspect.isasyncgenfunction(found):
            return functools.partial(self._iterate, name, found)
        return functools.partial(self._call, name, found) if inspect.iscoroutinefunction(found) else found

    async def _call(self, name, method, *args, **more):
        number = self._fault.begin(f"{type(self._port).__name__}.{name}")
        await self._fault.pass_by(number, after=False)
        result = await method(*args, **more)
        await self._fault.pass_by(number, after=True)
        return result

    async def _iterate(self, name, method, *args):
        number = self._fault.begin(f"{type(self._port).__name__}.{name}")
        await self._fault.pass_by(number, after=False)
        async for item in method(*args):
            yield item
        await self._fault.pass_by(number, after=True)


class FaultyObjects:
    """`ObjectStores` whose stores are behind a fault."""

    def __init__(self, objects: ObjectStores, fault: Fault) -> None:
        self._objects, self._fault = objects, fault

    def at(self, remote):
        return Faulty(self._objects.at(remote), self._fault)

    def check(self, remote):
        self._objects.check(remote)


class PlayedContainer:
    """A container that has done its work when it starts, or runs until it is killed."""

    def __init__(self, number: int, runtime: "PlayedRuntime", spec) -> None:
        self.id = f"played-{number}"
        self.runtime, self.spec = runtime, spec
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._printed: list[tuple[Stream, bytes]] = []
        verb, *rest = spec.argv
        if verb == "exit":
            self._code.set_result(int(rest[0]))
        elif verb == "babble":  # prints, and goes on
            self._print("x" * int(rest[0]) + "\n")
        elif verb != "hang":
            getattr(self, f"_{verb}")(*rest)
            self._code.set_result(0)

    def _local(self, internal: str) -> Path:
        for mount in sorted(self.spec.mounts, key=lambda m: -len(m.internal)):
            if internal == mount.internal or internal.startswith(f"{mount.internal}/"):
                return mount.local / internal[len(mount.internal) + 1 :] if internal != mount.internal else mount.local
        raise FileNotFoundError(internal)

    def _append(self, path: str, text: str) -> None:
        with self._local(path).open("a") as file:
            file.write(text)

    def _copy(self, source: str, to: str) -> None:
        self._local(to).write_bytes(self._local(source).read_bytes())

    def _link(self, target: str, path: str) -> None:
        self._local(path).symlink_to(target)

    def _fifo(self, path: str) -> None:
        os.mkfifo(self._local(path))

    def _print(self, text: str) -> None:
        self._printed.append((Stream.STDOUT, text.encode()))

    async def output(self):
        for piece in self._printed:
            yield piece
        if self.runtime.breaks is not None:
            error, self.runtime.breaks = self.runtime.breaks, None
            raise error
        if not self._code.done():
            await asyncio.wait({self._code})

    async def wait(self) -> ExitStatus:
        return ExitStatus(await asyncio.shield(self._code))

    async def kill(self, grace_s: float = 0.0) -> None:
        if not self._code.done():
            self._code.set_result(137)

    async def remove(self) -> None:
        await self.kill()
        self.runtime.running.pop(self.id, None)


class PlayedRuntime:
    """Commands are verbs of `PlayedContainer`: append, copy, link, fifo, print, exit, babble, hang."""

    name, honours_image = "bubblewrap", False

    def __init__(self) -> None:
        self.running: dict[str, PlayedContainer] = {}
        self.started: list[tuple[str, ...]] = []
        self.breaks: Exception | None = None  # how the next output ends

    async def prepare(self, image: str) -> Image:
        return Image(image, "sha256:0")

    async def has_path(self, image: Image, path: str) -> bool:
        return path == "/"

    async def start(self, spec) -> PlayedContainer:
        self.started.append(tuple(spec.argv))
        container = PlayedContainer(len(self.started), self, spec)
        self.running[container.id] = container
        return container

    async def orphans(self, node_id: str | None = None) -> list[Orphan]:
        return [Orphan(c.id, dict(c.spec.labels)) for c in self.running.values()]

    async def destroy(self, orphan: Orphan) -> None:
        await self.running[orphan.id].remove()

    async def close(self) -> None:
        return None


@dataclass
class Bench:
    """One database and one object store in a directory, and as many nodes on them as a test wants."""

    data: Path
    store: StateStore
    objects: ObjectStores
    settings: object
    runtime: PlayedRuntime = field(default_factory=PlayedRuntime)
    others: Claim | None = None  # of another node, meanwhile

    def ports(self, node: str = "a", *, store=None, objects=None, runtime=None, **settings: object) -> Ports:
        given = load_settings(data=self.data, runtime="bwrap://", **settings)
        return Ports(given, node, store or self.store, objects or self.objects, runtime or self.runtime)

    def faulty(self, fault: Fault, node: str = "a") -> Ports:
        runtime = Faulty(self.runtime, fault)
        return self.ports(
            node, store=Faulty(self.store, fault), objects=FaultyObjects(self.objects, fault), runtime=runtime
        )

    async def submit(self, task_id: str = "t", **document: object) -> str:
        await self.store.submit(parse_task({"image": "i", "id": task_id, **document}), task_id)
        return task_id

    async def claim(self, node: str = "a", nodes_lost_limit: int = 1000) -> Claim:
        self.expire()
        (claim,) = await self.store.claim(node, 1, TERMS, nodes_lost_limit)
        return claim

    def expire(self) -> None:
        """Whatever waits for a time or a lease is due now."""
        database = sqlite3.connect(self.data / "sisyphus.db", timeout=10)
        with database:
            database.execute("UPDATE tasks SET due_at = 0 WHERE due_at IS NOT NULL")
        database.close()


@asynccontextmanager
async def bench(data: Path):
    """A bench below `data`."""
    settings = load_settings(data=data, runtime="bwrap://")
    store = await open_state_store(settings.database_url)
    objects = ObjectStores(settings)
    try:
        yield Bench(data, store, objects, settings)
    finally:
        await objects.close()
        await store.close()
