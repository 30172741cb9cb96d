"""S3 and what speaks like it, through boto3: the vendor's calls and errors as `infra.s3_objects` wants them.

Everything that is sent carries a SHA-256 that the server verifies. Credentials come from boto3's own chain, never from
the URL. The client is made on first use, since that reads files and takes a moment.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast
from urllib.parse import parse_qsl, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)

from infra.errors import (
    ChecksumError,
    ConfigurationError,
    ObjectMissingError,
    SisyphusError,
    StorageError,
    StorageRefusedError,
)
from infra.files import FileSlice
from infra.object_store import ObjectStore
from infra.s3_objects import THREADS, Layout, S3ObjectStore
from infra.s3_wire import Body, Head, NoBucketError, Page, Part, Place, ReplacedError

#: Name of the metadata field that holds an object's digest.
_DIGEST = "sha256"
_CONNECT_S, _READ_S = 5, 60
_OPTIONS = {"endpoint", "region", "path_style", "create_buckets"}
_FORM = "s3://[bucket[/prefix]]?endpoint=http://host:port&region=us-east-1&path_style=true&create_buckets=true"

_MISSING = {"NoSuchKey", "NoSuchUpload", "NotFound", "404"}
_DAMAGED = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
_BUSY = {"SlowDown", "RequestTimeout", "Throttling", "InternalError", "OperationAborted"}
_PASSING_STATUS = {429, 500, 502, 503, 504}
#: Refusals for want of rights that come with another status than 401 and 403; the second is versitygw's.
_RIGHTS = {"ExpiredToken", "XAdminUserNotFound"}
_RIGHTS_STATUS = {401, 403}


#: boto3 makes the methods of its clients at run time, so that they have no types.
_Client: TypeAlias = Any


class Boto3Wire:
    """One try at each call; thread-safe, with one client."""

    def __init__(self, endpoint: str | None, region: str, *, path_style: bool) -> None:
        self.where = endpoint or f"S3 in {region}"
        self._endpoint, self._region, self._path_style = endpoint, region, path_style
        self._lock = threading.Lock()
        self._opened: _Client | None = None

    @property
    def _client(self) -> _Client:
        with self._lock:
            if self._opened is None:
                self._opened = (
                    cast(Any, boto3)
                    .session.Session()
                    .client(
                        "s3",
                        endpoint_url=self._endpoint,
                        region_name=self._region,
                        config=Config(
                            signature_version="s3v4",
                            connect_timeout=_CONNECT_S,
                            read_timeout=_READ_S,
                            retries={"total_max_attempts": 1},  # retried above, where a cancel is noticed
                            max_pool_connections=2 * THREADS,
                            s3={"addressing_style": "path" if self._path_style else "auto"},
                            request_checksum_calculation="when_required",  # some servers refuse the CRC trailers
                            response_checksum_validation="when_required",
                        ),
                    )
                )
            return self._opened

    def head(self, at: Place) -> Head:
        """What the server says of an object."""
        with self._explained(at):
            return _head(self._client.head_object(Bucket=at.bucket, Key=at.key))

    def page(self, at: Place, token: str, delimiter: str) -> Page:
        """A page of a listing."""
        more = {"ContinuationToken": token} if token else {}
        with self._explained(at):
            page = self._client.list_objects_v2(Bucket=at.bucket, Prefix=at.key, Delimiter=delimiter, **more)
        return Page(
            [(found["Key"], found["Size"], found["LastModified"]) for found in page.get("Contents", [])],
            [common["Prefix"] for common in page.get("CommonPrefixes", [])],
            page.get("NextContinuationToken", "") if page.get("IsTruncated") else "",
        )

    def buckets(self) -> list[str]:
        """Every bucket."""
        with self._explained("the buckets"):
            return [bucket["Name"] for bucket in self._client.list_buckets()["Buckets"]]

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket where the region says."""
        place = {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        try:
            with self._explained(f"bucket {bucket}"):
                self._client.create_bucket(Bucket=bucket, **({} if self._region == "us-east-1" else place))
        except StorageRefusedError as error:
            if _code(error.__cause__) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise

    def get(self, at: Place, offset: int, etag: str) -> tuple[Head, Body]:
        """An object, or the rest of it."""
        more = {"Range": f"bytes={offset}-", "IfMatch": etag} if offset else {}
        with self._explained(at):
            answer = self._client.get_object(Bucket=at.bucket, Key=at.key, **more)
        return _head(answer), _Body(self, at, answer["Body"])

    def put(self, at: Place, data: FileSlice) -> None:
        """Write a whole object."""
        with self._explained(at):
            data.seek(0)
            self._client.put_object(
                Bucket=at.bucket,
                Key=at.key,
                Body=data,
                Metadata={_DIGEST: data.sha256},
                ChecksumSHA256=_base64(data.sha256),
            )

    def copy(self, source: Place, etag: str, to: Place) -> None:
        """Copy, metadata included."""
        with self._explained(to):
            self._client.copy_object(Bucket=to.bucket, Key=to.key, **_origin(source, etag))

    def delete(self, bucket: str, keys: list[str]) -> None:
        """Delete in one call."""
        try:
            with self._explained(bucket):
                objects = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
                answer = self._client.delete_objects(Bucket=bucket, Delete=objects)
        except NoBucketError:
            return
        for error in answer.get("Errors", []):
            if error.get("Code") not in _MISSING:
                kind = StorageError if error.get("Code") in _BUSY else StorageRefusedError
                raise kind(f"{bucket}/{error.get('Key')} at {self.where} was not deleted: {error.get('Message')}")

    def start_upload(self, at: Place, sha256: str | None, *, checked: bool) -> str:
        """Start a multipart upload."""
        more: dict[str, Any] = {"ChecksumAlgorithm": "SHA256"} if checked else {}
        metadata = {_DIGEST: sha256} if sha256 else {}
        with self._explained(at):
            answer = self._client.create_multipart_upload(Bucket=at.bucket, Key=at.key, Metadata=metadata, **more)
        return answer["UploadId"]

    def send_part(self, at: Place, upload: str, number: int, data: FileSlice) -> Part:
        """Send a part."""
        checksum = _base64(data.sha256)
        with self._explained(at):
            data.seek(0)
            answer = self._client.upload_part(
                Bucket=at.bucket, Key=at.key, UploadId=upload, PartNumber=number, Body=data, ChecksumSHA256=checksum
            )
        return Part(number, answer["ETag"], checksum)

    def copy_part(self, at: Place, upload: str, number: int, source: Place, etag: str, span: tuple[int, int]) -> Part:
        """Copy a part."""
        with self._explained(at):
            answer = self._client.upload_part_copy(
                Bucket=at.bucket,
                Key=at.key,
                UploadId=upload,
                PartNumber=number,
                CopySourceRange=f"bytes={span[0]}-{span[1]}",
                **_origin(source, etag),
            )
        return Part(number, answer["CopyPartResult"]["ETag"], "")

    def finish_upload(self, at: Place, upload: str, parts: list[Part]) -> None:
        """Complete the upload."""
        listed = [
            {
                "PartNumber": part.number,
                "ETag": part.etag,
                **({"ChecksumSHA256": part.checksum} if part.checksum else {}),
            }
            for part in parts
        ]
        with self._explained(at):
            self._client.complete_multipart_upload(
                Bucket=at.bucket, Key=at.key, UploadId=upload, MultipartUpload={"Parts": listed}
            )

    def abort_upload(self, at: Place, upload: str) -> None:
        """Abort the upload."""
        with self._explained(at):
            self._client.abort_multipart_upload(Bucket=at.bucket, Key=at.key, UploadId=upload)

    def close(self) -> None:
        """Close the client if it was made."""
        if self._opened is not None:
            self._opened.close()

    @contextmanager
    def _explained(self, what: object) -> Generator[None]:
        """Errors of boto3 as ours: what, where, why, and what to do."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise _translated(error, f"{what} at {self.where}") from error

    def read(self, at: Place, body: Body, count: int) -> bytes:
        """The next bytes of a body."""
        with self._explained(at):
            return body.read(count)


class _Body:
    def __init__(self, wire: Boto3Wire, at: Place, body: Body) -> None:
        self._wire, self._at, self._body = wire, at, body

    def read(self, count: int) -> bytes:
        return self._wire.read(self._at, self._body, count)

    def close(self) -> None:
        self._body.close()


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()


def _head(answer: dict[str, Any]) -> Head:
    # Some servers write the names of metadata their own way.
    metadata = {name.lower(): value for name, value in answer["Metadata"].items()}
    return Head(answer["ContentLength"], answer["LastModified"], answer["ETag"], metadata.get(_DIGEST))


def _origin(source: Place, etag: str) -> dict[str, Any]:
    return {"CopySource": {"Bucket": source.bucket, "Key": source.key}, "CopySourceIfMatch": etag}


def _code(error: BaseException | None) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _status(error: BaseException) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) if isinstance(error, ClientError) else 0


def _is_passing(error: BaseException) -> bool:
    is_network = isinstance(error, HTTPClientError | ConnectionError | IncompleteReadError)
    return is_network or _status(error) in _PASSING_STATUS or _code(error) in _BUSY


def _is_about_rights(error: BaseException) -> bool:
    is_without = isinstance(error, NoCredentialsError | PartialCredentialsError)
    return is_without or _status(error) in _RIGHTS_STATUS or _code(error) in _RIGHTS


def _translated(error: ClientError | BotoCoreError, what: str) -> SisyphusError:
    code = _code(error)
    if code == "NoSuchBucket":
        return NoBucketError(f"{what}: there is no such bucket")
    if code in _MISSING:
        return ObjectMissingError(f"{what}: there is no such object ({code})")
    if code in _DAMAGED:
        return ChecksumError(f"{what}: damaged on the way: {error}")
    if _is_passing(error):
        return StorageError(f"{what}: {error}; see that the server runs and can be reached")
    if code == "PreconditionFailed":
        return ReplacedError(f"{what}: another writer replaced it meanwhile")
    if _is_about_rights(error):
        return StorageRefusedError(f"{what}: {error}; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and their rights")
    return StorageRefusedError(f"{what}: {error}")


def open_store(url: str) -> ObjectStore:
    """The store of ``s3://[bucket[/prefix]]?endpoint=…&region=…&path_style=true&create_buckets=true``. Does no I/O.

    Raises:
        ConfigurationError: an unknown option, or credentials in the URL.
    """
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "@" in parts.netloc or not given.keys() <= _OPTIONS:
        raise ConfigurationError(
            f"the object store's URL has the form {_FORM}; credentials belong in AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY"
        )
    prefix = parts.path.strip("/")
    layout = Layout(parts.netloc, f"{prefix}/" if prefix else "", given.get("create_buckets", "").lower() == "true")
    region = given.get("region") or os.environ.get("AWS_REGION") or "us-east-1"
    wire = Boto3Wire(given.get("endpoint") or None, region, path_style=given.get("path_style", "").lower() == "true")
    return S3ObjectStore(wire, layout)
