"""Structured logs on stderr: one line per fact, JSON for machines, columns for a terminal.

Transcripts and tool arguments go only into fields named ``pii_…``, which `SISYPHUS_LOG_LEVEL=debug` alone shows.
structlog, which brings rich and pygments along, is loaded for the first line: most commands never write one.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def setup_logging(level: str = "info", fmt: str = "auto") -> None:
    """Say how lines look, and bring the standard library's loggers into the same stream."""
    number = _LEVELS.get(level.lower(), 20)
    as_json = fmt == "json" or (fmt == "auto" and not sys.stderr.isatty())
    _form.choose(number, as_json=as_json)
    logging.basicConfig(handlers=[_StandardHandler(sys.stderr)], level=max(number, logging.WARNING), force=True)


def get_logger(name: str) -> Logger:
    """A logger that writes the module's name into every line."""
    return Logger(name)


class Logger:
    """Writes lines: the name of an event in snake_case, and fields. No call of it ever fails."""

    def __init__(self, name: str) -> None:
        self._name = name

    @cached_property
    def _lines(self) -> Any:
        import structlog

        _form.apply()
        return structlog.get_logger(module=self._name)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        try:
            getattr(self._lines, level)(event, **fields)
        except BrokenPipeError:
            _write_nowhere()
        except OSError:  # the terminal was closed, or the log's disk is full: the work goes on all the same
            pass

    def debug(self, event: str, **fields: Any) -> None:
        """For whoever looks for a fault in the program."""
        self._write("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Something happened as it should."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something went wrong and is dealt with; the field `consequence` says how."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """A human must act."""
        self._write("error", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """An error with the traceback of the exception that is being handled."""
        self._write("exception", event, fields)


def _write_nowhere() -> None:
    """Let nobody read what nobody can: a line that stays in the buffer would make Python end with 120 instead of 0."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


class _Form:
    """How lines look. structlog is configured when the first is written."""

    def __init__(self) -> None:
        self._chosen: tuple[int, bool] | None = None
        self._applied: logging.Formatter | None = None

    def choose(self, level: int, *, as_json: bool) -> None:
        self._chosen, self._applied = (level, as_json), None

    def apply(self) -> logging.Formatter:
        """Configure structlog, once; the form of the standard library's lines."""
        if self._applied is None:
            self._applied = _configure(*self._chosen) if self._chosen else _configure_unasked()
        return self._applied


_form = _Form()


class _StandardHandler(logging.StreamHandler[Any]):
    """Writes the standard library's lines in our form."""

    def format(self, record: logging.LogRecord) -> str:
        return _form.apply().format(record)


def _stderr_logger(*_: object) -> structlog.PrintLogger:
    import structlog

    return structlog.PrintLogger(sys.stderr)


def _configure_unasked() -> logging.Formatter:
    import structlog

    # Whoever logs without `setup_logging` must not mix lines into a command's output.
    structlog.configure(logger_factory=_stderr_logger)
    return logging.Formatter()


def _configure(number: int, as_json: bool) -> logging.Formatter:
    import structlog

    has_colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    console = structlog.dev.ConsoleRenderer(colors=has_colours)
    renderer: Any = structlog.processors.JSONRenderer() if as_json else console
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if as_json else structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[_hide_private(number), *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_stderr_logger,
        cache_logger_on_first_use=True,
    )
    return structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)


def _hide_private(level: int) -> Any:
    def hide(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if level > logging.DEBUG:
            for key in [k for k in event if k.startswith("pii_")]:
                del event[key]
        return event

    return hide
