"""Structured logs on stderr: one line per fact, JSON for machines, columns for a terminal.

Transcripts and tool arguments go only into fields named ``pii_…``, which `SISYPHUS_LOG_LEVEL=debug` alone shows.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def _stderr_logger(*_: object) -> structlog.PrintLogger:
    return structlog.PrintLogger(sys.stderr)


# Whoever logs before `setup_logging` ran, or without it, must not mix lines into a command's output.
structlog.configure(logger_factory=_stderr_logger)


def setup_logging(level: str = "info", fmt: str = "auto") -> None:
    """Configure structlog and bring the standard library's loggers into the same stream."""
    number = _LEVELS.get(level.lower(), 20)
    as_json = fmt == "json" or (fmt == "auto" and not sys.stderr.isatty())
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if as_json else structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[_hide_private(number), *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def _hide_private(level: int) -> Any:
    def hide(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if level > logging.DEBUG:
            for key in [k for k in event if k.startswith("pii_")]:
                del event[key]
        return event

    return hide


def get_logger(name: str) -> Any:
    """A logger bound to the module's name."""
    return structlog.get_logger(module=name)
