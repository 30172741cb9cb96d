"""Port: container runtimes. A container is created for one command and never used again.

Adapters run the conformance suite in ``tests/conformance/test_runtime.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from infra.errors import RuntimeUnavailableError
from infra.registry import resolve
from infra.settings import Settings
from schemas.task import Resources

#: Labels that let any process find what an attempt left behind.
LABEL_TASK, LABEL_EPOCH, LABEL_NODE = "sisyphus.task", "sisyphus.epoch", "sisyphus.node"
#: Which start of that node: one that was started again under its old name must not be fenced for its predecessor.
LABEL_BOOT = "sisyphus.boot"
#: Which cluster a container belongs to: several may share a machine and must not sweep each other.
LABEL_CLUSTER = "sisyphus.cluster"


DEFAULT_RESOURCES = Resources()


class Stream(StrEnum):
    """Where a piece of output came from."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class Mount:
    """A local file or directory shown inside the container at an absolute path (no trailing slash)."""

    local: Path
    internal: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """All that a container is made from. `argv` is passed to the image's ENTRYPOINT; no shell is added."""

    image: str
    argv: Sequence[str]
    mounts: Sequence[Mount] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    workdir: str | None = None
    stdin: Path | None = None  # a file that is fed to the command; None: empty
    resources: Resources = DEFAULT_RESOURCES
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is present; `digest` pins what really ran ("" where a runtime has no images)."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a container ended: only `exited` with code 0 and no OOM kill is a success."""

    code: int
    out_of_memory: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the command succeeded."""
        return self.code == 0 and not self.out_of_memory


class Container(Protocol):
    """One started container."""

    @property
    def id(self) -> str:
        """The runtime's id of it."""
        ...

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """What it prints, as it prints it, until it ends. Read once. Backpressure reaches the container."""
        ...

    async def wait(self) -> ExitStatus:
        """Wait for the end. A broken log stream is no verdict: only the exited container is.

        Raises:
            ContainerError: the runtime lost it.
        """
        ...

    async def kill(self, grace_s: float = 0.0) -> None:
        """Ask it to end (SIGTERM), and after `grace_s` seconds kill it with all its processes. Idempotent."""
        ...

    async def remove(self) -> None:
        """Forget it, killing it first if needed. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Orphan:
    """A container of ours that was found by its labels."""

    id: str
    labels: Mapping[str, str]


class Runtime(Protocol):
    """A way to run containers."""

    @property
    def name(self) -> str:
        """Short name: ``docker``, ``bubblewrap``."""
        ...

    @property
    def honours_image(self) -> bool:
        """Whether a document's image is really used."""
        ...

    async def probe(self) -> None:
        """Really run something.

        Raises:
            RuntimeUnavailableError: it cannot, why, and what to install or change.
        """
        ...

    async def prepare(self, image: str) -> Image:
        """Have the image here; pulled only if missing.

        Raises:
            ImageError: it cannot be had.
        """
        ...

    async def has_path(self, image: Image, path: str) -> bool:
        """Whether the image already has something at `path`. Cheap after the first call per (digest, path)."""
        ...

    async def start(self, spec: ContainerSpec) -> Container:
        """Create and start a container.

        Raises:
            CommandNotFoundError: the program does not exist in the image.
            ContainerError: the runtime refused.
        """
        ...

    async def orphans(self, node_id: str | None = None) -> Sequence[Orphan]:
        """Containers of ours, of one node or of all."""
        ...

    async def destroy(self, orphan: Orphan) -> None:
        """Kill and remove a container that was found. Idempotent."""
        ...

    async def close(self) -> None:
        """Give back connections. Idempotent."""
        ...


#: URL scheme -> (factory, extra). A factory is ``def open_runtime(url: str, settings: Settings) -> Runtime``.
RUNTIMES: dict[str, tuple[str, str]] = {
    "docker": ("infra.runtimes.docker:open_runtime", "docker"),
    "bwrap": ("infra.runtimes.bubblewrap:open_runtime", ""),
}


async def open_runtime(settings: Settings) -> Runtime:
    """The runtime that the settings name; without a name Docker if its engine answers, else bubblewrap.

    Raises:
        RuntimeUnavailableError: none can run anything; every reason is given.
        ConfigurationError: unknown scheme or missing package.
    """
    reasons: list[str] = []
    for url in [settings.runtime] if settings.runtime else ["docker://", "bwrap://"]:
        try:
            runtime: Runtime = resolve(RUNTIMES, url, "runtime")(url, settings)
            await runtime.probe()
        except RuntimeUnavailableError as error:
            reasons.append(f"{url} {error}")
        except Exception as error:  # a missing extra only rules out this one
            if settings.runtime:
                raise
            reasons.append(f"{url} {error}")
        else:
            return runtime
    raise RuntimeUnavailableError("; ".join(reasons))
