"""Bounds the long answers of the door: how many at a time, and that they end when the process is asked to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Literal, TypeVar

from fastapi import Request
from starlette.exceptions import HTTPException

#: Streams at the same time; each holds a connection and a listener on the state store.
MAX_STREAMS = 100

Item = TypeVar("Item")


class Streams:
    """Counts open streams."""

    def __init__(self, stopping: asyncio.Event, limit: int = MAX_STREAMS) -> None:
        self._stopping, self._limit = stopping, limit
        self._open = 0

    def admit(self) -> None:
        """Check before the answer starts, since afterwards its status cannot change.

        Raises:
            HTTPException: 503, the limit is reached.
        """
        if self._open >= self._limit:
            detail = f"{self._limit} streams are open already; ask for JSON instead, or try again later"
            raise HTTPException(503, detail, headers={"Retry-After": "5"})

    async def bounded(self, source: AsyncIterator[Item]) -> AsyncGenerator[Item]:
        """The items of `source`, until it ends or the process is asked to stop; `source` is closed then."""
        self._open += 1
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            while (item := await self._next(source, stop)) is not None:
                yield item
        finally:
            self._open -= 1
            stop.cancel()
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    @staticmethod
    async def _next(source: AsyncIterator[Item], stop: asyncio.Future[Literal[True]]) -> Item | None:
        """The next item, or None at the end or at the stop."""
        step = asyncio.ensure_future(anext(source, None))
        try:
            await asyncio.wait({step, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not step.done():
                step.cancel()
                await asyncio.wait({step})
        return None if step.cancelled() else step.result()


def streams_of(request: Request) -> Streams:
    """The counter of a request's application."""
    streams: Streams = request.app.state.streams
    return streams
