"""Failures as data: what is wrong with a document, and why an attempt ended."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from schemas.document import Document


class Problem(Document):
    """One thing wrong with a document: a stable code, the field's path, and one sentence with value and rule."""

    code: str
    field: str
    message: str


class DocumentError(ValueError):
    """A document was rejected; every problem names the field, the value and the rule.

    Attributes:
        subject: what was rejected, where that is not plain, e.g. the name of a file.
    """

    def __init__(self, problems: Iterable[Problem], subject: str = "") -> None:
        self.problems, self.subject = tuple(problems), subject
        super().__init__("; ".join(f"{p.field or 'document'}: {p.message}" for p in self.problems))


class Cause(StrEnum):
    """Why an attempt ended without success. The retry rule looks at nothing else but this and the counters."""

    EXIT = "exit"  # the user's command returned non-zero
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"  # the command wrote more than resources.disk_mb
    TIMEOUT = "timeout"
    OUTPUT_MISSING = "output_missing"  # the command succeeded but never wrote a declared output
    INPUT_MISSING = "input_missing"  # a declared input does not exist in the object store
    INVALID = "invalid"  # the document asks for something that cannot be
    IMAGE = "image"  # the image does not exist or is not allowed
    INFRASTRUCTURE = "infrastructure"  # storage, runtime, database or network
    NODE_LOST = "node_lost"  # the lease expired: nobody knows what the node did
    CANCELED = "canceled"


#: Causes that are the user's own: the task ends in ``executor_error``. All others end in ``system_error``.
USER_CAUSES = frozenset({Cause.EXIT, Cause.OUT_OF_MEMORY, Cause.DISK_FULL, Cause.TIMEOUT, Cause.OUTPUT_MISSING})


class Failure(Document):
    """Why an attempt failed, in words for people and in fields for programs."""

    cause: Cause
    message: str
    item: str | None = None  # the TODO item at which it happened, e.g. "command:0"
    exit_code: int | None = None
    log_tail: str = ""  # the last lines of the command's output, bounded


class RefusalError(ValueError):
    """A rule of a document was broken; raised inside validators, turned into a `Problem` by the parser."""

    def __init__(self, code: str, message: str, field: str = "") -> None:
        self.code, self.field = code, field
        super().__init__(message)
