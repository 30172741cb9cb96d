"""One session's tasks in memory, with the store's promises that the voice relies on: gapless `seq`, wake-ups, fencing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.errors import LeaseLost
from infra.state_store import Listener, Topic
from schemas.event import Event, EventType
from schemas.failure import Cause, Failure
from schemas.paths import Remote
from schemas.record import OutputRecord, SessionRecord, TaskRecord
from schemas.state import TaskState
from schemas.task import Command, TaskDocument

START = datetime(2026, 1, 1, tzinfo=UTC)


def document(name: str, **tags: str) -> TaskDocument:
    return TaskDocument(name=name, image="alpine:3", commands=(Command(command=("true",)),), tags=tags)


class SessionLog:
    """Append events with `accept`, `progress`, `complete`, `fail`…; read like the state store."""

    def __init__(self) -> None:
        self.records: dict[str, TaskRecord] = {}
        self.log: dict[str, list[Event]] = {}
        self.sessions: dict[str, SessionRecord] = {}
        self._news: set[asyncio.Event] = set()

    def append(self, task_id: str, kind: EventType, data: dict[str, Any], **changes: Any) -> Event:
        events = self.log[task_id]
        at = START + timedelta(seconds=sum(map(len, self.log.values())))
        event = Event(task_id=task_id, seq=len(events) + 1, epoch=1, at=at, type=kind, data=data)
        events.append(event)
        self.records[task_id] = self.records[task_id].model_copy(update={"seq": event.seq, **changes})
        for news in self._news:
            news.set()
        return event

    def accept(self, task_id: str, name: str | None = None, **tags: str) -> TaskRecord:
        created = START + timedelta(seconds=len(self.records))
        task = document(name or task_id, session="s", **tags)
        self.records[task_id] = TaskRecord(id=task_id, document=task, state=TaskState.QUEUED, seq=0, created_at=created)
        self.log[task_id] = []
        self.append(task_id, EventType.ACCEPTED, {"name": task.name})
        return self.records[task_id]

    def progress(self, task_id: str, message: str, percent: float = 50) -> None:
        data = {"percent": percent, "message": message}
        self.append(task_id, EventType.PROGRESS, data, percent=percent, message=message, state=TaskState.RUNNING)

    def todo(self, task_id: str) -> None:
        self.append(task_id, EventType.TODO, {"item": "command:0", "title": "x", "state": "completed"})

    def complete(self, task_id: str, result: str | None = None) -> None:
        remote = Remote.parse(f"sisyphus:results/{task_id}.txt")
        output = OutputRecord(remote=remote, staged=remote, epoch=1, size_bytes=1, sha256="0" * 64, line=result)
        self._end(task_id, TaskState.COMPLETE, outputs=(output,), committed=True)

    def fail(self, task_id: str, cause: Cause = Cause.TIMEOUT) -> None:
        state = TaskState.EXECUTOR_ERROR if cause is Cause.TIMEOUT else TaskState.SYSTEM_ERROR
        self._end(task_id, state, failure=Failure(cause=cause, message="why"))

    def cancel(self, task_id: str) -> None:
        self._end(task_id, TaskState.CANCELED)

    def _end(self, task_id: str, state: TaskState, **changes: Any) -> None:
        data = {"from": self.records[task_id].state.value, "to": state.value}
        self.append(task_id, EventType.STATE, data, state=state, **changes)

    async def find(
        self,
        *,
        states: Collection[TaskState] = (),
        session: str | None = None,
        workflow: str | None = None,
        limit: int = 50,
    ) -> list[TaskRecord]:
        return list(reversed(self.records.values()))[:limit]

    async def load(self, task_id: str) -> TaskRecord | None:
        return self.records.get(task_id)

    async def events(self, task_id: str, after: int = 0, limit: int = 500) -> list[Event]:
        return self.log[task_id][after : after + limit]

    @asynccontextmanager
    async def listen(self, *topics: Topic) -> AsyncGenerator[Listener]:
        news = asyncio.Event()
        self._news.add(news)

        class Woken:
            async def wait(self, timeout_s: float) -> bool:
                try:
                    await asyncio.wait_for(news.wait(), timeout_s)
                except TimeoutError:
                    return False
                news.clear()
                return True

        try:
            yield Woken()
        finally:
            self._news.discard(news)

    async def open_session(self, session_id: str) -> SessionRecord:
        known = self.sessions.get(session_id, SessionRecord(id=session_id, epoch=0))
        self.sessions[session_id] = known.model_copy(update={"epoch": known.epoch + 1})
        return self.sessions[session_id]

    async def save_session(self, record: SessionRecord) -> None:
        if self.sessions[record.id].epoch != record.epoch:
            raise LeaseLost(record.id)
        self.sessions[record.id] = record
