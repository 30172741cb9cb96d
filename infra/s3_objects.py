"""An object store in terms of S3's calls: what is verified, retried, sent in parts, resumed and bounded.

Every object carries its SHA-256 as metadata; it is compared after each store and copy, and while fetching. The vendor's
client is behind the `Wire` protocol, whose errors are ours already, and is given by the adapter.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from infra.blocking import BlockingPool, Transfer
from infra.errors import ChecksumError, ObjectMissingError, StorageError, StorageRefusedError
from infra.files import BLOCK, FileSlice, explained, hashed_slices, new_part, open_regular, write_all
from infra.log import get_logger
from infra.object_store import ObjectInfo, OnBytes
from infra.parts import PartPool
from infra.patience import patiently
from infra.s3_wire import Head, NoBucketError, Page, Part, Place, ReplacedError, Wire
from schemas.paths import Remote, Scheme

T = TypeVar("T")
_log = get_logger(__name__)

_MIB = 1024 * 1024
#: Size of a part, and of the largest object that is sent in one piece.
PART = 8 * _MIB
#: S3 takes at most so many parts.
_MAX_PARTS = 10_000
#: Parts of one transfer that are under way at a time.
_WINDOW = 4
#: Transfers at a time, and threads for the parts of all of them.
THREADS = 8
#: Objects above this are copied in pieces, so that no single call takes minutes. S3's own limit is 5 GiB.
_COPY_WHOLE, _COPY_PART = 1024 * _MIB, 256 * _MIB
_DELETE_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Layout:
    """Where buckets lie. With `bucket`, ``b:k`` is ``<prefix>b/k`` in it, since names of buckets are world-wide."""

    bucket: str = ""
    prefix: str = ""
    create_buckets: bool = False

    def place(self, remote: Remote) -> Place:
        """Where `remote` lies.

        Raises:
            StorageRefusedError: its key is not one that a remote path can have.
        """
        *folders, name = remote.key.split("/")
        if not remote.bucket or any(part in {"", ".", ".."} for part in folders) or name in {".", ".."}:
            raise StorageRefusedError(f"{remote!r} names no object; write bucket:key without '..' or '//'")
        if remote.scheme is Scheme.BUCKET and self.bucket:
            return Place(self.bucket, f"{self.prefix}{remote.bucket}/{remote.key}")
        return Place(remote.bucket, remote.key)

    def writable(self, remote: Remote) -> Place:
        """Where `remote` is to be written. Raises StorageRefusedError as `place` does, and for a prefix."""
        if not remote.key or remote.is_directory:
            raise StorageRefusedError(f"{remote} names a prefix; an object's key must not end in '/'")
        return self.place(remote)


@dataclass(slots=True)
class _Download:
    """How far a fetch has come; it goes on from here when the connection breaks."""

    head: Head | None = None
    offset: int = 0
    digest: Any = field(default_factory=hashlib.sha256)


class S3ObjectStore:
    """Objects in S3. Bounded threads and buffers, whatever the number of transfers."""

    def __init__(self, wire: Wire, layout: Layout) -> None:
        self._wire, self._layout = wire, layout
        self._pool = BlockingPool(THREADS, "s3-objects")
        self._parts = PartPool(THREADS, _WINDOW, "s3-parts")

    async def stat(self, remote: Remote) -> ObjectInfo | None:
        """The object, or None, also where its bucket does not exist."""
        return await self._pool.run(lambda transfer: self._stat(remote, transfer))

    async def list(self, prefix: Remote) -> AsyncIterator[ObjectInfo]:
        """Objects in the order of their keys' UTF-8 bytes; empty placeholders of directories are left out."""
        place, token = self._layout.place(prefix), ""
        lead = len(place.key) - len(prefix.key)
        while True:
            try:
                page = await self._paged(place, token, "")
            except NoBucketError:
                return
            for key, size, modified in page.objects:
                if not key.endswith("/"):
                    yield ObjectInfo(prefix.beside(key[lead:]), size, modified)
            token = page.token
            if not token:
                return

    async def buckets(self) -> Sequence[str]:
        """Buckets that the credentials may see."""
        place, names, token = Place(self._layout.bucket, self._layout.prefix), list[str](), ""
        if not place.bucket:
            return sorted(await self._asked(self._wire.buckets))
        while True:
            page = await self._paged(place, token, "/")
            names += [prefix[len(place.key) : -1] for prefix in page.prefixes]
            token = page.token
            if not token:
                return sorted(names)

    async def fetch(self, remote: Remote, to: Path, on_bytes: OnBytes | None = None) -> ObjectInfo:
        """Receive the object, going on where a connection broke, and compare it with the digest that it carries."""
        return await self._pool.run(lambda transfer: self._fetch(remote, to, transfer), on_bytes)

    async def store(self, source: Path, remote: Remote, on_bytes: OnBytes | None = None) -> ObjectInfo:
        """Send the file, as long as it is at the start, and see that the server holds it.

        The digests are taken first, since the server wants them before the bytes. A file that is rewritten meanwhile
        does not match them and is refused.
        """
        return await self._pool.run(lambda transfer: self._store(source, remote, transfer), on_bytes)

    async def copy(self, source: Remote, to: Remote) -> ObjectInfo:
        """Copy inside the server."""
        return await self._pool.run(lambda transfer: self._copy(source, to, transfer))

    async def delete(self, remotes: Sequence[Remote]) -> None:
        """Delete, a thousand per call."""
        keys: dict[str, list[str]] = {}
        for place in map(self._layout.place, remotes):
            keys.setdefault(place.bucket, []).append(place.key)
        for bucket, found in keys.items():
            for start in range(0, len(found), _DELETE_BATCH):
                batch = found[start : start + _DELETE_BATCH]
                await self._asked(lambda bucket=bucket, batch=batch: self._wire.delete(bucket, batch))

    async def close(self) -> None:
        """Idempotent."""
        self._pool.close()
        self._parts.close()
        self._wire.close()

    async def _paged(self, place: Place, token: str, delimiter: str) -> Page:
        return await self._asked(lambda: self._wire.page(place, token, delimiter))

    async def _asked(self, ask: Callable[[], T]) -> T:
        return await self._pool.run(lambda transfer: _patiently(ask, transfer))

    # Everything below runs in threads of the pools.

    def _stat(self, remote: Remote, transfer: Transfer) -> ObjectInfo | None:
        place = self._layout.place(remote)
        try:
            head = _patiently(lambda: self._wire.head(place), transfer)
        except ObjectMissingError:
            return None
        return ObjectInfo(remote, head.size, head.modified, head.sha256)

    def _fetch(self, remote: Remote, to: Path, transfer: Transfer) -> ObjectInfo:
        place, download = self._layout.place(remote), _Download()
        with explained(to), new_part(to.parent) as (part, target):
            while (head := download.head) is None or download.offset < head.size:
                _patiently(lambda: self._receive(place, target, download, transfer), transfer)
            digest = download.digest.hexdigest()
            if head.sha256 not in {None, digest}:
                raise ChecksumError(
                    f"{remote} at {self._wire.where} carries sha256 {head.sha256} and arrived as {digest}"
                )
            transfer.check()
            part.replace(to)
        return ObjectInfo(remote, head.size, head.modified, digest)

    def _receive(self, place: Place, target: int, download: _Download, transfer: Transfer) -> None:
        """Receive what is left. A connection that breaks is an error only if it brought nothing."""
        start, etag = download.offset, download.head.etag if download.head is not None else ""
        head, body = self._wire.get(place, start, etag)
        download.head = head = download.head or head
        try:
            while block := body.read(min(BLOCK, head.size - download.offset)):
                write_all(target, memoryview(block))
                download.digest.update(block)
                download.offset += len(block)
                transfer.moved(len(block))
        except StorageError:
            if download.offset == start:
                raise
        finally:
            body.close()
        if download.offset == start and head.size > start:
            raise StorageError(f"{place} at {self._wire.where}: the server ended after {start} of {head.size} bytes")

    def _store(self, source: Path, remote: Remote, transfer: Transfer) -> ObjectInfo:
        place = self._layout.writable(remote)
        with explained(source), open_regular(source, source) as (file, status):
            size = status.st_size
            digest, parts = hashed_slices(file, _cut(size, PART) or [0], transfer)
            if len(parts) == 1:
                self._writing(place, lambda: self._wire.put(place, parts[0]), transfer)
                transfer.moved(size)
            else:
                with self._upload(place, digest, transfer) as upload:
                    upload.finish(self._parts.map(upload.send, parts, transfer))
        return self._verified(remote, size, digest, transfer)

    def _copy(self, source: Remote, to: Remote, transfer: Transfer) -> ObjectInfo:
        origin, place = self._layout.place(source), self._layout.writable(to)
        head = _patiently(lambda: self._wire.head(origin), transfer)
        if origin != place and head.size <= _COPY_WHOLE:
            self._writing(place, lambda: self._wire.copy(origin, head.etag, place), transfer)
        elif origin != place:
            with self._upload(place, head.sha256, transfer, checked=False) as upload:
                upload.finish(upload.copied(origin, head.etag, _cut(head.size, _COPY_PART)))
        return self._verified(to, head.size, head.sha256, transfer)

    def _verified(self, remote: Remote, size: int, digest: str | None, transfer: Transfer) -> ObjectInfo:
        """What the server holds, compared with what was sent."""
        info = self._stat(remote, transfer)
        if info is None or (info.size_bytes, info.sha256) != (size, digest):
            held = f"{info.size_bytes} bytes with sha256 {info.sha256}" if info else "nothing"
            raise ChecksumError(
                f"{remote} at {self._wire.where}: sent {size} bytes with sha256 {digest}, and the server holds {held};"
                " look for another writer, or for damage in the store"
            )
        return info

    def _upload(self, place: Place, digest: str | None, transfer: Transfer, *, checked: bool = True) -> _Upload:
        upload = self._writing(place, lambda: self._wire.start_upload(place, digest, checked=checked), transfer)
        return _Upload(self._wire, place, upload, transfer)

    def _writing(self, place: Place, write: Callable[[], T], transfer: Transfer) -> T:
        """`write`, and if the bucket does not exist and may be made, make it and write again."""
        try:
            return _patiently(write, transfer)
        except NoBucketError as error:
            if not self._layout.create_buckets:
                raise StorageRefusedError(
                    f"{place} at {self._wire.where}: there is no such bucket; create it, or add create_buckets=true"
                    " to the URL in SISYPHUS_OBJECTS"
                ) from error
        _patiently(lambda: self._wire.make_bucket(place.bucket), transfer)
        return _patiently(write, transfer)


class _Upload:
    """A multipart upload that is aborted unless it is finished."""

    def __init__(self, wire: Wire, place: Place, upload: str, transfer: Transfer) -> None:
        self._wire, self._place, self._id, self._transfer = wire, place, upload, transfer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        if error is None:
            return
        try:  # not cancelled with the transfer: parts that nobody finishes cost space for ever
            _patiently(lambda: self._wire.abort_upload(self._place, self._id), None)
        except ObjectMissingError:
            pass
        except (StorageError, StorageRefusedError) as failure:
            _log.warning("upload_not_aborted", object=str(self._place), upload=self._id, error=str(failure))

    def send(self, number: int, data: FileSlice) -> Part:
        part = _patiently(lambda: self._wire.send_part(self._place, self._id, number, data), self._transfer)
        self._transfer.moved(data.size)
        return part

    def copied(self, source: Place, etag: str, sizes: list[int]) -> list[Part]:
        parts, start = list[Part](), 0
        for number, size in enumerate(sizes, 1):
            span = (start, start + size - 1)
            parts.append(
                _patiently(
                    lambda n=number, s=span: self._wire.copy_part(self._place, self._id, n, source, etag, s),
                    self._transfer,
                )
            )
            start += size
        return parts

    def finish(self, parts: list[Part]) -> None:
        """Let the object appear. After a lost answer there is no upload any more: what counts is then the object."""
        try:
            _patiently(lambda: self._wire.finish_upload(self._place, self._id, parts), self._transfer)
        except ObjectMissingError as error:
            _log.warning("upload_vanished", object=str(self._place), upload=self._id, error=str(error))


def _patiently(ask: Callable[[], T], transfer: Transfer | None) -> T:
    return patiently(ask, transfer, _may_pass)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, StorageError | ChecksumError) and not isinstance(error, ReplacedError)


def _cut(size: int, part: int) -> list[int]:
    """Sizes of the parts of an object, as many as S3 takes at most."""
    part = max(part, -(-size // _MAX_PARTS))
    return [min(part, size - start) for start in range(0, size, part)]
