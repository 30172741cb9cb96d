"""A processor of ours in Pipecat's pipeline: typed where Pipecat leaves its types open, with one task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, cast

from pipecat.processors.frame_processor import FrameProcessor


class _Tasks(Protocol):
    def create_task(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]: ...
    async def cancel_task(self, task: asyncio.Task[None]) -> None: ...


class Stage(FrameProcessor):
    """Has one loop that begins with the pipeline and does not outlive it."""

    def __init__(self) -> None:
        # Pipecat leaves its keyword arguments untyped.
        cast("Any", super()).__init__()
        self._loop_task: asyncio.Task[None] | None = None

    def begin_loop(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` beside the frames."""
        self._loop_task = cast("_Tasks", self).create_task(work, name)

    async def end_loop(self) -> None:
        """Cancel it. Idempotent."""
        task, self._loop_task = self._loop_task, None
        if task is not None:
            await cast("_Tasks", self).cancel_task(task)

    async def cleanup(self) -> None:
        """Let the loop not outlive the pipeline."""
        await super().cleanup()
        await self.end_loop()
