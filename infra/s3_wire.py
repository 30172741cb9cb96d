"""S3's calls as our store needs them, without a vendor's names: the seam between `infra.s3_objects` and boto3."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from infra.errors import ObjectMissingError, StorageError
from infra.files import FileSlice


class NoBucketError(ObjectMissingError):
    """The bucket does not exist."""


class ReplacedError(StorageError):
    """Somebody replaced the object in between: the same call cannot succeed, the whole transfer may."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the server says about an object; `sha256` is the one that it carries, if any."""

    size: int
    modified: datetime
    etag: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing: (key, size, modified) of objects, common prefixes, and the token of the next page or ""."""

    objects: list[tuple[str, int, datetime]]
    prefixes: list[str]
    token: str


@dataclass(frozen=True, slots=True)
class Place:
    """Bucket and key as the server knows them."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the server has."""

    number: int
    etag: str
    checksum: str


class Body(Protocol):
    """What of an object has not been read yet."""

    def read(self, count: int) -> bytes:
        """At most `count` bytes; none at the end. Raises StorageError when the connection breaks."""
        ...

    def close(self) -> None:
        """Give back the connection."""
        ...


class Wire(Protocol):
    """One try at each of S3's calls. Raises what object stores raise, and NoBucketError, ReplacedError."""

    where: str

    def head(self, at: Place) -> Head:
        """Look at an object."""
        ...

    def page(self, at: Place, token: str, delimiter: str) -> Page:
        """A page of the objects whose key starts with that of `at`."""
        ...

    def buckets(self) -> list[str]:
        """Names of all buckets."""
        ...

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket; one of ours that exists is no error."""
        ...

    def get(self, at: Place, offset: int, etag: str) -> tuple[Head, Body]:
        """An object from a byte on; from elsewhere than the start only the very object with that `etag`."""
        ...

    def put(self, at: Place, data: FileSlice) -> None:
        """Write a whole object; the server verifies the digest."""
        ...

    def copy(self, source: Place, etag: str, to: Place) -> None:
        """Copy the very object with that `etag`, with its metadata."""
        ...

    def delete(self, bucket: str, keys: list[str]) -> None:
        """Delete at most a thousand objects; missing ones are no error."""
        ...

    def start_upload(self, at: Place, sha256: str | None, *, checked: bool) -> str:
        """Start a multipart upload and return its id; `checked` if its parts will carry checksums."""
        ...

    def send_part(self, at: Place, upload: str, number: int, data: FileSlice) -> Part:
        """Send a part; the server verifies its checksum."""
        ...

    def copy_part(self, at: Place, upload: str, number: int, source: Place, etag: str, span: tuple[int, int]) -> Part:
        """Let a part be the bytes from `span[0]` to `span[1]` inclusive of an object."""
        ...

    def finish_upload(self, at: Place, upload: str, parts: list[Part]) -> None:
        """Let the object appear."""
        ...

    def abort_upload(self, at: Place, upload: str) -> None:
        """Forget the parts."""
        ...

    def close(self) -> None:
        """Give back connections. Idempotent."""
        ...
