"""Moving whole files safely: opened without surprises, written under another name first, hashed on the way.

Operating-system errors leave here as ours. Both object stores and staging stand on it; it knows no remote paths.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import stat
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from infra.blocking import Transfer
from infra.errors import ObjectMissingError, StorageError, StorageRefusedError

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Bytes per read: large enough that hashing dominates, small enough that a cancel is prompt.
BLOCK = 1024 * 1024
#: How the name of an unfinished file starts; such files are never objects.
PART = ".sisyphus-part-"
#: Bytes per step of a copy inside the kernel.
_COPY_STEP = 64 * 1024 * 1024
#: Age in seconds at which an unfinished file is a crash's: a live writer touches its file all the time.
_STALE_S = 24 * 3600.0
#: How often a file is begun in a folder that others remove.
_TRIES = 100
_CONFLICT = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP}


@contextmanager
def open_regular(path: Path, what: object) -> Generator[tuple[int, os.stat_result]]:
    """A regular file for reading; `what` it is goes into messages.

    Raises:
        ObjectMissingError: there is none, or it is a directory.
        StorageRefusedError: it is a device, a socket or a FIFO, or may not be read.
    """
    with explained(what):
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # opening a FIFO would wait for a writer
        except NotADirectoryError as error:
            raise FileNotFoundError(error.errno, "no such file", str(path)) from error
    try:
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            raise ObjectMissingError(f"{what}: there is no such object or file; it is a directory")
        if not stat.S_ISREG(status.st_mode):
            raise StorageRefusedError(f"{what} is no regular file")
        yield file, status
    finally:
        os.close(file)


@contextmanager
def new_part(folder: Path) -> Generator[tuple[Path, int]]:
    """An unfinished file in `folder`, made if need be; at the end it is gone unless it was renamed."""
    tries = 0
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{PART}{secrets.token_hex(8)}"
        try:
            file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            break
        except FileNotFoundError:
            # The folder was empty and is gone again: somebody deleted its last object. Not for ever: in /proc no
            # file can be made either.
            tries += 1
            if tries == _TRIES:
                raise
    try:
        yield part, file
    finally:
        os.close(file)
        part.unlink(missing_ok=True)


def copy_blocks(source: int, target: int, size: int, transfer: Transfer) -> str:
    """Copy `size` bytes and return their SHA-256.

    Raises:
        StorageError: the source ended before.
    """
    digest, view, left = hashlib.sha256(), memoryview(bytearray(min(BLOCK, size))), size
    while left:
        count = os.readv(source, [view[: min(left, BLOCK)]])
        if count == 0:
            raise StorageError(f"the file shrank by {left} bytes while it was read")
        digest.update(view[:count])
        write_all(target, view[:count])
        left -= count
        transfer.moved(count)
    return digest.hexdigest()


def write_all(target: int, view: memoryview) -> None:
    """Write all of `view`, which os.write alone does not promise."""
    written = 0
    while written < len(view):
        written += os.write(target, view[written:])


def copy_in_kernel(source: int, target: int, size: int, transfer: Transfer) -> None:
    """Copy `size` bytes without bringing them here; file systems that can share blocks do so.

    Raises:
        StorageError: the source ended before.
    """
    done, copy = 0, _clone_range
    while done < size:
        try:
            count = copy(source, target, done, min(size - done, _COPY_STEP))
        except OSError as error:
            if copy is _send_range or error.errno not in {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
                raise
            copy = _send_range
            continue
        if count == 0:
            raise StorageError(f"the file shrank by {size - done} bytes while it was copied")
        done += count
        transfer.moved(count)


def _clone_range(source: int, target: int, offset: int, count: int) -> int:
    return os.copy_file_range(source, target, count, offset)


def _send_range(source: int, target: int, offset: int, count: int) -> int:
    return os.sendfile(target, source, offset, count)


def sync_directory(directory: Path) -> None:
    """Make the names in it survive a power failure."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sweep(entry: os.DirEntry[str]) -> None:
    """Remove an unfinished file if its writer must have crashed."""
    with suppress(OSError):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > _STALE_S:
            Path(entry.path).unlink()


@contextmanager
def explained(what: object) -> Generator[None]:
    """Operating-system errors as ours, saying what to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissingError(f"{what}: there is no such object or file ({error.filename})") from error
    except UnicodeEncodeError as error:
        raise StorageRefusedError(f"{what!r} cannot be a file name: it is no valid Unicode text") from error
    except OSError as error:
        where = f"{what}: {error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
        if error.errno == errno.ENAMETOOLONG:
            raise StorageRefusedError(f"{what}: each part of a key has at most 255 bytes in this store") from error
        if error.errno in _CONFLICT:
            raise StorageRefusedError(f"{where}; here one name cannot be an object and a prefix at once") from error
        if error.errno in _DENIED:
            raise StorageRefusedError(f"{where}; give this user access to it") from error
        hint = "; free some space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
        raise StorageError(f"{where}{hint}") from error


class FileSlice(io.RawIOBase):
    """A part of an open file, to be read like a file of its own. Several may be read at the same time."""

    def __init__(self, file: int, start: int, size: int, sha256: str) -> None:
        super().__init__()
        self._file, self._start, self._at = file, start, 0
        self.size, self.sha256 = size, sha256

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Read some bytes.

        Raises:
            StorageError: the file has become shorter.
        """
        view = memoryview(buffer)[: self.size - self._at]
        count = os.preadv(self._file, [view], self._start + self._at) if view else 0
        if view and not count:
            raise StorageError("the file shrank while it was read")
        self._at += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move; beyond the end there is nothing."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = max(0, min(base + offset, self.size))
        return self._at


def hashed_slices(file: int, sizes: Sequence[int], transfer: Transfer) -> tuple[str, list[FileSlice]]:
    """SHA-256 of a file from its start on, and its parts of the given sizes, which know their own.

    Raises:
        StorageError: the file ended before.
    """
    whole, slices, start, buffer = hashlib.sha256(), list[FileSlice](), 0, memoryview(bytearray(BLOCK))
    for size in sizes:
        single, end = hashlib.sha256(), start + size
        begin = start
        while start < end:
            transfer.check()
            count = os.preadv(file, [buffer[: min(BLOCK, end - start)]], start)
            if count == 0:
                raise StorageError(f"the file shrank by {end - start} bytes while it was read")
            for digest in (single, whole) if len(sizes) > 1 else (whole,):
                digest.update(buffer[:count])
            start += count
        slices.append(FileSlice(file, begin, size, (single if len(sizes) > 1 else whole).hexdigest()))
    return whole.hexdigest(), slices
