"""A task row under its lock, and what one transaction makes of it.

All changes of a task go through here: the row, its events with gap-free numbers, and the attempt that ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import JsonValue
from sqlalchemy import bindparam, insert, select, update

from infra.state_store import Topic
from infra.state_stores.database import Fields, Transaction
from infra.state_stores.tables import NOW, attempts, dead_letters, events, tasks, todos
from schemas.event import EventType, NewEvent
from schemas.failure import Failure
from schemas.state import TERMINAL, TaskState, advance
from schemas.todo import TodoItem

#: The row, locked where the database locks rows, with the time by the database's clock.
LOCKED = select(tasks, NOW.label("now"))
_LOCK_ONE = LOCKED.where(tasks.c.id == bindparam("key")).with_for_update()
_CREATE = insert(tasks)
_SAVE = update(tasks).where(tasks.c.id == bindparam("key"))
_APPEND = insert(events)
_SAVE_TODO = (
    update(todos)
    .where(todos.c.task_id == bindparam("of_task"), todos.c.key == bindparam("of_key"))
    .values(state=bindparam("new_state"), durable=bindparam("new_durable"), epoch=bindparam("new_epoch"))
)
_END_ATTEMPT = (
    update(attempts)
    .where(attempts.c.task_id == bindparam("of_task"), attempts.c.epoch == bindparam("of_epoch"))
    .values(ended_at=bindparam("now"), outcome=bindparam("new_outcome"), failure=bindparam("new_failure"))
)
_FILE = insert(dead_letters).values(at=NOW)
#: Bounds of a dead letter, in characters.
_REASON_CHARS, _BODY_CHARS = 4_096, 65_536


class Draft:
    """One task in one transaction. `row` is the row as `save` will leave it."""

    def __init__(self, tx: Transaction, row: Fields) -> None:
        self.row = dict(row)
        self.now: float = self.row.pop("now")
        self._tx = tx
        self._changes: dict[str, Any] = {}
        self._events: list[NewEvent] = []

    @classmethod
    def lock(cls, tx: Transaction, task_id: str) -> Draft | None:
        """Lock the task's row; None if there is no such task."""
        row = tx.row(_LOCK_ONE, {"key": task_id})
        return None if row is None else cls(tx, row)

    @property
    def id(self) -> str:
        """The task's id."""
        return self.row["id"]

    @property
    def state(self) -> TaskState:
        """The task's state."""
        return TaskState(self.row["state"])

    @property
    def last_failure(self) -> Failure | None:
        """The last known failure."""
        return None if self.row["failure"] is None else Failure.model_validate(self.row["failure"])

    def set(self, **values: object) -> None:
        """Change columns."""
        self.row.update(values)
        self._changes.update(values)

    def emit(self, kind: EventType, **data: JsonValue) -> None:
        """Append an event."""
        self._events.append(NewEvent(type=kind, data=data))

    def append(self, new: Sequence[NewEvent]) -> None:
        """Append events."""
        self._events.extend(new)

    def enter(self, state: TaskState, failure: Failure | None = None) -> None:
        """Change the state and append the event; a terminal state also ends the task.

        Raises:
            IllegalTransitionError: the table does not allow it.
        """
        before = self.state
        self.set(state=advance(before, state).value)
        told = {} if failure is None else {"failure": failure.model_dump(mode="json")}
        self.emit(EventType.STATE, **{"from": before.value, "to": state.value}, **told)
        if state in TERMINAL:
            self.set(lease_owner=None, due_at=None, finished_at=self.now)

    def fail(self, failure: Failure | None) -> None:
        """Note why the last attempt ended; None forgets it."""
        self.set(failure=None if failure is None else failure.model_dump(mode="json"))

    def end_attempt(self, outcome: str, failure: Failure | None) -> None:
        """Close the row of the attempt that holds or held the lease."""
        values = {"of_task": self.id, "of_epoch": self.row["epoch"], "now": self.now, "new_outcome": outcome}
        told = None if failure is None else failure.model_dump(mode="json")
        self._tx.run(_END_ATTEMPT, {**values, "new_failure": told})

    def save_todos(self, items: Sequence[TodoItem]) -> None:
        """Write these items of the TODO list."""
        if items:
            self._tx.run(
                _SAVE_TODO,
                [
                    {
                        "of_task": self.id,
                        "of_key": x.key,
                        "new_state": x.state.value,
                        "new_durable": x.durable,
                        "new_epoch": x.epoch,
                    }
                    for x in items
                ],
            )

    def create(self) -> None:
        """Insert the row, which is new, and its first events."""
        self.row["seq"] = len(self._events)
        self._tx.run(_CREATE, self.row)
        self._append_from(1)
        self._changes = {}

    def save(self) -> None:
        """Write the row and its events, numbered on from the last one."""
        first = self.row["seq"] + 1
        if self._events:
            self.set(seq=self.row["seq"] + len(self._events))
            self._append_from(first)
        if self._changes:
            self._tx.run(_SAVE, {**self._changes, "key": self.id})
            self._changes = {}

    def _append_from(self, first: int) -> None:
        self._tx.run(
            _APPEND,
            [
                {
                    "task_id": self.id,
                    "seq": first + number,
                    "epoch": self.row["epoch"],
                    "type": event.type.value,
                    "data": event.data,
                    "at": self.now,
                }
                for number, event in enumerate(self._events)
            ],
        )
        self._events = []
        self._tx.topics.add(Topic.EVENT)


def file_dead_letter(tx: Transaction, source: str, reason: str, body: str, task_id: str | None) -> None:
    """File work that cannot be done, within bounds."""
    letter = {"source": source, "reason": reason[:_REASON_CHARS], "body": body[:_BODY_CHARS], "task_id": task_id}
    tx.run(_FILE, letter)
