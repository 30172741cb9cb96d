"""How a command ends: one exit code per outcome, and one clear block on stderr instead of a traceback.

Every command line goes through `guarded`. With ``--json`` an error is one JSON document on stdout as well, so that a
program that reads stdout always finds JSON there. Documents and settings are loaded where there is an error.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, cast

import typer
from typer.exceptions import TyperException

from infra.commands.unread import leave_unread, print_text
from infra.commands.usage import described
from infra.errors import (
    ConfigurationError,
    ObjectMissingError,
    RuntimeUnavailableError,
    SisyphusError,
    StorageRefusedError,
    UnknownTaskError,
    UnknownTemplateError,
)
from schemas.state import TaskState

if TYPE_CHECKING:
    from schemas.failure import Problem


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
_USAGE = (ConfigurationError, StorageRefusedError, UnknownTaskError, UnknownTemplateError)


def guarded(call: Callable[[], int], *, as_json: bool) -> int:
    """Run `call`; translate whatever ends it into an exit code and one block of text."""
    try:
        code = call()
        sys.stdout.flush()
    except BrokenPipeError:
        leave_unread(sys.stdout)
        return ExitCode.COMPLETE
    except SystemExit as end:  # rich's answer to a reader that left; the code would be that of a failed task
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        leave_unread(sys.stdout)
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
    problems = _problems(error)
    code, title, hint = _rejected(problems, getattr(error, "subject", "")) if problems else _judged(error)
    if as_json:
        body = {"error": title, "exit_code": int(code), "problems": [p.model_dump() for p in problems]}
        print_text(json.dumps(body, ensure_ascii=False) + "\n", sys.stdout)
    else:
        code_of_one = f"  [{problems[0].code}]" if len(problems) == 1 else ""
        many = [f"  {_line(p)}  [{p.code}]" for p in problems if len(problems) > 1]
        lines = [f"error: {title}{code_of_one}", *many]
        print_text("\n".join([*lines, *([f"  {hint}"] if hint else [])]) + "\n", sys.stderr)
    if _is_debugging():
        traceback.print_exception(error, file=sys.stderr)
    return code


def _problems(error: BaseException) -> tuple[Problem, ...]:
    from schemas.failure import DocumentError, Problem, RefusalError

    match error:
        case DocumentError():
            return error.problems
        case RefusalError():
            return (Problem(code=error.code, field=error.field, message=str(error)),)
        case _:
            return ()


def _line(problem: Problem) -> str:
    return f"{problem.field}: {problem.message}" if problem.field else problem.message


def _rejected(problems: tuple[Problem, ...], subject: str) -> tuple[ExitCode, str, str]:
    """A document or a path that breaks a rule: one problem in one line, several below each other."""
    title = f"{subject or 'this'} cannot be accepted, it has {len(problems)} problems:"
    if len(problems) == 1:
        title = f"{subject} cannot be accepted: {_line(problems[0])}" if subject else _line(problems[0])
    if problems[0].field.startswith(("parameters.", "values")):
        return ExitCode.USAGE, title, "`sisyphus templates` shows what each template takes."
    return ExitCode.USAGE, title, "`sisyphus submit --help` shows a document that can be accepted." if subject else ""


def _judged(error: BaseException) -> tuple[ExitCode, str, str]:
    """The exit code, the sentence, and what to do."""
    code, title, hint = ExitCode.SYSTEM_ERROR, str(error), ""
    match error:
        case TyperException():
            code, (title, hint) = ExitCode.USAGE, described(error)
        case RuntimeUnavailableError():
            hint = "`sisyphus doctor` tries every part and says what to install."
        case ObjectMissingError():
            code, hint = ExitCode.USAGE, "`sisyphus ls` lists what there is."
        case SisyphusError() if isinstance(error, _USAGE):
            code = ExitCode.USAGE
        case SisyphusError():
            hint = "`sisyphus doctor` shows which part has the trouble."
        case OSError():
            title = ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
            hint = "Check the path, its permissions and the free space; --data names the directory of the system."
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
