"""A task as the outside sees it: one shape for ``--json`` on the command line and for the HTTP door.

Flat, with the derived values (progress, result) filled in, so that no client has to know our rules.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from schemas.failure import Failure
from schemas.paths import Remote
from schemas.record import OutputRecord, TaskRecord
from schemas.state import TaskState
from schemas.task import TaskDocument
from schemas.todo import TodoItem


class TaskSummary(BaseModel):
    """One row of a list of tasks."""

    id: str
    name: str
    workflow: str
    queue: str  # the class of nodes that may run it
    template: str | None
    session: str | None
    state: TaskState
    progress: float  # percent, 0-100
    message: str | None  # the latest milestone or notice
    result: str | None  # the one-line result, where there is one
    node: str | None
    cancel_requested: bool
    seq: int  # number of the latest event
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class OutputView(BaseModel):
    """An object that the task stored."""

    remote: Remote
    size_bytes: int
    sha256: str
    line: str | None
    log: bool


class TaskView(TaskSummary):
    """Everything about one task."""

    epoch: int  # attempts that were started
    attempts: int  # attempts that ended in a failure which counts
    max_attempts: int
    nodes_lost: int
    failure: Failure | None
    todos: tuple[TodoItem, ...]
    outputs: tuple[OutputView, ...]
    document: TaskDocument


def summary(record: TaskRecord) -> TaskSummary:
    """The row of `record` in a list."""
    return TaskSummary(**_shared(record))


def view(record: TaskRecord) -> TaskView:
    """All of `record`."""
    return TaskView(
        **_shared(record),
        epoch=record.epoch,
        attempts=record.attempts,
        max_attempts=record.document.max_attempts,
        nodes_lost=record.nodes_lost,
        failure=record.failure,
        todos=record.todos,
        outputs=tuple(_output(x) for x in record.outputs),
        document=record.document,
    )


def _shared(record: TaskRecord) -> dict[str, Any]:
    task = record.document
    return {
        "id": record.id,
        "name": task.name,
        "workflow": task.workflow,
        "queue": record.queue,
        "template": task.tags.get("template"),
        "session": task.session,
        "state": record.state,
        "progress": round(record.progress, 1),
        "message": record.message,
        "result": record.result,
        "node": record.node,
        "cancel_requested": record.cancel_requested,
        "seq": record.seq,
        "created_at": record.created_at,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
    }


def _output(record: OutputRecord) -> OutputView:
    return OutputView(
        remote=record.remote, size_bytes=record.size_bytes, sha256=record.sha256, line=record.line, log=record.log
    )
