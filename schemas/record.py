"""What the store says about a task, an attempt's output and a node: the read side of everything.

A `TaskRecord` is a snapshot at one version; `seq` is that version, the number of the task's last event.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, JsonValue

from schemas.document import Document
from schemas.failure import Failure
from schemas.ids import DEFAULT_QUEUE, NodeId, SessionId, TaskId
from schemas.paths import Remote
from schemas.state import TERMINAL, TaskState
from schemas.task import TaskDocument
from schemas.todo import TodoItem, fraction


class OutputRecord(Document):
    """One object of a commit manifest: where it was staged, where it ends, and what it must be.

    Attributes:
        remote: the final key; for a directory output there is one record per file.
        staged: the key below ``.sisyphus/<task>/<epoch>/`` from which it is promoted.
        sha256: lower-case hex digest of the content.
        line: the content itself where it is one short line of text, so that a result can be shown and spoken.
        log: it is a ``>>`` capture, stored even when the task failed.
    """

    remote: Remote
    staged: Remote
    epoch: int
    size_bytes: int
    sha256: str
    line: str | None = None
    log: bool = False


class TaskRecord(Document):
    """A task as the database has it."""

    id: TaskId
    document: TaskDocument
    queue: str = DEFAULT_QUEUE  # only nodes of this class claim it
    state: TaskState
    seq: int
    epoch: int = 0
    attempts: int = 0  # attempts that ended in a failure which counts against max_attempts
    nodes_lost: int = 0
    node: NodeId | None = None
    percent: float | None = None  # 0-100 as the task itself reported it
    message: str | None = None  # its latest milestone or notice
    cancel_requested: bool = False
    committed: bool = False  # the manifest is in the database: only promotion is left
    failure: Failure | None = None
    todos: tuple[TodoItem, ...] = ()
    outputs: tuple[OutputRecord, ...] = ()
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will ever change again."""
        return self.state in TERMINAL

    @property
    def progress(self) -> float:
        """Percent done, 0-100: what the task reported or its completed TODO items, whichever is further."""
        if self.state is TaskState.COMPLETE:
            return 100.0
        return max(self.percent or 0.0, 100.0 * fraction(self.todos))

    @property
    def result(self) -> str | None:
        """The first output that is a single line of text, in the document's order; it is shown and spoken."""
        lines = [x.line for x in self.outputs if x.line is not None]
        return lines[0] if self.state is TaskState.COMPLETE and lines else None


class NodeRecord(Document):
    """A worker node as its peers and the operator see it."""

    id: NodeId
    queue: str = DEFAULT_QUEUE  # its worker class
    slots: int
    busy: int
    draining: bool
    runtime: str
    seen_s: float  # seconds since its last heartbeat, by the database's clock


class SessionRecord(Document):
    """A voice session as it survives its connection.

    Attributes:
        epoch: rises at every connect; writes of an older epoch are refused, so two nodes never speak for one session.
        spoken: per task, the `seq` up to which its events have been played out.
    """

    id: SessionId
    epoch: int
    spoken: dict[str, int] = Field(default_factory=dict)
    data: dict[str, JsonValue] = Field(default_factory=dict)


class DeadLetter(Document):
    """Work that was given up, with the reason; nothing is lost silently."""

    task_id: TaskId | None
    source: str  # "broker", "poison"
    reason: str
    body: str
    at: datetime
