"""How a call ends: one way, entered once, in an order in which nothing is sent after the close and nothing hangs.

When we end: stop intake, let what is known be said, end the pipeline (cancel it if it is late), shut the gate,
checkpoint.
When the client is gone: shut the gate first, cancel, checkpoint. Every wait has a deadline; a pipeline that takes no
notice of being cancelled is abandoned; running tasks go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from enum import StrEnum
from typing import Protocol

from infra.errors import LeaseLost, SisyphusError
from infra.log import get_logger

log = get_logger(__name__)

#: Seconds for each step.
_DRAIN_S, _END_S, _CANCEL_S, _ABANDON_S, _CHECKPOINT_S = 2.0, 3.0, 5.0, 3.0, 3.0


class Reason(StrEnum):
    """Why a call ends."""

    GONE = "gone"  # the client left or vanished
    TAKEN_OVER = "taken_over"  # the session was opened again elsewhere
    STOPPING = "stopping"  # this process ends
    DONE = "done"  # what the call was for is done
    FAILED = "failed"  # something here broke


#: Reasons for which there may still be somebody who listens.
_LISTENING = frozenset({Reason.STOPPING, Reason.DONE, Reason.TAKEN_OVER})


class Closable(Protocol):
    """A call that can be closed. Each step is idempotent."""

    def stop_intake(self) -> None:
        """Take no more turns."""
        ...

    async def drain(self, timeout_s: float) -> None:
        """Let what is known be said, at most so long."""
        ...

    async def end(self) -> None:
        """Let the pipeline play what it holds and end; returns when it has ended."""
        ...

    async def cancel(self) -> None:
        """Stop the pipeline; returns when it has stopped."""
        ...

    async def abandon(self) -> None:
        """End the pipeline whatever state it is in; returns when it has ended."""
        ...

    def shut_gate(self) -> None:
        """Send nothing to the client any more."""
        ...

    async def checkpoint(self) -> None:
        """Write the session's record. Raises LeaseLost, StateStoreError."""
        ...


class Closer:
    """Closes one call. However often and by whomever `close` is called, it happens once."""

    def __init__(self, call: Closable) -> None:
        self._call = call
        self._closing: asyncio.Task[None] | None = None
        self.reason: Reason | None = None

    def begin(self, reason: Reason) -> asyncio.Task[None]:
        """Start closing; the first reason counts."""
        if self._closing is None:
            self.reason = reason
            self._closing = asyncio.create_task(self._close(reason), name=f"close:{reason.value}")
        return self._closing

    async def close(self, reason: Reason) -> None:
        """Close and return when it is done, also when the caller is cancelled meanwhile."""
        await asyncio.shield(self.begin(reason))

    async def _close(self, reason: Reason) -> None:
        call = self._call
        log.info("call_closing", reason=reason.value)
        call.stop_intake()
        has_ended = False
        if reason in _LISTENING:
            if reason is not Reason.TAKEN_OVER:
                await call.drain(_DRAIN_S)
            has_ended = await self._within("end", call.end(), _END_S)
        call.shut_gate()
        has_ended = has_ended or await self._within("cancel", call.cancel(), _CANCEL_S)
        if not has_ended:
            await self._within("abandon", call.abandon(), _ABANDON_S)
        if reason is not Reason.TAKEN_OVER:
            await self._checkpoint()

    async def _within(self, step: str, work: Coroutine[object, object, None], timeout_s: float) -> bool:
        task = asyncio.create_task(work, name=f"close:{step}")
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
        if not done:
            task.cancel()
            log.warning("close_step_late", step=step, timeout_s=timeout_s, consequence="the next, harder step")
        return bool(done) and task.exception() is None

    async def _checkpoint(self) -> None:
        try:
            async with asyncio.timeout(_CHECKPOINT_S):
                await self._call.checkpoint()
        except LeaseLost:
            log.info("checkpoint_left_to_successor")
        except (SisyphusError, TimeoutError) as error:
            log.warning("checkpoint_failed", error=repr(error), consequence="a sentence may be said twice")
