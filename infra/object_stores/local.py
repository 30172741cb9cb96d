"""A directory as an object store: ``bucket:key`` is ``<root>/<bucket>/<key>``, ``file:///x`` is the file itself.

An object appears by a rename, so readers see all of it or nothing. Its SHA-256 is taken while it is written and kept
in an extended attribute together with the size and time of the file: what rots on the disk is detected when it is
fetched, what an operator edits on purpose is simply a new object. Links that leave the root are never followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from infra.blocking import BlockingPool, Transfer
from infra.errors import ChecksumError, ConfigurationError, StorageRefusedError
from infra.files import PART, copy_blocks, copy_in_kernel, explained, new_part, open_regular, sweep, sync_directory
from infra.object_store import ObjectInfo, ObjectStore, OnBytes
from schemas.paths import MAX_PATH_CHARS, Remote, Scheme

#: Objects per trip to a thread while listing.
_LIST_BATCH = 512
_THREADS = 4
_DIGEST = "user.sisyphus.sha256"
#: Names of foreign files that no remote path can spell: control characters, or bytes that are not UTF-8.
_UNSAYABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a remote lies: `base` is what it must not leave, `lead` what comes before the path below it in a key."""

    base: Path
    lead: str
    relative: str

    @property
    def path(self) -> Path:
        return self.base / self.relative


class LocalObjectStore:
    """An object store in a directory; several processes may use it at the same time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pool = BlockingPool(_THREADS, "local-objects")

    async def stat(self, remote: Remote) -> ObjectInfo | None:
        """The object, or None; a prefix is no object."""
        return await self._pool.run(lambda _: self._stat(remote))

    async def list(self, prefix: Remote) -> AsyncIterator[ObjectInfo]:
        """Objects in the order of their keys' UTF-8 bytes, as S3 lists them."""
        found = await self._pool.run(lambda _: self._walk(prefix))
        while batch := await self._pool.run(lambda _: [*islice(found, _LIST_BATCH)]):
            for info in batch:
                yield info

    async def buckets(self) -> Sequence[str]:
        """The directories of the root."""
        return await self._pool.run(lambda _: self._buckets())

    async def fetch(self, remote: Remote, to: Path, on_bytes: OnBytes | None = None) -> ObjectInfo:
        """Copy the object to `to`, verifying it against the digest it was stored with."""
        return await self._pool.run(lambda transfer: self._fetch(remote, to, transfer), on_bytes)

    async def store(self, source: Path, remote: Remote, on_bytes: OnBytes | None = None) -> ObjectInfo:
        """Copy the file in. A file that grows meanwhile is stored as long as it was at the start.

        What is verified is the length and the digest of what was read and written, and that the disk took it (fsync).
        It is not read back: that would only ask the page cache. `fetch` verifies what the disk really gives.
        """
        return await self._pool.run(lambda transfer: self._store(source, remote, transfer), on_bytes)

    async def copy(self, source: Remote, to: Remote) -> ObjectInfo:
        """Copy inside the kernel; file systems that can share blocks do so. Never a hard link."""
        return await self._pool.run(lambda transfer: self._copy(source, to, transfer))

    async def delete(self, remotes: Sequence[Remote]) -> None:
        """Delete objects, and the directories that this empties."""
        await self._pool.run(lambda transfer: self._delete(remotes, transfer))

    async def close(self) -> None:
        """Idempotent."""
        self._pool.close()

    # Everything below runs in threads of the pool.

    def _stat(self, remote: Remote) -> ObjectInfo | None:
        if remote.is_directory:
            return None
        with explained(remote):
            try:
                return _info(remote, self._resolved(remote))
            except (FileNotFoundError, NotADirectoryError):
                return None

    def _buckets(self) -> list[str]:
        with explained(self._root), suppress(FileNotFoundError), os.scandir(self._root) as entries:
            return sorted(entry.name for entry in entries if entry.name[0].isalnum() and entry.is_dir())
        return []

    def _walk(self, prefix: Remote) -> Iterator[ObjectInfo]:
        place = self._place(prefix)
        above, _, start = place.relative.rpartition("/")
        with explained(prefix):
            directory = _inside(place.base, place.base / above, prefix)
        lead = f"{place.lead}{above}/" if above else place.lead
        return _walk_tree(prefix, directory, lead, start, place.base)

    def _fetch(self, remote: Remote, to: Path, transfer: Transfer) -> ObjectInfo:
        with explained(remote), open_regular(path := self._resolved(remote), remote) as (source, status):
            with explained(to), new_part(to.parent) as (part, target):
                digest = copy_blocks(source, target, status.st_size, transfer)
                known = _known_digest(source, status)
                if known is not None and known != digest:
                    raise ChecksumError(f"{remote}: {path} was stored as sha256 {known} and now reads as {digest}")
                part.replace(to)
            return ObjectInfo(remote, status.st_size, _modified(status), digest)

    def _store(self, source: Path, remote: Remote, transfer: Transfer) -> ObjectInfo:
        with open_regular(source, source) as (reading, status):

            def write(target: int) -> str:
                return copy_blocks(reading, target, status.st_size, transfer)

            return self._write(remote, write, status.st_size)

    def _copy(self, source: Remote, to: Remote, transfer: Transfer) -> ObjectInfo:
        with explained(source), open_regular(self._resolved(source), source) as (reading, status):

            def write(target: int) -> str:
                known = _known_digest(reading, status)
                if known is None:
                    return copy_blocks(reading, target, status.st_size, transfer)
                copy_in_kernel(reading, target, status.st_size, transfer)
                return known

            return self._write(to, write, status.st_size)

    def _write(self, remote: Remote, write: Callable[[int], str], size: int) -> ObjectInfo:
        """Write an object through `write`, which returns its digest, and let it appear at once or not at all."""
        place = self._place(remote)
        if not place.relative or remote.is_directory:
            raise StorageRefusedError(f"{remote} names a prefix; an object's key must not end in '/'")
        path = place.path
        try:
            with explained(remote):
                _inside(place.base, path.parent, remote)
                with new_part(path.parent) as (part, target):
                    digest = write(target)
                    status = os.fstat(target)
                    if status.st_size != size:
                        raise ChecksumError(f"{remote}: {size} bytes were sent and {status.st_size} are on the disk")
                    with suppress(OSError):  # a file system without extended attributes: fetch cannot verify
                        os.setxattr(target, _DIGEST, f"{digest} {size} {status.st_mtime_ns}".encode())
                    os.fsync(target)
                    _appear(part, path, remote)
                sync_directory(path.parent)
        except BaseException:
            self._prune(remote, place)
            raise
        return ObjectInfo(remote, size, _modified(status), digest)

    def _delete(self, remotes: Sequence[Remote], transfer: Transfer) -> None:
        for remote in remotes:
            transfer.check()
            place = self._place(remote)
            if remote.is_directory:
                continue
            with explained(remote), suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                _inside(place.base, place.path.parent, remote)
                place.path.unlink()
            self._prune(remote, place)

    def _prune(self, remote: Remote, place: _Place) -> None:
        """Remove directories that are empty, below the bucket; those outside our own root are the operator's."""
        directory = place.path.parent
        with suppress(OSError):
            while remote.scheme is not Scheme.FILE and directory != place.base:
                directory.rmdir()
                directory = directory.parent

    def _place(self, remote: Remote) -> _Place:
        is_file = remote.scheme is Scheme.FILE
        parts = (remote.key[1:] if is_file else remote.key).split("/")
        bad_bucket = not is_file and (not remote.bucket or remote.bucket[0] == "." or "/" in remote.bucket)
        empty = not all(parts[:-1]) or (is_file and remote.key[:1] != "/")
        if bad_bucket or empty or any(p in {".", ".."} or "\0" in p or p.startswith(PART) for p in parts):
            raise StorageRefusedError(f"{remote!r} names no object here; write bucket:key without '..' or '//'")
        return _Place(Path("/") if is_file else self._root / remote.bucket, "/" if is_file else "", "/".join(parts))

    def _resolved(self, remote: Remote) -> Path:
        place = self._place(remote)
        return _inside(place.base, place.path, remote)


def _walk_tree(prefix: Remote, directory: Path, lead: str, start: str, base: Path) -> Iterator[ObjectInfo]:
    """Objects below `directory` whose name there begins with `start`, in key order; a stack instead of recursion."""
    pending = [iter(_children(directory, lead, start, base))]
    while pending:
        child = next(pending[-1], None)
        if child is None:
            pending.pop()
        elif child[0].endswith("/"):
            pending.append(iter(_children(child[1], child[0], "", base)))
        else:
            remote = prefix.beside(child[0])
            with explained(remote), suppress(FileNotFoundError):
                info = _info(remote, child[1])
                if info is not None:
                    yield info


def _children(directory: Path, lead: str, start: str, base: Path) -> list[tuple[str, Path]]:
    """(key, path) of what lies in a directory, keys of directories with a ``/``, sorted by the keys' bytes."""
    found: list[tuple[str, Path]] = []
    with explained(directory), suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(PART):
                sweep(entry)
            elif entry.name.startswith(start) and _is_sayable(lead + entry.name):
                is_directory = entry.is_dir(follow_symlinks=False)
                if is_directory or _is_file(entry, base):
                    found.append((f"{lead}{entry.name}{'/' * is_directory}", Path(entry.path)))
    found.sort(key=lambda child: child[0].encode())
    return found


def _is_sayable(key: str) -> bool:
    return len(key) <= MAX_PATH_CHARS and not _UNSAYABLE.search(key)


def _is_file(entry: os.DirEntry[str], base: Path) -> bool:
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    with suppress(OSError, RuntimeError):  # the latter is pathlib's word for links in a circle
        return Path(entry.path).resolve().is_relative_to(base.resolve()) and entry.is_file()
    return False


def _info(remote: Remote, path: Path) -> ObjectInfo | None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return None
    return ObjectInfo(remote, status.st_size, _modified(status), _known_digest(path, status))


def _modified(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _known_digest(file: int | Path, status: os.stat_result) -> str | None:
    """The digest that was kept, unless somebody has rewritten the file since."""
    try:
        digest, size, modified = os.getxattr(file, _DIGEST).decode().split(" ")
    except (OSError, ValueError):
        return None
    return digest if (size, modified) == (str(status.st_size), str(status.st_mtime_ns)) else None


def _inside(base: Path, path: Path, remote: Remote) -> Path:
    """`path` with its links resolved.

    Raises:
        StorageRefusedError: a link leads out of `base`.
    """
    try:
        real = path.resolve()
    except RuntimeError as error:  # how pathlib reports links that lead to each other
        raise StorageRefusedError(f"{remote}: its symbolic links lead in a circle") from error
    if not real.is_relative_to(base.resolve()):
        raise StorageRefusedError(f"{remote}: a symbolic link leads out of {base}, to {real}; it is not followed")
    return real


def _appear(part: Path, path: Path, remote: Remote) -> None:
    try:
        part.replace(path)
    except IsADirectoryError:
        try:
            path.rmdir()  # what a crash left empty is no prefix
        except OSError:
            raise StorageRefusedError(
                f"{remote} cannot be stored: there are objects below {remote}/, and this store cannot have both"
            ) from None
        part.replace(path)


def open_store(url: str) -> ObjectStore:
    """The store of ``file:///directory``; the path is taken literally. Does no I/O.

    Raises:
        ConfigurationError: the path is not absolute.
    """
    path = url.partition("://")[2]
    if not path.startswith("/"):
        raise ConfigurationError(
            f"object store {url!r}: file:// needs an absolute directory, as in file:///data/objects"
        )
    return LocalObjectStore(Path(path))
