"""Admission: exactly so many sessions at a time, and never two connections that speak for one session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from pydantic import JsonValue

from infra.errors import TransientError
from infra.log import get_logger
from voice.services.memory import return_memory
from voice.session.closer import Reason
from voice.session.main import Call

log = get_logger(__name__)

#: Seconds for which a new connection of a session waits for the older one to be gone.
_HANDOVER_S = 1.0
#: Seconds between two looks at whether calls have left memory behind, and at which of them it is returned.
_LOOK_EVERY_S, _LOOKS_AFTER, _LOOKS_IN_CALL = 5.0, 2, 12


class LinesBusyError(TransientError):
    """All lines are taken."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{'The only line is' if limit == 1 else f'All {limit} lines are'} taken. Please try again in a moment; "
            "SISYPHUS_SESSIONS on the server allows more."
        )


class Ticket:
    """The right to run one call. `older` is the session's former connection, which must fall silent first."""

    def __init__(self, session: str, older: Ticket | None = None) -> None:
        self.session, self.older = session, older
        self.call: Call | None = None
        self.ended = asyncio.Event()


class Calls:
    """The calls of this process, one ticket per session."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tickets: dict[str, Ticket] = {}
        self._is_draining = False
        # Looks at memory since a call last began or ended, and whether there was one since memory was returned.
        self._looks, self._has_left_memory = 0, False

    def __len__(self) -> int:
        return len(self._tickets)

    def admit(self, session: str) -> Ticket:
        """Take a line at once, or be refused; a session that is here already keeps its own.

        Raises:
            LinesBusyError: all lines are taken, or the server is stopping.
        """
        if self._is_draining or (session not in self._tickets and len(self._tickets) >= self._limit):
            raise LinesBusyError(self._limit)
        older = self._tickets.get(session)
        if older is not None and older.call is not None:
            older.call.closer.begin(Reason.TAKEN_OVER)
        self._looks, self._has_left_memory = 0, True
        ticket = self._tickets[session] = Ticket(session, older)
        return ticket

    def transcript(self, session: str) -> list[dict[str, JsonValue]] | None:
        """The conversation of a session that is in a call here, some of it perhaps not stored yet; else None."""
        ticket = self._tickets.get(session)
        while ticket is not None and ticket.call is None:
            ticket = ticket.older
        return ticket.call.book.transcript if ticket is not None and ticket.call is not None else None

    @asynccontextmanager
    async def running(self, ticket: Ticket, call: Call) -> AsyncGenerator[None]:
        """Hold the line while the call runs; it is given back however that ends."""
        ticket.call = call
        try:
            if self._tickets.get(ticket.session) is not ticket:
                call.closer.begin(Reason.TAKEN_OVER)
            elif ticket.older is not None:
                await _silent(ticket.older)
            ticket.older = None
            yield
        finally:
            self.release(ticket)

    def release(self, ticket: Ticket) -> None:
        """Give the line back. Idempotent."""
        ticket.ended.set()
        self._looks = 0
        if self._tickets.get(ticket.session) is ticket:
            del self._tickets[ticket.session]

    async def return_memory(self) -> None:
        """Return memory when the last call has been gone for a while, and now and then during calls. Never ends."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self._looks += 1
            if self._has_left_memory and self._looks >= (_LOOKS_IN_CALL if self._tickets else _LOOKS_AFTER):
                self._looks, self._has_left_memory = 0, bool(self._tickets)
                await asyncio.to_thread(return_memory)

    async def close(self) -> None:
        """Take no more calls, and end those that run, each in a bounded time."""
        self._is_draining = True
        calls = [ticket.call for ticket in self._tickets.values() if ticket.call is not None]
        await asyncio.gather(*(call.closer.close(Reason.STOPPING) for call in calls), return_exceptions=True)


async def _silent(older: Ticket) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_HANDOVER_S):
            await older.ended.wait()
