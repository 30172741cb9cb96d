"""Rows to records and back. A task's document never changes, so the parsed ones are kept for a while."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Any, TypeAlias

from pydantic import TypeAdapter
from sqlalchemy import BindParameter, Text, bindparam, select

from infra.state_stores.database import Fields, Transaction
from infra.state_stores.tables import documents, outputs, tasks, todos
from schemas.legacy import parse_task
from schemas.record import OutputRecord, TaskRecord
from schemas.task import TaskDocument
from schemas.todo import TodoItem

_TODOS = TypeAdapter(tuple[TodoItem, ...])
_OUTPUTS = TypeAdapter(tuple[OutputRecord, ...])
_TODO_COLUMNS = [todos.c[name] for name in ("task_id", "key", "kind", "index", "title", "state", "durable", "epoch")]
_OUTPUT_COLUMNS = [c for c in outputs.c if c.name != "position"]
_RECORD_FIELDS = (
    *("id", "queue", "state", "seq", "epoch", "attempts", "nodes_lost", "percent", "message"),
    *("cancel_requested", "committed", "failure"),
)

_IDS: BindParameter[str] = bindparam("ids", type_=Text(), expanding=True)
_TODOS_OF = select(*_TODO_COLUMNS).where(todos.c.task_id.in_(_IDS)).order_by(todos.c.task_id, todos.c.position)
_OUTPUTS_OF = (
    select(*_OUTPUT_COLUMNS).where(outputs.c.task_id.in_(_IDS)).order_by(outputs.c.task_id, outputs.c.position)
)
_DOCUMENTS_OF = select(documents).where(documents.c.task_id.in_(_IDS))
_TODOS_OF_ONE = select(*_TODO_COLUMNS).where(todos.c.task_id == bindparam("id")).order_by(todos.c.position)
LOAD_TASK = select(tasks).where(tasks.c.id == bindparam("id"))

#: The parsed documents that are kept: how many, and how long their JSON may be together. A large one is worth keeping
#: most of all: to check a thousand paths against one another takes a while.
_KEPT, _KEPT_CHARS = 256, 2_097_152


#: A task: its id may come again when it has been removed, its creation does not.
Key: TypeAlias = tuple[str, float]


def key_of(row: Fields) -> Key:
    """What tells the task of this row from every other that there was or will be."""
    return row["id"], row["created_at"]


class DocumentCache:
    """Parsed documents by task, the most recently used ones. Safe from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[TaskDocument, int]] = OrderedDict()
        self._chars = 0
        self._lock = Lock()

    def get(self, key: Key) -> TaskDocument | None:
        """The document, if it is kept."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def parse(self, key: Key, text: str) -> TaskDocument:
        """The document that was stored as `text`."""
        document = parse_task(json.loads(text))
        self.keep(key, document, len(text))
        return document

    def keep(self, key: Key, document: TaskDocument, chars: int) -> None:
        """Keep a document for the next `get`, in place of those that were not used for the longest time."""
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = (document, chars)
            self._chars += chars
            while self._kept and (len(self._kept) > _KEPT or self._chars > _KEPT_CHARS):
                _, (_, gone) = self._kept.popitem(last=False)
                self._chars -= gone


def moment(seconds: float | None) -> datetime | None:
    """A stored time."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def load_todos(tx: Transaction, task_id: str) -> tuple[TodoItem, ...]:
    """A task's TODO list in order."""
    return _todo_items(tx.rows(_TODOS_OF_ONE, {"id": task_id}))


def load_records(tx: Transaction, rows: Sequence[Fields], cache: DocumentCache) -> list[TaskRecord]:
    """The records of these rows of `tasks`, in their order."""
    ids = [row["id"] for row in rows]
    if not ids:
        return []
    items = _grouped(tx.rows(_TODOS_OF, {"ids": ids}))
    committed = [row["id"] for row in rows if row["committed"]]
    files = _grouped(tx.rows(_OUTPUTS_OF, {"ids": committed})) if committed else {}
    keys = {row["id"]: key_of(row) for row in rows}
    known = {task_id: cache.get(key) for task_id, key in keys.items()}
    missing = [task_id for task_id, document in known.items() if document is None]
    for row in tx.rows(_DOCUMENTS_OF, {"ids": missing}) if missing else ():
        known[row["task_id"]] = cache.parse(keys[row["task_id"]], row["document"])
    return [
        _record(row, known[row["id"]], _todo_items(items.get(row["id"], ())), files.get(row["id"], ())) for row in rows
    ]


def build_record(tx: Transaction, row: Fields, items: tuple[TodoItem, ...], cache: DocumentCache) -> TaskRecord:
    """The record of a row whose TODO list is known."""
    task_id, key = row["id"], key_of(row)
    document = cache.get(key)
    if document is None:
        document = cache.parse(key, load_document(tx, task_id))
    files = tx.rows(_OUTPUTS_OF, {"ids": [task_id]}) if row["committed"] else ()
    return _record(row, document, items, files)


def load_document(tx: Transaction, task_id: str) -> str:
    """A task's document as it was stored."""
    return tx.rows(_DOCUMENTS_OF, {"ids": [task_id]})[0]["document"]


def load_outputs(tx: Transaction, task_id: str) -> tuple[OutputRecord, ...]:
    """A task's manifest in order."""
    return _output_records(tx.rows(_OUTPUTS_OF, {"ids": [task_id]}))


def output_row(task_id: str, position: int, output: OutputRecord) -> dict[str, Any]:
    """A manifest entry as a row."""
    return {**output.model_dump(mode="json"), "task_id": task_id, "position": position}


def _record(
    row: Fields,
    document: TaskDocument | None,
    items: tuple[TodoItem, ...],
    files: Iterable[Fields],
) -> TaskRecord:
    return TaskRecord.model_validate(
        {
            **{name: row[name] for name in _RECORD_FIELDS},
            "document": document,
            "node": row["lease_owner"],
            "todos": items,
            "outputs": _output_records(files),
            "created_at": moment(row["created_at"]),
            "started_at": moment(row["started_at"]),
            "finished_at": moment(row["finished_at"]),
        }
    )


def _grouped(rows: Iterable[Fields]) -> dict[str, list[Fields]]:
    groups: dict[str, list[Fields]] = {}
    for row in rows:
        groups.setdefault(row["task_id"], []).append(row)
    return groups


def _todo_items(rows: Iterable[Fields]) -> tuple[TodoItem, ...]:
    return _TODOS.validate_python([_without_task(row) for row in rows])


def _output_records(rows: Iterable[Fields]) -> tuple[OutputRecord, ...]:
    return _OUTPUTS.validate_python([_without_task(row) for row in rows])


def _without_task(row: Fields) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "task_id"}
