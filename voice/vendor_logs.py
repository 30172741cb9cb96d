"""What the voice packages say about themselves, brought to order before they are loaded.

Pipecat tells every frame's life at debug level, and greets at import; warnings and errors go into our own log.
onnxruntime would write a device id and a telemetry database into the user's cache folder.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from infra.log import get_logger

if TYPE_CHECKING:
    from loguru import Message

log = get_logger("pipecat")

_IN_OURS = {"WARNING": log.warning, "ERROR": log.error, "CRITICAL": log.error}


def tame_vendors(log_level: str) -> None:
    """Call before the first import of Pipecat or onnxruntime. Idempotent."""
    from loguru import logger

    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    logger.remove()
    logger.add(_forward, level="DEBUG" if log_level.lower() == "debug" else "WARNING", format="{message}")


def _forward(message: Message) -> None:
    record = message.record
    _IN_OURS.get(record["level"].name, log.debug)("pipecat", message=record["message"], where=record["name"])
