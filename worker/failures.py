"""From exceptions to failures: the one place that decides what went wrong with an attempt."""

from __future__ import annotations

from typing import cast

from infra.errors import (
    CommandNotFoundError,
    ConfigurationError,
    ImageError,
    ObjectMissingError,
    PermanentError,
    SisyphusError,
    StorageRefusedError,
)
from schemas.failure import Cause, Failure


class AttemptError(Exception):
    """An attempt cannot go on; carries the failure that is stored."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


def attempt_error(cause: Cause, message: str, item: str | None = None, **more: object) -> AttemptError:
    """An AttemptError with the given failure."""
    return AttemptError(Failure.model_validate({"cause": cause, "message": message, "item": item, **more}))


def classify(error: BaseException, item: str | None) -> Failure:
    """The failure behind an exception. What nobody foresaw is infrastructure: tried again, with its name in the log."""
    if isinstance(error, ExceptionGroup):
        group = cast("ExceptionGroup[Exception]", error)
        return classify(group.exceptions[0], item)
    if isinstance(error, AttemptError):
        return error.failure if error.failure.item else error.failure.model_copy(update={"item": item})
    causes: list[tuple[type[BaseException], Cause]] = [
        (ObjectMissingError, Cause.INPUT_MISSING),
        (ImageError, Cause.IMAGE),
        (CommandNotFoundError, Cause.EXIT),
        (StorageRefusedError, Cause.INVALID),
        (ConfigurationError, Cause.INVALID),
        (PermanentError, Cause.INVALID),
    ]
    cause = next((c for kind, c in causes if isinstance(error, kind)), Cause.INFRASTRUCTURE)
    if isinstance(error, SisyphusError) and error.retryable:
        cause = Cause.INFRASTRUCTURE  # e.g. a registry that did not answer, in contrast to an image that is not there
    message = str(error) or type(error).__name__
    if cause is Cause.INFRASTRUCTURE:
        message = f"{type(error).__name__}: {message}"
    code = 127 if isinstance(error, CommandNotFoundError) else None
    return Failure(cause=cause, message=message[:2000], item=item, exit_code=code)
