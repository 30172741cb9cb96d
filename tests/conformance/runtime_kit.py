"""What the runtime suites share: opening each registered runtime, running a command, looking at this machine's processes."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.errors import ImageError, RuntimeUnavailableError
from infra.registry import resolve
from infra.runtime import RUNTIMES, Container, ContainerSpec, ExitStatus, Runtime, Stream
from infra.settings import Settings
from tests.conftest import need

IMAGE = "alpine:3"
KILLED = 137
#: scheme -> why its runtime cannot be used here ("" if it can); asked once per test run.
_UNUSABLE: dict[str, str] = {}


def open_by_scheme(scheme: str, data: Path) -> Runtime:
    """A runtime of the registry."""
    url = f"{scheme}://"
    return resolve(RUNTIMES, url, "runtime")(url, Settings(data=data))


def scheme_of(runtime: Runtime) -> str:
    """The registry's scheme of an opened runtime."""
    return next(s for s, (target, _) in RUNTIMES.items() if target.startswith(f"infra.runtimes.{runtime.name}:"))


@contextlib.asynccontextmanager
async def usable_runtime(scheme: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    """The runtime, or the test is skipped (failed in CI) with the reason that its own probe gave."""
    if scheme not in _UNUSABLE:
        try:
            trial = open_by_scheme(scheme, tmp_path / "data")
            await trial.probe()
            await trial.prepare(IMAGE)
            await trial.close()
            _UNUSABLE[scheme] = ""
        except (RuntimeUnavailableError, ImageError) as error:
            _UNUSABLE[scheme] = str(error)
    need(not _UNUSABLE[scheme], f"{scheme}: {_UNUSABLE[scheme]}")
    opened = open_by_scheme(scheme, tmp_path / "data")
    try:
        yield opened
    finally:
        await opened.close()


@dataclass
class Finished:
    """A container that has ended."""

    status: ExitStatus
    out: bytes
    err: bytes


async def finish(container: Container) -> Finished:
    """Read everything, wait, remove."""
    pieces: dict[Stream, list[bytes]] = {Stream.STDOUT: [], Stream.STDERR: []}
    async for stream, data in container.output():
        pieces[stream].append(data)
    status = await container.wait()
    await container.remove()
    return Finished(status, b"".join(pieces[Stream.STDOUT]), b"".join(pieces[Stream.STDERR]))


async def run(runtime: Runtime, *argv: str, **more: Any) -> Finished:
    """One command from start to end."""
    return await finish(await runtime.start(ContainerSpec(IMAGE, argv, **more)))


async def shell(runtime: Runtime, script: str, **more: Any) -> Finished:
    """One shell script from start to end."""
    return await run(runtime, "/bin/sh", "-c", script, **more)


async def until(container: Container, word: bytes) -> None:
    """Read the output up to a word that the command prints."""
    seen = b""
    async for _, data in container.output():
        seen += data
        if word in seen:
            return
    raise AssertionError(f"the command ended before it printed {word!r}: {seen!r}")


def processes_with(text: str) -> list[str]:
    """The command lines on this machine that hold a text, in whatever container they are."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in line:
                found.append(line)
    return found


def unique_seconds() -> str:
    """A sleep that no other process sleeps."""
    return str(100_000_000 + secrets.randbelow(800_000_000))
