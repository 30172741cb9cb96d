"""How a command ends: one exit code per outcome, and one clear block on stderr instead of a traceback.

Every command line goes through `guarded`. With ``--json`` an error is one JSON document on stdout as well, so that a
program that reads stdout always finds JSON there. Documents and settings are loaded where there is an error.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import cast

import typer
from typer.exceptions import TyperException

from infra.commands.usage import described
from infra.errors import (
    ConfigurationError,
    ObjectMissingError,
    RuntimeUnavailableError,
    SisyphusError,
    UnknownTaskError,
    UnknownTemplateError,
)
from schemas.state import TaskState


class ExitCode(IntEnum):
    """What a command's end means; scripts rely on these numbers."""

    COMPLETE = 0
    EXECUTOR_ERROR = 1
    USAGE = 2
    SYSTEM_ERROR = 3
    CANCELED = 4
    INTERRUPTED = 130


#: How a task's end becomes a command's.
OF_STATE = {
    TaskState.COMPLETE: ExitCode.COMPLETE,
    TaskState.EXECUTOR_ERROR: ExitCode.EXECUTOR_ERROR,
    TaskState.SYSTEM_ERROR: ExitCode.SYSTEM_ERROR,
    TaskState.CANCELED: ExitCode.CANCELED,
}
#: Errors whose remedy lies in what was typed.
_USAGE = (ConfigurationError, ObjectMissingError, UnknownTaskError, UnknownTemplateError)


def guarded(call: Callable[[], int], *, as_json: bool) -> int:
    """Run `call`; translate whatever ends it into an exit code and one block of text."""
    try:
        code = call()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader left (`| head`); a second flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.COMPLETE
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the top of every command: nothing below may show a traceback
        return _report(_cause(error), as_json=as_json)
    return code


def _cause(error: BaseException) -> BaseException:
    """The one error inside a TaskGroup's group."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _report(error: BaseException, *, as_json: bool) -> int:
    from schemas.failure import DocumentError, Problem, RefusalError

    code, title, hint = _judged(error)
    problems = error.problems if isinstance(error, DocumentError) else ()
    if isinstance(error, RefusalError):
        problems = (Problem(code=error.code, field=error.field, message=str(error)),)
    if as_json:
        body = {"error": title, "exit_code": int(code), "problems": [p.model_dump() for p in problems]}
        sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
    else:
        lines = [f"error: {title}", *(f"  {p.field or 'document'}: {p.message}  [{p.code}]" for p in problems)]
        sys.stderr.write("\n".join([*lines, *([f"  {hint}"] if hint else [])]) + "\n")
    if _is_debugging():
        traceback.print_exception(error, file=sys.stderr)
    return code


def _judged(error: BaseException) -> tuple[ExitCode, str, str]:
    """The exit code, the sentence, and what to do."""
    from schemas.failure import DocumentError, RefusalError

    code, title, hint = ExitCode.SYSTEM_ERROR, str(error), ""
    match error:
        case DocumentError():
            many = "one problem" if len(error.problems) == 1 else f"{len(error.problems)} problems"
            code, title = ExitCode.USAGE, f"this cannot be accepted, it has {many}:"
        case RefusalError():
            code, title = ExitCode.USAGE, "this path cannot be accepted:"
        case TyperException():
            code, (title, hint) = ExitCode.USAGE, described(error)
        case RuntimeUnavailableError():
            hint = "`sisyphus doctor` tries every part and says what to install."
        case SisyphusError() if isinstance(error, _USAGE):
            code = ExitCode.USAGE
        case SisyphusError():
            hint = "`sisyphus doctor` shows which part has the trouble."
        case OSError():
            title = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        case _:
            title = f"unexpected {type(error).__name__}: {error}"
            hint = "This is a defect of Sisyphus; SISYPHUS_LOG_LEVEL=debug shows where it happened."
    return code, title, hint


def _is_debugging() -> bool:
    from infra.settings import load_settings

    try:
        return load_settings().log_level.lower() == "debug"
    except ConfigurationError:
        return False
