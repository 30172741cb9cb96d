"""One wait for one message from a broker that pushes: subscribe, receive at most one, unsubscribe.

No message is lost whenever the wait ends, by a message, a deadline or a cancellation: what arrives too late goes back.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from infra.renewal import in_background

M = TypeVar("M")


class LaneLostError(Exception):
    """The channel broke, or the broker ended the subscription."""


class Lane(Protocol[M]):
    """A channel that pushes no message while one is unacknowledged. Its methods set `lost` instead of raising."""

    lost: asyncio.Event

    async def subscribe(self, tag: str, arrived: Callable[[M], Awaitable[None]]) -> None:
        """Let messages be pushed to `arrived`."""
        ...

    async def unsubscribe(self, tag: str, *, at_once: bool) -> None:
        """Stop that; what was pushed before has arrived when this returns, unless it need only be sent `at_once`."""
        ...

    async def give_back(self, message: M) -> None:
        """Requeue a message."""
        ...


class Subscription(Generic[M]):
    """One wait for one message."""

    def __init__(self, lane: Lane[M]) -> None:
        self._lane = lane
        self._message: asyncio.Future[M] = asyncio.get_running_loop().create_future()
        self._wanted = True
        self._ending = asyncio.Event()
        #: Subscribes and unsubscribes; a task, so that no caller's cancellation cuts a conversation.
        self.life = asyncio.create_task(self._live())

    async def message(self, deadline: float) -> M | None:
        """The message, or None at the `deadline` on the loop's clock. Cancelling gives a message back.

        Raises:
            LaneLostError: no message will come.
        """
        lost = asyncio.create_task(self._lane.lost.wait())
        try:
            left = max(0.0, deadline - asyncio.get_running_loop().time())
            await asyncio.wait({self._message, lost}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            self._ending.set()
            if not self._message.done() and not lost.done():
                await asyncio.wait({self.life, lost}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._ending.set()
            if self._message.done():
                in_background(self._give_back(self._message.result()))
            raise
        finally:
            self._wanted = False
            lost.cancel()
        if self._message.done():
            return self._message.result()
        if self._lane.lost.is_set():
            raise LaneLostError
        return None

    async def _live(self) -> None:
        tag = secrets.token_hex(8)
        await self._lane.subscribe(tag, self._arrived)
        await self._ending.wait()
        await self._lane.unsubscribe(tag, at_once=self._message.done())

    async def _arrived(self, message: M) -> None:
        if self._wanted and not self._message.done():
            self._message.set_result(message)
        else:
            in_background(self._give_back(message))

    async def _give_back(self, message: M) -> None:
        await self.life
        await self._lane.give_back(message)
