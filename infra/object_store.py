"""Port: object stores. Streaming both ways: an object of any size passes through a bounded buffer.

Adapters run the conformance suite in ``tests/conformance/test_object_store.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from infra.errors import StorageRefusedError
from infra.http_rules import HttpRules, Url
from infra.registry import resolve
from infra.settings import Settings
from schemas.paths import Remote, Scheme

#: Called with the number of bytes moved since the last call; must not block.
OnBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says about one object. `sha256` is lower-case hex, None where the store cannot tell."""

    remote: Remote
    size_bytes: int
    modified: datetime
    sha256: str | None = None


class ObjectStore(Protocol):
    """One kind of object store. All methods raise StorageError, StorageRefusedError or ObjectMissingError."""

    async def stat(self, remote: Remote) -> ObjectInfo | None:
        """The object, or None if there is none."""
        ...

    def list(self, prefix: Remote) -> AsyncIterator[ObjectInfo]:
        """Every object whose key starts with the prefix's key, in key order. An empty key lists the bucket."""
        ...

    async def buckets(self) -> Sequence[str]:
        """Names of the buckets, sorted."""
        ...

    async def fetch(self, remote: Remote, to: Path, on_bytes: OnBytes | None = None) -> ObjectInfo:
        """Stage in: write the object to a new file `to` (parents exist); sha256 of what was written is returned."""
        ...

    async def store(self, source: Path, remote: Remote, on_bytes: OnBytes | None = None) -> ObjectInfo:
        """Stage out: store the file, verify size and checksum, and return them. Atomic: readers see all or nothing."""
        ...

    async def copy(self, source: Remote, to: Remote) -> ObjectInfo:
        """Copy within the store, atomically, without passing the bytes through this process where possible."""
        ...

    async def delete(self, remotes: Sequence[Remote]) -> None:
        """Delete objects; missing ones are no error."""
        ...

    async def close(self) -> None:
        """Give back connections. Idempotent."""
        ...


#: URL scheme -> (factory, extra). A factory is ``def open_store(url: str) -> ObjectStore`` and does no I/O.
OBJECT_STORES: dict[str, tuple[str, str]] = {
    "file": ("infra.object_stores.local:open_store", ""),
    "s3": ("infra.object_stores.s3:open_store", "s3"),
}

#: Scheme of a remote -> (factory, extra): stores that only give inputs; all methods but `stat` and `fetch` refuse.
#: A factory is ``def open_store(settings: Settings) -> ObjectStore`` and does no I/O.
INPUT_STORES: dict[str, tuple[str, str]] = {
    "http": ("infra.object_stores.http:open_store", ""),
    "https": ("infra.object_stores.http:open_store", ""),
}


class ObjectStores:
    """Routes a remote to the store that holds it: ``bucket:key`` to the configured one, URLs by their scheme."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[str, ObjectStore] = {}

    def at(self, remote: Remote) -> ObjectStore:
        """The store of `remote`.

        Raises:
            StorageRefusedError: it is not allowed here, as `check` says.
            ConfigurationError: the package of its adapter is not installed.
        """
        self.check(remote)
        match remote.scheme:
            case Scheme.BUCKET:
                return self._opened(self._settings.objects_url)
            case Scheme.S3:
                url = self._settings.objects_url
                return self._opened(url if url.startswith("s3:") else "s3://")
            case Scheme.FILE:
                return self._opened("file:///")
            case Scheme.HTTP | Scheme.HTTPS:
                return self._opened_for_inputs(f"{remote.scheme.value}://")

    def check(self, remote: Remote) -> None:
        """See that the settings allow `remote` here. Opens nothing.

        Raises:
            StorageRefusedError: a ``file://`` path outside the allowed roots, or a host that is not allowed.
        """
        if remote.scheme is Scheme.FILE:
            self._check_root(remote)
        elif remote.scheme in {Scheme.HTTP, Scheme.HTTPS}:
            HttpRules.of(self._settings).check(Url.parse(str(remote)), remote)

    def _check_root(self, remote: Remote) -> None:
        path = Path(remote.key)
        for root in self._settings.file_roots:
            if path.resolve().is_relative_to(root.resolve()):
                return
        raise StorageRefusedError(f"{remote} is outside the allowed roots; add its directory to SISYPHUS_FILE_ROOTS")

    def _opened(self, url: str) -> ObjectStore:
        if url not in self._open:
            self._open[url] = resolve(OBJECT_STORES, url, "object store")(url)
        return self._open[url]

    def _opened_for_inputs(self, url: str) -> ObjectStore:
        if url not in self._open:
            self._open[url] = resolve(INPUT_STORES, url, "object store")(self._settings)
        return self._open[url]

    async def close(self) -> None:
        """Close every store that was opened."""
        while self._open:
            await self._open.popitem()[1].close()
