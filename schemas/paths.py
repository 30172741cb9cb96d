"""The three kinds of path. Nothing passes a bare string between them.

remote    where an object lives: ``bucket:key`` (split at the FIRST colon), ``s3://``, ``file://``, ``http(s)://``
internal  where a command sees it inside its container: absolute; a trailing ``/`` means a directory
local     where a node keeps it in between; made by the node alone, never part of a document
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NewType
from urllib.parse import unquote, urlsplit

from pydantic import GetCoreSchemaHandler, PlainSerializer
from pydantic_core import CoreSchema, core_schema

from schemas.failure import RefusalError

#: Longest remote or internal path in characters: S3's key limit, and well below PATH_MAX.
MAX_PATH_CHARS = 1024
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
#: The key prefix that the cluster keeps for itself inside every bucket.
RESERVED_PREFIX = ".sisyphus/"

LocalPath = NewType("LocalPath", Path)


class Scheme(StrEnum):
    """How a remote is spelled; ``bucket`` is the original's ``bucket:key``."""

    BUCKET = "bucket"
    S3 = "s3"
    FILE = "file"
    HTTP = "http"
    HTTPS = "https"


def _check_text(text: str, what: str) -> None:
    if not text:
        raise RefusalError("path_empty", f"the {what} path must not be empty")
    if len(text) > MAX_PATH_CHARS:
        raise RefusalError(
            "path_too_long",
            f"the {what} path has {len(text)} characters; {MAX_PATH_CHARS} are allowed",
        )
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        raise RefusalError("path_control_character", f"the {what} path must not hold NUL or control characters")


def _check_parts(path: str, text: str, what: str) -> None:
    if any(part in {".", ".."} for part in path.split("/")):
        raise RefusalError("path_traversal", f"{text!r}: the {what} path must not hold '.' or '..'")


def _parsed_schema(cls: Any, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
    """Validate from a string by `cls.parse`, serialise by `str`, and appear as a string in JSON Schema."""

    def read(value: object) -> object:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise RefusalError("path_type", f"a path is a string, not {type(value).__name__}")
        return cls.parse(value)

    return core_schema.json_or_python_schema(
        json_schema=core_schema.no_info_after_validator_function(read, core_schema.str_schema()),
        python_schema=core_schema.no_info_plain_validator_function(read),
        serialization=core_schema.to_string_ser_schema(),
    )


@dataclass(frozen=True, slots=True, order=True)
class Remote:
    """An object, or with a trailing ``/`` a prefix, in an object store.

    `bucket` is the bucket for ``bucket:key`` and ``s3://``, the host for ``http(s)://``, empty for ``file://``.
    `key` has no leading slash, but for ``file://`` it is the absolute path.
    """

    scheme: Scheme
    bucket: str
    key: str

    __get_pydantic_core_schema__ = classmethod(_parsed_schema)

    @classmethod
    def parse(cls, text: str) -> Remote:
        """Read a remote path.

        Raises:
            RefusalError: with a stable code and one sentence that holds the value and the rule.
        """
        _check_text(text, "remote")
        if "://" in text.split("?", 1)[0]:
            return cls._parse_url(text)
        bucket, colon, key = text.partition(":")
        if not colon or not bucket or not key:
            raise RefusalError(
                "remote_form",
                f"{text!r} is not a remote path; write bucket:key, s3://bucket/key, file:///path or https://…",
            )
        return cls._checked(Scheme.BUCKET, bucket, key, text)

    @classmethod
    def _parse_url(cls, text: str) -> Remote:
        scheme, _, rest = text.partition("://")
        try:
            kind = Scheme(scheme.lower())
        except ValueError:
            kind = Scheme.BUCKET
        if kind is Scheme.BUCKET:
            raise RefusalError(
                "remote_scheme",
                f"{text!r}: unknown scheme {scheme!r}; known are bucket:key, s3, file, http and https",
            )
        if kind is Scheme.FILE:
            path = unquote(rest)
            _check_text(path, "remote")
            if not path.startswith("/"):
                raise RefusalError("remote_form", f"{text!r}: file:// needs an absolute path, as in file:///data/x")
            _check_parts(path, text, "remote")
            return cls(kind, "", path)
        if kind is Scheme.S3:
            bucket, _, key = rest.partition("/")
            return cls._checked(kind, bucket, key, text)
        return cls(kind, *_host_and_rest(text, rest))

    @classmethod
    def _checked(cls, scheme: Scheme, bucket: str, key: str, text: str) -> Remote:
        if not _BUCKET.fullmatch(bucket):
            raise RefusalError(
                "remote_bucket", f"{text!r}: {bucket!r} is not a bucket name (1-63 of A-Z a-z 0-9 . _ -)"
            )
        if not key.strip("/"):
            raise RefusalError("remote_key", f"{text!r}: the key is empty")
        if key.startswith("/"):
            raise RefusalError("remote_key", f"{text!r}: the key must not start with '/'")
        if "//" in key:
            raise RefusalError("remote_key", f"{text!r}: the key must not hold '//'")
        _check_parts(key, text, "remote")
        return cls(scheme, bucket, key)

    @property
    def is_directory(self) -> bool:
        """Whether it names everything below a prefix. An http(s) URL never does."""
        return self.key.endswith("/") and self.scheme not in {Scheme.HTTP, Scheme.HTTPS}

    @property
    def is_reserved(self) -> bool:
        """Whether it lies in the part of a bucket that the cluster keeps for itself."""
        return f"{self.key}/".startswith(RESERVED_PREFIX)

    @property
    def name(self) -> str:
        """The last component of the key."""
        return self.key.rstrip("/").rpartition("/")[2]

    def child(self, relative: str) -> Remote:
        """The object `relative` below this prefix."""
        return Remote(self.scheme, self.bucket, f"{self.key.rstrip('/')}/{relative}")

    def beside(self, key: str) -> Remote:
        """Another key in the same bucket."""
        return Remote(self.scheme, self.bucket, key)

    def __str__(self) -> str:
        if self.scheme is Scheme.BUCKET:
            return f"{self.bucket}:{self.key}"
        if self.scheme is Scheme.FILE:
            return f"file://{self.key}"
        return f"{self.scheme.value}://{self.bucket}/{self.key}"


def _host_and_rest(text: str, rest: str) -> tuple[str, str]:
    """Host with port, and the path with what follows it but without its leading slash.

    Raises:
        RefusalError: there is no host, a port that is none, or a name or password.
    """
    try:
        parts = urlsplit(text)
        if parts.hostname and parts.username is None and parts.port != 0:
            return parts.netloc, rest[len(parts.netloc) :].removeprefix("/")
    except ValueError:  # brackets or a port that make no sense
        pass
    raise RefusalError("remote_form", f"{text!r}: an http(s) input needs a host and must not hold credentials")


@dataclass(frozen=True, slots=True, order=True)
class Internal:
    """An absolute path inside a container; a trailing ``/`` means a directory."""

    path: str

    __get_pydantic_core_schema__ = classmethod(_parsed_schema)

    @classmethod
    def parse(cls, text: str) -> Internal:
        """Read an internal path.

        Raises:
            RefusalError: it is relative, the root itself, holds ``..`` or a control character.
        """
        _check_text(text, "internal")
        if not text.startswith("/"):
            raise RefusalError(
                "internal_relative", f"{text!r} is relative; an internal path is absolute, as in /in/data.txt"
            )
        _check_parts(text, text, "internal")
        if "//" in text:
            raise RefusalError("internal_form", f"{text!r}: an internal path must not hold '//'")
        if text == "/":
            raise RefusalError("internal_root", "'/' itself cannot be mounted")
        if text.split("/")[1] in {"proc", "sys", "dev"}:
            raise RefusalError("internal_reserved", f"{text!r}: /proc, /sys and /dev belong to the container")
        return cls(text)

    @property
    def is_directory(self) -> bool:
        """Whether the path names a directory."""
        return self.path.endswith("/")

    @property
    def bare(self) -> str:
        """The path without the trailing slash."""
        return self.path.rstrip("/")

    @property
    def parent(self) -> str:
        """The directory that holds it, without a trailing slash; ``/`` at the top."""
        return str(PurePosixPath(self.bare).parent)

    def contains(self, other: Internal) -> bool:
        """Whether `other` is this path or lies below it."""
        return other.bare == self.bare or other.bare.startswith(self.bare + "/")

    def __str__(self) -> str:
        return self.path


class Capture(StrEnum):
    """Internal spellings of an output that is not a file but what the commands printed."""

    STREAM = ">"  # merged stdout and stderr, stored on success only
    LOG = ">>"  # the same with prologue and epilogue, stored even on failure


def _parse_target(value: object) -> Internal | Capture:
    if isinstance(value, Internal | Capture):
        return value
    if not isinstance(value, str):
        raise RefusalError("internal_form", "an internal path is a string")
    if value in {">", "STDOUT"}:
        return Capture.STREAM
    if value == ">>":
        return Capture.LOG
    return Internal.parse(value)


class _TargetSchema:
    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema()
        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_after_validator_function(_parse_target, text),
            python_schema=core_schema.no_info_plain_validator_function(_parse_target),
            serialization=core_schema.to_string_ser_schema(),
        )


#: Where an output comes from: a path in the container, or what was printed.
Target = Annotated[Internal | Capture, _TargetSchema, PlainSerializer(str, return_type=str)]
