"""What anybody may read: tasks, events, logs, dead letters, nodes; each call sees one snapshot."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from infra.state_store import LogChunk
from infra.state_stores.database import Transaction
from infra.state_stores.part import StorePart
from infra.state_stores.rows import LOAD_TASK, load_records, moment
from infra.state_stores.tables import NOW, dead_letters, events, log_chunks, nodes, tasks
from schemas.event import Event
from schemas.record import DeadLetter, NodeRecord, TaskRecord
from schemas.state import TaskState

_EVENTS = (
    select(events)
    .where(events.c.task_id == bindparam("id"), events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(bindparam("limit"))
)
_LOG = (
    select(log_chunks)
    .where(log_chunks.c.task_id == bindparam("id"), log_chunks.c.number > bindparam("after"))
    .order_by(log_chunks.c.number)
    .limit(bindparam("limit"))
)
_DEAD_LETTERS = (
    select(*[x for x in dead_letters.c if x.name != "number"])
    .order_by(dead_letters.c.number.desc())
    .limit(bindparam("limit"))
)
_NODES = (
    select(*[x for x in nodes.c if x.name not in {"ttl_s", "seen_at"}], (NOW - nodes.c.seen_at).label("seen_s"))
    .where(nodes.c.seen_at > NOW - 10 * nodes.c.ttl_s)
    .order_by(nodes.c.id)
)


class Reading(StorePart):
    """See `infra.state_store.TaskReader`. Every method raises StateStoreError if the database does not answer."""

    async def load(self, task_id: str) -> TaskRecord | None:
        """One task, or None."""

        def work(tx: Transaction) -> TaskRecord | None:
            row = tx.row(LOAD_TASK, {"id": task_id})
            return None if row is None else load_records(tx, [row], self._documents)[0]

        return await self._database.read(work)

    async def find(
        self,
        *,
        states: Collection[TaskState] = (),
        session: str | None = None,
        workflow: str | None = None,
        limit: int = 50,
    ) -> list[TaskRecord]:
        """Tasks, newest first."""
        query = select(tasks).order_by(tasks.c.created_at.desc(), tasks.c.id.desc()).limit(limit)
        if states:
            query = query.where(tasks.c.state.in_([x.value for x in states]))
        if session is not None:
            query = query.where(tasks.c.session == session)
        if workflow is not None:
            query = query.where(tasks.c.workflow == workflow)
        return await self._database.read(lambda tx: load_records(tx, tx.rows(query), self._documents))

    async def events(self, task_id: str, after: int = 0, limit: int = 500) -> list[Event]:
        """Events of one task with ``seq > after``, in order."""
        given = {"id": task_id, "after": after, "limit": limit}
        rows = await self._database.read(lambda tx: tx.rows(_EVENTS, given))
        return [Event.model_validate({**row, "at": moment(row["at"])}) for row in rows]

    async def log(self, task_id: str, after: int = 0, limit: int = 200) -> list[tuple[int, LogChunk]]:
        """Log chunks numbered above `after`, in order, each with its number."""
        given = {"id": task_id, "after": after, "limit": limit}
        rows = await self._database.read(lambda tx: tx.rows(_LOG, given))
        return [(row["number"], LogChunk(row["epoch"], row["offset"], row["text"])) for row in rows]

    async def dead_letters(self, limit: int = 50) -> list[DeadLetter]:
        """Work that was given up, newest first."""
        rows = await self._database.read(lambda tx: tx.rows(_DEAD_LETTERS, {"limit": limit}))
        return [DeadLetter.model_validate({**row, "at": moment(row["at"])}) for row in rows]

    async def nodes(self) -> list[NodeRecord]:
        """Nodes that gave a sign of life within ten lease terms."""
        rows = await self._database.read(lambda tx: tx.rows(_NODES))
        return [NodeRecord.model_validate(dict(row)) for row in rows]
