"""Where everything of one attempt lies: remote -> local -> internal. Pure: nothing here touches the disk.

An attempt owns `<root>` alone. Below it ``in/`` is shown read-only, ``rw/`` is all that commands may write, and a
checkpoint is an archive of ``rw/``.

A file output is written through its parent directory, so that programs may rename and create exclusively there;
only where the image already has that directory (mounting would hide its content) is the file mounted alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from infra.runtime import Mount
from schemas.paths import Capture, Internal
from schemas.task import Input, Output, TaskDocument

#: ext4, xfs and tmpfs take 255 bytes per component; longer keys are kept under a number instead.
_MAX_COMPONENT_BYTES = 255


@dataclass(frozen=True, slots=True)
class PlacedInput:
    """An input and where it is staged."""

    input: Input
    local: Path


@dataclass(frozen=True, slots=True)
class PlacedOutput:
    """An output and where commands leave it. `alone`: the file itself is the mount and must exist before the start."""

    output: Output
    local: Path
    alone: bool = False


@dataclass(frozen=True, slots=True)
class PathMap:
    """The plan of one attempt's files."""

    root: Path
    inputs: tuple[PlacedInput, ...]
    outputs: tuple[PlacedOutput, ...]
    mounts: tuple[Mount, ...]
    volumes: tuple[Path, ...] = ()

    @property
    def folders(self) -> list[Path]:
        """Directories that exist before the first command: volumes and directory outputs."""
        return [*self.volumes, *(x.local for x in self.outputs if x.output.is_directory)]

    @property
    def writable(self) -> Path:
        """All that commands may write."""
        return self.root / "rw"

    @property
    def capture(self) -> Path:
        """Merged stdout and stderr of all commands: the ``>`` output."""
        return self.writable / "capture"

    @property
    def framed(self) -> Path:
        """The capture between prologue and epilogue: the ``>>`` output."""
        return self.writable / "capture.log"

    def local(self, internal: Internal) -> Path:
        """The local file behind an internal path that lies inside a mount.

        Raises:
            KeyError: it does not; `TaskDocument` refuses such streams.
        """
        for mount in sorted(self.mounts, key=lambda m: -len(m.internal)):
            if internal.bare == mount.internal:
                return mount.local
            if internal.bare.startswith(mount.internal + "/"):
                return mount.local / internal.bare[len(mount.internal) + 1 :]
        raise KeyError(internal.path)


def parents(task: TaskDocument) -> frozenset[str]:
    """The directories that hold file outputs: the caller asks the image which of them it has."""
    files = [x.internal for x in task.outputs if isinstance(x.internal, Internal) and not x.is_directory]
    return frozenset(x.parent for x in files)


def plan(task: TaskDocument, root: Path, in_image: Collection[str]) -> PathMap:
    """The plan for one attempt below `root`; `in_image` are those of `parents` that the image already has."""
    inputs = tuple(
        PlacedInput(x, _input_path(root / "in" / str(n), x.remote.bucket, x.remote.key))
        for n, x in enumerate(task.inputs)
    )
    mounts = [Mount(x.local, x.input.internal.bare, read_only=True) for x in inputs]
    directories = _writable_directories(task, in_image)
    mounts += [Mount(root / "rw" / str(n), path, read_only=False) for n, path in enumerate(directories)]
    alone = [
        x.internal
        for x in task.outputs
        if isinstance(x.internal, Internal) and not x.is_directory and not _inside(x.internal.bare, directories)
    ]
    mounts += [Mount(root / "rw" / f"file{n}" / x.bare.rpartition("/")[2], x.bare, False) for n, x in enumerate(alone)]
    placed = PathMap(root, inputs, (), tuple(mounts))
    outputs = tuple(
        PlacedOutput(x, placed.framed if x.internal is Capture.LOG else placed.capture)
        if isinstance(x.internal, Capture)
        else PlacedOutput(x, placed.local(x.internal), alone=x.internal in alone)
        for x in task.outputs
    )
    volumes = tuple(placed.local(x) for x in task.volumes)
    return PathMap(root, inputs, outputs, tuple(sorted(mounts, key=lambda m: m.internal.count("/"))), volumes)


def _writable_directories(task: TaskDocument, in_image: Collection[str]) -> list[str]:
    """Internal directories to mount writable, outermost only: an inner one is a part of it."""
    wanted = [x.bare for x in task.volumes]
    wanted += [x.internal.bare for x in task.outputs if isinstance(x.internal, Internal) and x.is_directory]
    wanted += [path for path in parents(task) if path != "/" and path not in in_image]
    kept: list[str] = []
    for path in sorted(set(wanted), key=lambda p: (p.count("/"), p)):
        if not _inside(path, kept):
            kept.append(path)
    return kept


def _inside(path: str, directories: Collection[str]) -> bool:
    return any(path == d or path.startswith(d + "/") for d in directories)


def _input_path(base: Path, bucket: str, key: str) -> Path:
    parts = [bucket or "file", *key.strip("/").split("/")]
    is_plain = all(len(part.encode()) <= _MAX_COMPONENT_BYTES and part not in {".", ".."} for part in parts)
    fits = is_plain and len(key) < 512
    return base.joinpath(*parts) if fits else base / "data"
