"""Port: the state store. The database is the truth; every write of a node is fenced by the epoch of its lease.

One door for each kind of writer: `submit` and `cancel` for people, `claim`, `renew` and `record` for nodes.
All times are the database's. Adapters run the conformance suite in ``tests/conformance/test_state_store_*.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from pydantic import JsonValue

from infra.registry import resolve
from schemas.event import Event, NewEvent
from schemas.failure import Failure
from schemas.ids import DEFAULT_QUEUE
from schemas.lease import Lease, LeaseTerms
from schemas.record import DeadLetter, NodeRecord, OutputRecord, SessionRecord, TaskRecord
from schemas.state import TaskState
from schemas.task import TaskDocument
from schemas.todo import ItemState


class Topic(StrEnum):
    """What a listener can be woken by."""

    WORK = "work"  # a task became claimable
    CANCEL = "cancel"  # somebody asked a running task to stop
    EVENT = "event"  # an event was appended


@dataclass(frozen=True, slots=True)
class Submission:
    """The outcome of `submit`: the record, and whether this call created it."""

    record: TaskRecord
    created: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease just granted, with the task as the new attempt finds it (TODO list already reopened)."""

    lease: Lease
    record: TaskRecord
    takeover: bool  # the former lease expired


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of a node's leases at a renewal."""

    kept: frozenset[str]  # task ids still held at the epoch that was given
    canceled: frozenset[str]  # those of `kept` whose cancel was requested


@dataclass(frozen=True, slots=True)
class Change:
    """Everything one fenced write may change, applied in one transaction.

    Attributes:
        state: the task's new state, checked against the transition table.
        todos: TODO item key -> new state; `durable` names those whose effect now outlives the node.
        events: appended in order, before the events that the change itself implies: they led to it.
        manifest: the outputs of this attempt; from now on only promotion is left and a cancel comes too late.
        retry_in_s: with state `retry_wait`: when it may be claimed again.
        counts: the failure counts against `max_attempts`.
    """

    state: TaskState | None = None
    todos: Mapping[str, ItemState] = field(default_factory=dict[str, ItemState])
    durable: Collection[str] = ()
    events: Sequence[NewEvent] = ()
    percent: float | None = None
    message: str | None = None
    failure: Failure | None = None
    manifest: Sequence[OutputRecord] | None = None
    retry_in_s: float = 0.0
    counts: bool = False
    dead_letter: str | None = None  # with a terminal state: also file it as a dead letter, with this reason


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of a task's output for live readers; `offset` counts characters from the start of the attempt."""

    epoch: int
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Outdated:
    """A task that ended long ago, and how many attempts it took: each may have left a log in the object store."""

    task_id: str
    epoch: int


class Listener(Protocol):
    """Woken when something of its topics may have changed.

    Spurious and merged wake-ups are allowed; a lost one costs no more than the caller's own time-out.
    """

    async def wait(self, timeout_s: float) -> bool:
        """Return True when woken, False after `timeout_s` seconds."""
        ...


class TaskIntake(Protocol):
    """What people and foreign producers do."""

    async def submit(
        self,
        task: TaskDocument,
        task_id: str,
        *,
        queue: str = DEFAULT_QUEUE,
        digest: str | None = None,
        redelivered: bool = False,
        hold_s: float = 0,
    ) -> Submission:
        """Insert the task, or find it. Idempotent by `task_id`. It is of the class `queue` unless it names another.

        A cancel that arrived before its task wins: the record comes back canceled. With `redelivered`, a task of the
        same `digest` that is not terminal is returned instead of a second one. For `hold_s` seconds only `claim_task`
        may claim it (the broker's turn).
        """
        ...

    async def accept(
        self,
        task: TaskDocument,
        task_id: str,
        node_id: str,
        terms: LeaseTerms,
        *,
        queue: str = DEFAULT_QUEUE,
        digest: str | None = None,
        redelivered: bool = False,
    ) -> tuple[Submission, Claim | None]:
        """`submit` and `claim_task` in one transaction, for a delivery to a node of the class `queue`.

        The claim is None if the task is not claimable, or of another class; it then waits for a node of that.
        """
        ...

    async def cancel(self, task_id: str, reason: str = "") -> TaskRecord | None:
        """Ask for a stop.

        Unclaimed tasks are canceled at once, running ones are flagged, an unknown id leaves a tombstone (None is
        returned). Idempotent; too late after the manifest is committed.
        """
        ...

    async def dead_letter(self, source: str, reason: str, body: str, task_id: str | None = None) -> None:
        """File work that cannot be done."""
        ...


class TaskReader(Protocol):
    """What anybody may read."""

    async def load(self, task_id: str) -> TaskRecord | None:
        """One task, or None."""
        ...

    async def find(
        self,
        *,
        states: Collection[TaskState] = (),
        session: str | None = None,
        workflow: str | None = None,
        limit: int = 50,
    ) -> list[TaskRecord]:
        """Tasks, newest first."""
        ...

    async def events(self, task_id: str, after: int = 0, limit: int = 500) -> list[Event]:
        """Events of one task with ``seq > after``, in order."""
        ...

    async def log(self, task_id: str, after: int = 0, limit: int = 200) -> list[tuple[int, LogChunk]]:
        """Log chunks numbered above `after`, in order, each with its number."""
        ...

    async def dead_letters(self, limit: int = 50) -> list[DeadLetter]:
        """Work that was given up, newest first."""
        ...

    async def nodes(self) -> list[NodeRecord]:
        """Nodes that gave a sign of life within ten lease terms."""
        ...


class LeaseStore(Protocol):
    """What nodes do. All but `claim` raise LeaseLost, or return less, when the epoch is not the current one."""

    async def claim(
        self, node_id: str, limit: int, terms: LeaseTerms, nodes_lost_limit: int, *, queue: str = DEFAULT_QUEUE
    ) -> list[Claim]:
        """Claim up to `limit` due tasks of a class: unclaimed ones by priority and age, and those whose lease expired.

        In the same transactions an expired task whose cancel was requested becomes canceled, and one that lost
        `nodes_lost_limit` nodes becomes a system error and a dead letter; that needs no node of its class.
        """
        ...

    async def claim_task(
        self, node_id: str, task_id: str, terms: LeaseTerms, *, queue: str = DEFAULT_QUEUE
    ) -> Claim | None:
        """Claim one queued task of a class (a delivery names it), whatever its hold; None if it is not claimable."""
        ...

    async def renew(self, node: NodeRecord, leases: Collection[Lease], terms: LeaseTerms) -> Renewal:
        """Extend the node's leases and its heartbeat in one transaction."""
        ...

    async def record(self, lease: Lease, change: Change) -> TaskRecord:
        """Write under the lease, in one transaction with its events.

        A state that ends or leaves the attempt (terminal, retry_wait, queued) gives the lease back.

        Raises:
            LeaseLost: the epoch is not the task's, or its lease was given back.
            CancelRequested: a cancel was asked for and the change is neither `canceled` nor past the manifest.
            IllegalTransitionError, IllegalMoveError: the change breaks a rule.
        """
        ...

    async def append_log(self, lease: Lease, offset: int, text: str) -> None:
        """Publish a piece of output for live readers; dropped silently when the lease is lost."""
        ...


class Retention(Protocol):
    """What removes the past. Age is by the database's clock; any number of nodes may do it at the same time."""

    async def outdated(self, keep_s: float, limit: int) -> list[Outdated]:
        """Tasks that ended more than `keep_s` seconds ago, the oldest first. Changes nothing."""
        ...

    async def forget(self, task_ids: Collection[str], keep_s: float) -> int:
        """Remove those of the tasks that ended more than `keep_s` seconds ago, with all that is known about them.

        Returns their number; others, and what somebody else is just removing, are left alone. Idempotent. The id may
        be used again afterwards.
        """
        ...

    async def forget_dead_letters(self, keep_s: float, limit: int) -> int:
        """Remove dead letters that are older than `keep_s` seconds, at most about `limit`; returns their number."""
        ...

    async def forget_sessions(self, keep_s: float, limit: int) -> int:
        """Remove voice sessions, with what was said in them, that were last saved more than `keep_s` seconds ago.

        Returns their number, at most about `limit`. One of which a task is still known is kept.
        """
        ...


class SessionStore(Protocol):
    """Voice sessions, which survive their connection."""

    async def open_session(self, session_id: str) -> SessionRecord:
        """Create the session or take it over: its epoch rises, the former holder can write no more."""
        ...

    async def load_session(self, session_id: str) -> SessionRecord | None:
        """The session as it was last saved, or None; whoever holds it keeps it."""
        ...

    async def save_session(self, record: SessionRecord) -> None:
        """Write `spoken` and `data`. Raises LeaseLost if the session was opened again since."""
        ...


class StateStore(TaskIntake, TaskReader, LeaseStore, Retention, SessionStore, Protocol):
    """All doors of one database."""

    def listen(self, *topics: Topic) -> AbstractAsyncContextManager[Listener]:
        """Listen for changes made by any process."""
        ...

    async def close(self) -> None:
        """Give back connections. Idempotent."""
        ...


#: URL scheme -> (factory, extra). A factory is ``async def open_store(url: str) -> StateStore`` and migrates on open.
STATE_STORES: dict[str, tuple[str, str]] = {
    "sqlite+aiosqlite": ("infra.state_stores.sql:open_store", ""),
    "postgresql+asyncpg": ("infra.state_stores.sql:open_store", "postgres"),
}


async def open_state_store(url: str) -> StateStore:
    """Open the state store that `url` names, creating or migrating its tables.

    Raises:
        ConfigurationError: unknown scheme or missing package.
        StateStoreError: it does not answer.
    """
    store: StateStore = await resolve(STATE_STORES, url, "database")(url)
    return store


#: What `SessionRecord.data` and event data may hold.
Json = JsonValue
