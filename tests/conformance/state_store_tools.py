"""What the state store's tests share: a database with a side door, several stores on it, and lives of tasks."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

import asyncpg

from infra.state_store import Change, Claim, StateStore, open_state_store
from schemas.event import Event, EventType
from schemas.lease import Lease, LeaseTerms
from schemas.legacy import parse_task
from schemas.record import OutputRecord, TaskRecord
from schemas.state import TaskState
from schemas.task import TaskDocument
from schemas.todo import ItemState

TERMS = LeaseTerms()
#: Nodes that may be lost on one task.
LIMIT = 3


@dataclass(frozen=True)
class Database:
    """One test's database, and a second connection to it that belongs to nobody."""

    url: str
    scheme: str

    async def execute(self, sql: str) -> list[tuple[Any, ...]]:
        if self.scheme.startswith("sqlite"):
            with sqlite3.connect(self.url.partition("://")[2][1:], timeout=10) as raw:
                return raw.execute(sql).fetchall()
        raw = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await raw.fetch(sql)]
        finally:
            await raw.close()

    async def age(self, task_id: str, seconds: float = 3600) -> None:
        """Let that much time pass for a task's lease, hold or retry delay."""
        await self.execute(f"UPDATE tasks SET due_at = due_at - {seconds} WHERE id = '{task_id}'")


class Stores:
    """Opens any number of stores on one database, as so many nodes would."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._open: list[StateStore] = []

    async def open(self) -> StateStore:
        store = await open_state_store(self.database.url)
        self._open.append(store)
        return store

    async def close(self) -> None:
        for store in self._open:
            await store.close()


async def create_database(server: str, name: str, template: str) -> None:
    """A new database on a PostgreSQL server, as a copy of another."""
    raw = await asyncpg.connect(f"{server.replace('+asyncpg', '')}/postgres")
    try:
        await raw.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    finally:
        await raw.close()


def task(**changes: object) -> TaskDocument:
    """A task with one input, two commands and one output."""
    return parse_task(
        {
            "name": "count words",
            "image": "alpine:3",
            "inputs": {"sisyphus:in": "/in/a"},
            "outputs": {"sisyphus:out": "/out/b"},
            "commands": [{"title": "first", "command": ["true"]}, {"title": "second", "command": ["true"]}],
            **changes,
        }
    )


async def claim(store: StateStore, node: str = "node-1") -> Claim:
    """The one task that is due."""
    [found] = await store.claim(node, 10, TERMS, LIMIT)
    return found


async def claimed(store: StateStore, task_id: str = "t1", node: str = "node-1", **changes: object) -> Lease:
    """A new task that a node has just claimed."""
    _, found = await store.accept(task(**changes), task_id, node, TERMS)
    assert found is not None
    return found.lease


def manifest(epoch: int, line: str | None = "42", remote: str = "sisyphus:out") -> list[OutputRecord]:
    """The manifest of `task`'s one output."""
    staged = f"sisyphus:.sisyphus/t1/{epoch}/0-out"
    values = {"remote": remote, "staged": staged, "epoch": epoch, "size_bytes": 3, "sha256": "ab12", "line": line}
    return [OutputRecord.model_validate(values)]


async def bring(store: StateStore, lease: Lease, to: TaskState) -> TaskRecord:
    """Take a claimed task along the usual way up to a state."""
    done, begun = ItemState.COMPLETED, ItemState.IN_PROGRESS
    way = [
        Change(state=TaskState.RUNNING, todos={"stage_in:0": done, "command:0": begun}),
        Change(state=TaskState.COMMITTING, todos={"command:0": done, "command:1": done, "stage_out:0": begun}),
        Change(manifest=manifest(lease.epoch)),
        Change(state=TaskState.COMPLETE, todos={"stage_out:0": done}, durable=("stage_out:0",)),
    ]
    record = await store.load(lease.task_id)
    assert record is not None
    for change in way:
        if record.state is to:
            break
        record = await store.record(lease, change)
    assert record.state is to
    return record


async def told(store: StateStore, task_id: str = "t1") -> list[tuple[str, Any]]:
    """The events of a task, each as its type and what it is mostly about."""
    subject = {EventType.STATE: "to", EventType.TODO: "item", EventType.CLAIMED: "node", EventType.OUTPUT: "remote"}
    events = await store.events(task_id)
    assert_sound(events)
    return [(e.type.value, e.data.get(subject.get(e.type, "message"))) for e in events]


def assert_sound(events: list[Event]) -> None:
    """Numbers without gaps, and epochs that only rise."""
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert [e.epoch for e in events] == sorted(e.epoch for e in events)
