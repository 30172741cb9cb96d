"""The attempt's pen: every write of one attempt goes through here, fenced, in order, with few transactions.

Milestones that a command prints are gathered and written at most five times a second; any other write takes the
gathered ones along, so that the order of events is the order in which things happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from infra.errors import CancelRequested, LeaseLost, SisyphusError
from infra.log import get_logger
from infra.state_store import Change, StateStore
from schemas.event import EventType, NewEvent
from schemas.lease import Lease
from schemas.record import TaskRecord
from schemas.todo import ItemState

log = get_logger(__name__)

#: Pause between two writes of gathered milestones, in seconds.
FLUSH_S = 0.2
#: Milestones kept between two writes and per attempt. Beyond that only the latest is kept, written now and then:
#: a command that floods loses most of what it said, but its progress never stands still.
MAX_PENDING, MAX_EVENTS, LATE_S = 64, 2000, 10.0
_TOLD = frozenset({EventType.PROGRESS, EventType.NOTICE})


class Journal:
    """Writes of one attempt. Raises LeaseLost and CancelRequested as `StateStore.record` does."""

    def __init__(self, store: StateStore, lease: Lease, record: TaskRecord) -> None:
        self.lease, self.record = lease, record
        self._store = store
        self._pending: list[NewEvent] = []
        self._late: NewEvent | None = None  # the latest beyond the bounds
        self._taken = 0
        self._is_lost = False
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()

    def abandon(self) -> None:
        """The lease is lost: nothing waits any more for a write that the database may never answer."""
        self._is_lost = True

    def todo(self, key: str) -> ItemState:
        """Where an item is."""
        return next(x.state for x in self.record.todos if x.key == key)

    def note(self, event: NewEvent) -> None:
        """Gather an event; it is written with the next change or by `flush_loop`. Never blocks."""
        self._wake.set()
        if event.type in _TOLD and (self._taken >= MAX_EVENTS or len(self._pending) >= MAX_PENDING):
            self._late = event
            return
        if self._late is not None:
            self._pending.append(self._late)
            self._late = None
        if event.type is EventType.PROGRESS and self._pending and self._pending[-1].type is EventType.PROGRESS:
            last = self._pending[-1].data
            if not event.data.get("message") or event.data.get("message") == last.get("message"):
                self._pending.pop()
                event = NewEvent(type=event.type, data={**last, "percent": event.data["percent"]})
                self._taken -= 1
        self._pending.append(event)
        self._taken += 1

    def _take(self) -> list[NewEvent]:
        gathered = [*self._pending, self._late] if self._late is not None else self._pending
        self._pending, self._late = [], None
        return gathered

    async def write(self, change: Change) -> TaskRecord:
        """Write a change, with what was gathered before it."""
        async with self._lock:
            gathered = self._take()
            writing = asyncio.ensure_future(self._store.record(self.lease, _with(change, gathered)))
            try:
                self.record = await asyncio.shield(writing)
            except asyncio.CancelledError:
                # A write that was begun is finished, so that the record here is what the database has.
                if self._is_lost:
                    writing.cancel()
                with suppress(Exception, asyncio.CancelledError):
                    self.record = await writing
                raise
            except SisyphusError:
                self._pending = [*gathered, *self._pending]  # said later: the database did not answer
                raise
            return self.record

    async def move(self, todos: Mapping[str, ItemState], change: Change | None = None) -> TaskRecord:
        """Move TODO items, leaving out those that are there already (a takeover finds them so)."""
        real = {key: state for key, state in todos.items() if self.todo(key) not in {state, ItemState.COMPLETED}}
        if not real and change is None:
            return self.record
        return await self.write(replace(change or Change(), todos=real))

    async def flush_loop(self) -> None:
        """Write gathered milestones as they come, until canceled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not (self._pending or self._late):
                continue  # another write took it along: sleeping now would hold up the next milestone
            await asyncio.sleep(FLUSH_S if self._pending else LATE_S)
            if not (self._pending or self._late):
                continue
            try:
                await self.write(Change())
            except (LeaseLost, CancelRequested):
                return  # the lease keeper and the recipe's own next write find out too, and act on it
            except SisyphusError as error:
                log.warning("milestones_not_stored", task_id=self.lease.task_id, error=str(error), consequence="later")
                self._wake.set()


def _with(change: Change, gathered: list[NewEvent]) -> Change:
    if not gathered:
        return change
    percent, message = change.percent, change.message
    for event in gathered:
        if event.type is EventType.PROGRESS:
            value = event.data.get("percent")
            percent = float(value) if isinstance(value, int | float) else percent
        text = event.data.get("message")
        if event.type in {EventType.PROGRESS, EventType.NOTICE} and isinstance(text, str) and text:
            message = text
    return replace(change, events=[*gathered, *change.events], percent=percent, message=message)
