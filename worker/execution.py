"""Running the commands of one attempt: a container each, output teed, progress read, limits watched."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from pydantic import JsonValue

from infra.errors import ContainerError
from infra.log import get_logger
from infra.runtime import (
    LABEL_BOOT,
    LABEL_CLUSTER,
    LABEL_EPOCH,
    LABEL_NODE,
    LABEL_TASK,
    Container,
    ContainerSpec,
    ExitStatus,
    Image,
    Stream,
)
from schemas.event import EventType, NewEvent
from schemas.failure import Cause
from schemas.paths import Internal
from schemas.task import Command, TaskDocument
from worker.failures import attempt_error
from worker.log_tail import LogSpool
from worker.path_map import PathMap
from worker.ports import Ports
from worker.staging import check_regular, check_way, used_bytes

log = get_logger(__name__)

#: Seconds between two looks at the disk that a command uses, and that a command gets after SIGTERM.
DISK_LOOK_S, KILL_GRACE_S = 1.0, 2.0
#: Seconds that the last output may come after the exit.
LAG_S = 10.0


@dataclass(slots=True)
class Execution:
    """What all commands of an attempt share."""

    ports: Ports
    task: TaskDocument
    epoch: int
    paths: PathMap
    image: Image
    spool: LogSpool
    note: Callable[[NewEvent], None]
    env: dict[str, str] = field(default_factory=dict[str, str])
    deadline: float | None = None  # on the loop's clock; set when the first container starts
    capture: bool = False
    removals: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])  # of ended containers

    async def run(self, index: int) -> None:
        """Run one command to its end.

        Raises:
            AttemptError: it failed, timed out, or used more than it may.
            ContainerError, CommandNotFoundError: the runtime could not run it.
        """
        item, command = f"command:{index}", self.task.commands[index]
        if command.stdin:
            check_regular(self.paths, self.paths.local(command.stdin), command.stdin)
        container = await self.ports.runtime.start(self._spec(index, command))
        loop = asyncio.get_running_loop()
        if self.deadline is None:
            self.deadline = loop.time() + self.task.timeout_s
        started = {"container_id": container.id, "image": self.image.name, "image_digest": self.image.digest}
        self.note(NewEvent(type=EventType.CONTAINER, data={"item": item, **started}))
        has_ended = False
        try:
            async with asyncio.timeout_at(self.deadline):
                status = await self._watched(container, command, item)
            has_ended = True
        except TimeoutError:
            await container.kill(KILL_GRACE_S)
            message = f"timed out after {self.task.timeout_s:g} s"
            raise attempt_error(Cause.TIMEOUT, message, item, log_tail=self.spool.tail) from None
        finally:
            removal = asyncio.create_task(_discard(container))
            self.removals.append(removal)
            if not has_ended:  # it may still run: nothing goes on before it is gone
                await asyncio.shield(removal)
        ended: dict[str, JsonValue] = {"exit_code": status.code, "out_of_memory": status.out_of_memory}
        self.note(NewEvent(type=EventType.EXIT, data={"item": item, **ended}))
        self._judge(status, item)

    def _spec(self, index: int, command: Command) -> ContainerSpec:
        return ContainerSpec(
            image=self.image.name,
            argv=command.command,
            mounts=self.paths.mounts,
            env=self.env,
            workdir=command.workdir.bare if command.workdir else None,
            stdin=self.paths.local(command.stdin) if command.stdin else None,
            resources=self.task.resources,
            labels={
                LABEL_TASK: self.task.id or "",
                LABEL_EPOCH: str(self.epoch),
                LABEL_NODE: self.ports.node_id,
                LABEL_BOOT: self.ports.boot_id,
                LABEL_CLUSTER: self.ports.cluster_id,
                "sisyphus.command": str(index),
            },
        )

    async def _watched(self, container: Container, command: Command, item: str) -> ExitStatus:
        """The exit status, with output pumped and the disk watched beside it.

        What fails beside the container ends it: nobody would read its output, so that it could wait for ever.
        """
        async with self._sinks(command) as sinks:
            end = asyncio.create_task(container.wait())
            pump = asyncio.create_task(self._pump(container, sinks))
            beside = {pump, asyncio.create_task(self._watch_disk())}
            try:
                while not end.done():
                    done, beside = await _first(end, beside)
                    _raise_ours(done)
                status = end.result()
                # The stream may lag behind the exit, or hang when a daemon restarts: it is no verdict.
                await asyncio.wait({pump}, timeout=LAG_S)
                broke = _broke(pump)
            finally:
                for task in (end, pump, *beside):
                    task.cancel()
                await asyncio.gather(end, pump, *beside, return_exceptions=True)
        if broke:
            log.warning("output_stream_broke", task_id=self.task.id, item=item, error=broke)
            if status.is_success and (command.stdout or command.stderr or self.capture):
                raise ContainerError(f"the command succeeded, but its output was not received whole: {broke}")
        await asyncio.to_thread(self._check_disk)
        return status

    async def _pump(self, container: Container, sinks: dict[Stream, list[BinaryIO]]) -> None:
        self.spool.begin_command()
        async for stream, data in container.output():
            self.spool.feed(stream, data)
            for sink in sinks[stream]:
                sink.write(data)
        for stream in Stream:
            self.spool.feed(stream, b"", final=True)

    @asynccontextmanager
    async def _sinks(self, command: Command) -> AsyncGenerator[dict[Stream, list[BinaryIO]]]:
        """Files that the command's streams go to: its own stdout/stderr, and the merged capture."""
        opened: list[BinaryIO] = []

        def sink(path: Path, shown: object, mode: str) -> list[BinaryIO]:
            # A command may have left anything here: a link out of the attempt's root, a pipe that nobody reads.
            check_way(self.paths, path, shown)
            path.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(path):
                check_regular(self.paths, path, shown)
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if mode == "ab" else os.O_TRUNC)
            opened.append(cast("BinaryIO", os.fdopen(os.open(path, flags, 0o644), mode)))
            return [opened[-1]]

        def own(path: Internal | None) -> list[BinaryIO]:
            return sink(self.paths.local(path), path, "wb") if path else []

        try:
            merged = sink(self.paths.capture, "the capture", "ab") if self.capture else []
            out = own(command.stdout)
            err = out if command.stderr is not None and command.stderr == command.stdout else own(command.stderr)
            yield {Stream.STDOUT: out or merged, Stream.STDERR: err or merged}  # what went to a file was not printed
        finally:
            for file in opened:
                file.close()

    async def _watch_disk(self) -> None:
        while True:
            await asyncio.sleep(DISK_LOOK_S)
            await asyncio.to_thread(self._check_disk)

    def _check_disk(self) -> None:
        limit = self.task.resources.disk_mb
        if used_bytes(self.paths.writable) > limit * 1_048_576:
            raise attempt_error(
                Cause.DISK_FULL, f"wrote more than resources.disk_mb = {limit}", log_tail=self.spool.tail
            )

    def _judge(self, status: ExitStatus, item: str) -> None:
        if status.is_success:
            return
        tail = self.spool.tail
        if status.out_of_memory:
            limit = self.task.resources.memory_mb
            message = f"ran out of memory (resources.memory_mb = {limit}); raise the limit or use less"
            raise attempt_error(Cause.OUT_OF_MEMORY, message, item, exit_code=status.code, log_tail=tail)
        last = self.spool.last_line
        message = f"exit code {status.code}" + (f": {last[:300]}" if last else "")
        raise attempt_error(Cause.EXIT, message, item, exit_code=status.code, log_tail=tail)


async def _first(
    end: asyncio.Task[ExitStatus], beside: set[asyncio.Task[None]]
) -> tuple[set[asyncio.Task[None]], set[asyncio.Task[None]]]:
    """Wait until the container ended or something beside it did: (what did, what goes on)."""
    waiting: set[asyncio.Task[None] | asyncio.Task[ExitStatus]] = {end, *beside}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    done = {task for task in beside if task.done()}
    return done, beside - done


def _raise_ours(done: Iterable[asyncio.Task[None]]) -> None:
    """Raise what ended a watcher, except a stream of the runtime that broke."""
    for task in done:
        error = task.exception()
        if error is not None and not isinstance(error, ContainerError):
            raise error


def _broke(pump: asyncio.Task[None]) -> str:
    """Why the output is not whole; empty if it is. Raises what went wrong on our side of the stream."""
    if not pump.done():
        return f"it did not end within {LAG_S:g} s of the command"
    _raise_ours([pump])
    return str(pump.exception() or "")


async def _discard(container: Container) -> None:
    """Remove the container whatever happens to the attempt; what fails here is found by label and swept."""
    try:
        async with asyncio.timeout(30):
            await container.remove()
    except (ContainerError, TimeoutError) as error:
        log.warning("container_not_removed", container_id=container.id, error=str(error), consequence="swept later")
