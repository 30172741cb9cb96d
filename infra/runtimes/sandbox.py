"""One running bubblewrap sandbox: its processes, limits and end.

The sandbox is held at the gate (`--block-fd`) until its limits are in force. Its life is that of the first process of
its pid namespace: the kernel kills all others with it, so that nothing can be left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import resource
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from infra.errors import CommandNotFoundError, ContainerError
from infra.runtime import ExitStatus, Stream
from infra.runtimes.cgroups import Cgroup
from infra.runtimes.pipes import OutputPipes
from infra.runtimes.processes import ProcessHandle, children
from schemas.task import Resources

#: Seconds for bwrap to report its child; milliseconds are usual.
REPORT_S = 30.0
KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Launch:
    """All that one start needs."""

    id: str
    bwrap: str
    arguments: Sequence[str]
    argv: Sequence[str]
    marker: Mapping[str, str]
    stdin: Path | None
    resources: Resources
    cgroup: Cgroup | None  # None: rlimits take its place


class Sandbox:
    """A started sandbox; `bwrap` itself stays outside and reports."""

    def __init__(self, launch: Launch, executor: Executor) -> None:
        """Prepare; `start` does the rest."""
        self._launch, self._executor = launch, executor
        self._report = b""
        self._is_killed = False
        self._handles: list[ProcessHandle] = []
        self._descriptors: list[int] = []
        self._bwrap: subprocess.Popen[bytes] | None = None
        self._pipes: OutputPipes | None = None
        self._end: asyncio.Task[ExitStatus] | None = None

    @property
    def id(self) -> str:
        """Our own id of it."""
        return self._launch.id

    async def start(self) -> None:
        """Start bwrap, put its child under its limits, and let it go.

        Raises:
            ContainerError: the sandbox could not be set up.
            CommandNotFoundError: the command line is too long for the kernel.
        """
        try:
            report, gate = self._spawn()
            first = await self._first_process(report)
            await asyncio.get_running_loop().run_in_executor(self._executor, self._limit, first)
            # Any process of the sandbox is born after this write, so none escapes the limits.
            os.write(gate, b"\0")
        except BaseException as error:
            # bwrap goes first: its child dies with it, while the gate is still shut.
            await self._abort()
            if isinstance(error, OSError):
                raise ContainerError(f"bubblewrap could not start {self._launch.argv[0]!r}: {error}") from error
            raise
        self._end = asyncio.create_task(self._watch(report))

    def _spawn(self) -> tuple[int, int]:
        """Start bwrap with its descriptors; returns where it reports, and the gate's writing end.

        Must run on the thread that lives as long as the node: `--die-with-parent` is bound to the thread.
        """
        out, out_end = self._pipe()
        err, err_end = self._pipe()
        report, report_end = self._pipe()
        gate_end, gate = self._pipe()
        options = self._options()
        stdin = os.open(self._launch.stdin or os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._descriptors.append(stdin)
        inherited = (report_end, gate_end, options)
        fds = ["--args", str(options), "--json-status-fd", str(report_end), "--block-fd", str(gate_end)]
        try:
            self._bwrap = subprocess.Popen(
                [self._launch.bwrap, *fds, "--", *self._launch.argv],
                env=self._launch.marker,
                stdin=stdin,
                stdout=out_end,
                stderr=err_end,
                pass_fds=inherited,
                cwd="/",
            )
        except OSError as error:
            if error.errno == errno.E2BIG:
                message = f"{self._launch.argv[0]!r} cannot be executed: an argument is longer than the kernel takes"
                raise CommandNotFoundError(message) from error
            raise
        finally:
            for fd in (out_end, err_end, stdin, *inherited):
                self._give_back(fd)
        self._handles.append(ProcessHandle(self._bwrap.pid))
        self._descriptors = [fd for fd in self._descriptors if fd not in {out, err}]
        self._pipes = OutputPipes({out: Stream.STDOUT, err: Stream.STDERR})
        return report, gate

    def _pipe(self) -> tuple[int, int]:
        pair = os.pipe2(os.O_CLOEXEC)
        self._descriptors += pair
        return pair

    def _options(self) -> int:
        """The options as a file in memory: secrets stay off the command line, and there is no length limit."""
        fd = os.memfd_create("options", os.MFD_CLOEXEC)
        self._descriptors.append(fd)
        data = memoryview(b"".join(os.fsencode(a) + b"\0" for a in self._launch.arguments))
        while data:
            data = data[os.write(fd, data) :]
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    def _give_back(self, fd: int) -> None:
        if fd in self._descriptors:
            self._descriptors.remove(fd)
            os.close(fd)

    async def _first_process(self, report: int) -> int:
        """Wait for bwrap's report of the child that will become the sandbox."""
        os.set_blocking(report, False)
        async with asyncio.timeout(REPORT_S):
            while b"\n" not in self._report:
                await _readable(report)
                data = os.read(report, 4096)
                if not data:
                    raise ContainerError(f"bubblewrap refused: {self._complaint()}")
                self._report += data
        pid = int(json.loads(self._report.partition(b"\n")[0])["child-pid"])
        self._handles.append(ProcessHandle(pid))
        return pid

    def _limit(self, pid: int) -> None:
        wanted = self._launch.resources
        size = wanted.disk_mb << 20
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        if self._launch.cgroup is not None:
            self._launch.cgroup.enter(pid, wanted)
        else:
            memory = wanted.memory_mb << 20
            resource.prlimit(pid, resource.RLIMIT_AS, (memory, memory))
            resource.prlimit(pid, resource.RLIMIT_NPROC, (wanted.pids, wanted.pids))

    async def _watch(self, report: int) -> ExitStatus:
        """The end: bwrap has reported, and the namespace with all its processes is gone."""
        for handle in self._handles:
            await handle.ended()
        code = self._reap()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(report, 4096):
                self._report += data
        cgroup, loop = self._launch.cgroup, asyncio.get_running_loop()
        out_of_memory = cgroup is not None and cgroup.has_oom_kill
        if cgroup is not None:
            await loop.run_in_executor(self._executor, cgroup.remove)
        reported = [line for line in self._report.splitlines() if b"exit-code" in line]
        if reported:
            return ExitStatus(int(json.loads(reported[0])["exit-code"]), out_of_memory)
        if out_of_memory or self._is_killed:
            return ExitStatus(KILLED, out_of_memory)
        return self._never_ran(code)

    def _never_ran(self, code: int) -> ExitStatus:
        """Tell why; bwrap reports an exit code only of a command that was really executed."""
        complaint = self._complaint()
        if "execvp" in complaint:
            raise CommandNotFoundError(f"{self._launch.argv[0]!r} cannot be executed in the sandbox: {complaint}")
        raise ContainerError(f"the sandbox ended before its command ran (bwrap's code {code}): {complaint}")

    def _reap(self) -> int:
        return self._bwrap.wait() if self._bwrap else 0

    def _complaint(self) -> str:
        pipes = self._output_pipes()
        pipes.read_rest()
        text = pipes.stderr_tail.decode(errors="replace").strip()
        return text or "no message; it was probably killed from outside"

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """See `infra.runtime.Container.output`."""
        return self._output_pipes().chunks()

    def _output_pipes(self) -> OutputPipes:
        if self._pipes is None:
            raise ContainerError(f"sandbox {self.id} has not been started")
        return self._pipes

    async def wait(self) -> ExitStatus:
        """See `infra.runtime.Container.wait`."""
        if self._end is None:
            raise ContainerError(f"sandbox {self.id} was removed before it ended")
        return await asyncio.shield(self._end)

    async def kill(self, grace_s: float = 0.0) -> None:
        """See `infra.runtime.Container.kill`."""
        if self._end is None or self._end.done():
            return
        self._is_killed = True
        if grace_s > 0:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._terminate)
            with contextlib.suppress(TimeoutError, ContainerError, CommandNotFoundError):
                async with asyncio.timeout(grace_s):
                    await self.wait()
        # The namespace's first process last in the list: its end is the end of all.
        self._handles[-1].send(signal.SIGKILL)

    def _terminate(self) -> None:
        """SIGTERM to the command, the child of the namespace's first process."""
        for pid in children(self._handles[-1].pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    async def remove(self) -> None:
        """See `infra.runtime.Container.remove`."""
        await self.kill()
        if self._end is not None:
            with contextlib.suppress(ContainerError, CommandNotFoundError):
                await asyncio.shield(self._end)
        self._release()

    async def _abort(self) -> None:
        for handle in self._handles:
            handle.send(signal.SIGKILL)
        for handle in self._handles:
            await handle.ended()
        self._reap()
        if self._launch.cgroup is not None:
            self._launch.cgroup.remove()
        self._release()

    def _release(self) -> None:
        if self._pipes is not None:
            self._pipes.close()
        for handle in self._handles:
            handle.close()
        for fd in list(self._descriptors):
            self._give_back(fd)


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(fd)
