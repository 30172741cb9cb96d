"""Stage-in: inputs from the object store to local files, read-only. Collection of what the commands left behind.

Nothing is trusted: keys and names from outside are confined to the attempt's root, links that leave it are refused.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from infra.errors import ObjectMissingError
from infra.object_store import ObjectStores
from schemas.failure import Cause
from schemas.paths import Remote
from worker.failures import attempt_error
from worker.path_map import PathMap, PlacedInput, PlacedOutput

#: Objects moved at the same time per attempt.
PARALLEL = 4


@dataclass(frozen=True, slots=True)
class Produced:
    """A local file that becomes an object."""

    local: Path
    remote: Remote
    log: bool = False


def make_room(paths: PathMap) -> None:
    """Create the attempt's empty directories and the files that are mounts of their own. Blocking."""
    for directory in (paths.root / "in", paths.writable):
        directory.mkdir(parents=True, exist_ok=True)
    for mount in paths.mounts:
        if not mount.read_only:
            mount.local.parent.mkdir(parents=True, exist_ok=True)
    alone = {x.local for x in paths.outputs if x.alone}
    for mount in paths.mounts:
        if not mount.read_only and mount.local not in alone:
            mount.local.mkdir(exist_ok=True)
    for folder in paths.folders:  # those that lie inside another mount too: a command may count on them
        folder.mkdir(parents=True, exist_ok=True)
    for path in alone:
        if not path.exists():
            path.touch()
            # Any write, even of nothing, moves the time away from the epoch: so "never written" can be told.
            os.utime(path, (0, 0))


async def stage_in(objects: ObjectStores, placed: PlacedInput) -> None:
    """Fetch one input.

    Raises:
        ObjectMissingError: there is no such object, or nothing below the prefix.
    """
    remote = placed.input.remote
    store = objects.at(remote)
    if not placed.input.is_directory:
        await _fetch_file(objects, remote, placed.local)
        return
    prefix = remote if remote.is_directory else remote.beside(remote.key + "/")
    placed.local.mkdir(parents=True, exist_ok=True)
    gate, found = asyncio.Semaphore(PARALLEL), False
    async with asyncio.TaskGroup() as group:
        async for info in store.list(prefix):
            found = True
            relative = info.remote.key[len(prefix.key) :]
            if not relative or relative.endswith("/"):
                continue  # a placeholder object for the directory itself
            await gate.acquire()
            fetch = group.create_task(_fetch_file(objects, info.remote, _confined(placed.local, relative)))
            fetch.add_done_callback(lambda _: gate.release())
    if not found:
        raise ObjectMissingError(f"nothing lies below {prefix}")


async def _fetch_file(objects: ObjectStores, remote: Remote, to: Path) -> None:
    await asyncio.to_thread(to.parent.mkdir, parents=True, exist_ok=True)
    await objects.at(remote).fetch(remote, to)
    await asyncio.to_thread(to.chmod, 0o444)


def _confined(root: Path, relative: str) -> Path:
    parts = PurePosixPath(relative).parts
    if any(part in {"..", "/"} or "\0" in part for part in parts):
        raise attempt_error(Cause.INVALID, f"the object name {relative!r} leaves its directory")
    return root.joinpath(*parts)


def collect(paths: PathMap, outputs: Iterable[PlacedOutput]) -> list[Produced]:
    """The files behind the given outputs, after the last command ended. Blocking.

    Raises:
        AttemptError: an output was never written, or is a link or special file that cannot be stored.
    """
    produced: list[Produced] = []
    for placed in outputs:
        check_way(paths, placed.local, placed.output.internal)
        item = f"stage_out:{[x.output for x in paths.outputs].index(placed.output)}"
        remote = placed.output.remote
        if placed.output.is_directory:
            produced += _collect_directory(paths, placed, item)
            continue
        local = _stored_file(paths, placed.local, item, str(placed.output.internal))
        if local is None or (placed.alone and local.lstat().st_mtime == 0):
            raise attempt_error(
                Cause.OUTPUT_MISSING, f"the commands succeeded but never wrote {placed.output.internal}", item
            )
        produced.append(Produced(local, remote, log=str(placed.output.internal) == ">>"))
    return produced


def _collect_directory(paths: PathMap, placed: PlacedOutput, item: str) -> list[Produced]:
    if not placed.local.is_dir() or placed.local.is_symlink():
        raise attempt_error(Cause.OUTPUT_MISSING, f"the commands never made {placed.output.internal}", item)
    produced: list[Produced] = []
    for folder, folders, names in os.walk(placed.local, followlinks=False, onerror=_unreadable):
        for name in sorted([*names, *(n for n in folders if (Path(folder) / n).is_symlink())]):
            path = Path(folder) / name
            relative = path.relative_to(placed.local).as_posix()
            local = _stored_file(paths, path, item, f"{placed.output.internal}{relative}")
            if local is not None:
                produced.append(Produced(local, placed.output.remote.child(_name(relative, item))))
    return produced


def _unreadable(error: OSError) -> None:
    """What cannot be listed cannot be stored, and must not be missing silently."""
    raise attempt_error(Cause.INVALID, f"a directory of the outputs cannot be read: {error}")


def check_way(paths: PathMap, local: Path, shown: object) -> None:
    """See that no link on the way to `local` leads out of the attempt's files; commands may put one anywhere. Blocking.

    Raises:
        AttemptError: one does.
    """
    try:
        if local.parent.resolve().is_relative_to(paths.root.resolve()):
            return
    except RuntimeError:  # how pathlib reports links in a circle
        pass
    raise attempt_error(Cause.INVALID, f"a link on the way to {shown} leaves the task's own files")


def check_regular(paths: PathMap, local: Path, shown: object) -> None:
    """See that `local` is a plain file of the attempt: opening anything else may wait for ever. Blocking.

    Raises:
        AttemptError: it is missing, a link, or a special file.
    """
    check_way(paths, local, shown)
    try:
        mode = local.lstat().st_mode
    except OSError as error:
        raise attempt_error(Cause.INVALID, f"{shown} cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise attempt_error(Cause.INVALID, f"{shown} is not a plain file")


def remove_tree(tree: Path) -> None:
    """Remove a directory with whatever commands made of it, such as directories without permission. Blocking."""
    shutil.rmtree(tree, ignore_errors=True)
    if not tree.exists():
        return
    with suppress(OSError):
        tree.chmod(0o700)
    for folder, folders, _ in os.walk(tree):
        for name in folders:
            with suppress(OSError):
                if not (path := Path(folder, name)).is_symlink():
                    path.chmod(0o700)
    shutil.rmtree(tree, ignore_errors=True)


def _name(relative: str, item: str) -> str:
    """A file's name as part of a key; bytes that are no UTF-8 cannot be part of one."""
    try:
        relative.encode()
    except UnicodeEncodeError:
        raise attempt_error(Cause.INVALID, f"the file name {relative!a} is not UTF-8", item) from None
    if any(ord(c) < 0x20 for c in relative):
        raise attempt_error(Cause.INVALID, f"the file name {relative!r} holds control characters", item)
    return relative


def _stored_file(paths: PathMap, path: Path, item: str, shown: str) -> Path | None:
    """The regular file to store for `path`, following links only inside what the commands could write."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(mode):
        target = path.resolve()
        if not target.is_relative_to(paths.writable.resolve()):
            raise attempt_error(Cause.INVALID, f"{shown} is a link that leaves the output tree", item)
        if not target.is_file():
            raise attempt_error(Cause.INVALID, f"{shown} is a link to a directory or to nothing", item)
        return target
    if not stat.S_ISREG(mode):
        raise attempt_error(Cause.INVALID, f"{shown} is neither a file nor a directory", item)
    return path


def used_bytes(root: Path) -> int:
    """Bytes of disk that files below `root` use. Blocking; files that vanish meanwhile do not count."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(OSError):
                info = os.lstat(f"{folder}/{name}")
                total += min(info.st_size, info.st_blocks * 512) if info.st_blocks else 0
    return total
