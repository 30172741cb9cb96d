"""http(s) as a source of inputs: one file per URL, streamed to disk. Nothing can be listed or stored there.

Every URL, and every one that a server redirects to, is held against the rules first. A transfer that breaks goes on
where it was if the server can tell that the file is still the same, and starts anew otherwise.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NoReturn

from infra.blocking import BlockingPool, Transfer
from infra.errors import ObjectMissingError, SisyphusError, StorageError, StorageRefusedError
from infra.files import explained, new_part, write_all
from infra.http_exchange import Answer, asked
from infra.http_rules import HttpRules, Url
from infra.object_store import ObjectInfo, ObjectStore, OnBytes
from infra.patience import patiently
from infra.settings import Settings
from schemas.paths import Remote

_THREADS = 8
#: Redirects of one request that are followed.
REDIRECTS = 5
_MOVED = {301, 302, 303, 307, 308}
_MISSING = {404, 410}
#: Answers that a later try may not get; so are all from 500 on.
_PASSING = {408, 425, 429}
#: Bytes that a broken connection must have brought for the transfer to go on with fresh tries.
_WORTHWHILE = 1024 * 1024
_RANGE = re.compile(r"bytes (\d{1,19})-\d+/(?:\d+|\*)")


class _NoSuchPartError(StorageError):
    """The server has no such part of the file: it has become another one."""


@dataclass(slots=True)
class _Download:
    """How far a fetch has come; `etag` names the file that it is of, if the server gave a strong one.

    `restarts` counts how often what had come was of another file.
    """

    offset: int = 0
    etag: str = ""
    modified: datetime | None = None
    is_whole: bool = False
    restarts: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    @property
    def resumption(self) -> dict[str, str]:
        """Headers that ask for the rest."""
        return {"Range": f"bytes={self.offset}-", "If-Range": self.etag} if self.offset and self.etag else {}

    def start(self, target: int, transfer: Transfer) -> None:
        """Forget what came."""
        os.ftruncate(target, 0)
        os.lseek(target, 0, os.SEEK_SET)
        if self.offset:
            self.restarts += 1
            transfer.moved(-self.offset)
        self.offset, self.digest = 0, hashlib.sha256()


class HttpObjectStore:
    """Files that other servers give. Bounded threads, no memory to speak of, whatever their size."""

    def __init__(self, rules: HttpRules) -> None:
        self._rules = rules
        self._pool = BlockingPool(_THREADS, "http-inputs")

    async def stat(self, remote: Remote) -> ObjectInfo | None:
        """The file, or None. Asked by GET, which is closed after the head: many servers refuse HEAD."""
        return await self._pool.run(lambda transfer: self._stat(remote, transfer))

    async def fetch(self, remote: Remote, to: Path, on_bytes: OnBytes | None = None) -> ObjectInfo:
        """Receive the file, at most as much as the rules allow; `on_bytes` gets a negative number if it starts anew."""
        return await self._pool.run(lambda transfer: self._fetch(remote, to, transfer), on_bytes)

    async def list(self, prefix: Remote) -> AsyncIterator[ObjectInfo]:
        """Refused."""
        _refuse(prefix, "a directory")
        yield  # makes it an iterator

    async def buckets(self) -> Sequence[str]:
        """None."""
        return ()

    async def store(self, source: Path, remote: Remote, on_bytes: OnBytes | None = None) -> ObjectInfo:
        """Refused."""
        _refuse(remote, "a place to store")

    async def copy(self, source: Remote, to: Remote) -> ObjectInfo:
        """Refused."""
        _refuse(to, "a place to store")

    async def delete(self, remotes: Sequence[Remote]) -> None:
        """Refused, unless there is nothing to delete."""
        for remote in remotes:
            _refuse(remote, "a place to delete from")

    async def close(self) -> None:
        """Idempotent."""
        self._pool.close()

    # Everything below runs in threads of the pool.

    def _stat(self, remote: Remote, transfer: Transfer) -> ObjectInfo | None:
        def ask() -> ObjectInfo:
            with self._answered(remote, {}, transfer) as answer:
                if answer.length is None:
                    raise StorageRefusedError(f"{remote}: {answer.url.site} does not say how long it is")
                return ObjectInfo(remote, answer.length, _modified(answer))

        try:
            return patiently(ask, transfer, _may_pass)
        except ObjectMissingError:
            return None

    def _fetch(self, remote: Remote, to: Path, transfer: Transfer) -> ObjectInfo:
        download = _Download()
        with explained(to), new_part(to.parent) as (part, target):
            while not download.is_whole:
                patiently(lambda: self._receive(remote, target, download, transfer), transfer, _may_pass)
            transfer.check()
            part.replace(to)
        return ObjectInfo(remote, download.offset, download.modified or datetime.now(UTC), download.digest.hexdigest())

    def _receive(self, remote: Remote, target: int, download: _Download, transfer: Transfer) -> None:
        """Receive what is left. A connection that breaks is an error unless it brought much of a file that goes on."""
        start = download.offset
        try:
            with self._answered(remote, download.resumption, transfer) as answer:
                self._begin(remote, answer, target, download, transfer)
                start = download.offset
                while block := answer.read():
                    self._check_size(remote, download.offset + len(block))
                    write_all(target, memoryview(block))
                    download.digest.update(block)
                    download.offset += len(block)
                    transfer.moved(len(block))
        except _NoSuchPartError:
            download.etag = ""  # the next try starts anew
            raise
        except StorageError:
            # A server that gives another file each time brings much and never ends: its tries are counted.
            if not download.etag or download.restarts or download.offset - start < _WORTHWHILE:
                raise
        else:
            download.is_whole = True

    def _begin(self, remote: Remote, answer: Answer, target: int, download: _Download, transfer: Transfer) -> None:
        """Place the body behind what is there already, or in its stead.

        Raises:
            StorageRefusedError: it is too long.
            StorageError: it is a part that was not asked for.
        """
        if answer.status == 206:
            place = _RANGE.fullmatch(answer.header("Content-Range"))
            if not download.resumption or place is None or int(place[1]) != download.offset:
                download.etag = ""
                raise StorageError(f"{remote}: {answer.url.site} sent another part than was asked for")
        else:
            download.start(target, transfer)
            etag = answer.header("ETag")
            download.etag = etag if etag.startswith('"') else ""
            download.modified = _modified(answer)
        if answer.length is not None:
            self._check_size(remote, download.offset + answer.length)

    def _check_size(self, remote: Remote, size: int) -> None:
        if size > self._rules.limit_bytes:
            raise StorageRefusedError(
                f"{remote} has {size} bytes or more; SISYPHUS_HTTP_LIMIT_MB allows {self._rules.limit_bytes}"
            )

    @contextmanager
    def _answered(self, remote: Remote, headers: Mapping[str, str], transfer: Transfer) -> Generator[Answer]:
        """The answer with the file, after any redirects.

        Raises:
            StorageRefusedError: a host or address on the way may not be reached, or the server refuses.
            ObjectMissingError: there is no such file.
            StorageError: the server cannot answer now.
        """
        url, what = Url.parse(str(remote)), str(remote)
        for _ in range(REDIRECTS + 1):
            self._rules.check(url, what)
            with asked(url, what, self._rules, headers, transfer) as answer:
                if answer.status in {200, 206}:
                    yield answer
                    return
                if answer.status not in _MOVED or not (location := answer.header("Location")):
                    raise _refusal(answer)
            url, what = url.moved(location), f"{remote}, redirected by {url.site}"
        raise StorageRefusedError(f"{remote}: more than {REDIRECTS} redirects")


def _refusal(answer: Answer) -> SisyphusError:
    said = answer.said
    if answer.status in _MISSING:
        return ObjectMissingError(said)
    if answer.status == 416:
        return _NoSuchPartError(said)
    if answer.status in _PASSING or answer.status >= 500:
        return StorageError(said)
    if answer.status in {401, 403}:
        return StorageRefusedError(f"{said}; inputs are fetched without credentials, so give a URL that needs none")
    return StorageRefusedError(said)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, StorageError)


def _modified(answer: Answer) -> datetime:
    try:
        found = parsedate_to_datetime(answer.header("Last-Modified"))
    except (ValueError, OverflowError):
        return datetime.now(UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _refuse(remote: Remote, what: str) -> NoReturn:
    raise StorageRefusedError(f"{remote}: an http(s) URL is one file to read, not {what}")


def open_store(settings: Settings) -> ObjectStore:
    """The store of all http(s) inputs. Does no I/O."""
    return HttpObjectStore(HttpRules.of(settings))
