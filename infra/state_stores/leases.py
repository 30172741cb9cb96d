"""The doors of nodes that give and keep leases: claim, claim_task, renew."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Integer, bindparam, delete, exists, insert, literal, or_, select, tuple_, update

from infra.state_store import Claim, Renewal, Submission, Topic
from infra.state_stores.database import Transaction
from infra.state_stores.draft import LOCKED, Draft, file_dead_letter
from infra.state_stores.intake import Arrival, canceled, submit_task
from infra.state_stores.part import StorePart
from infra.state_stores.recording import LOG_LIMIT_CHARS
from infra.state_stores.rows import DocumentCache, build_record, load_document, load_todos
from infra.state_stores.tables import NOW, attempts, log_chunks, nodes, tasks
from schemas.event import EventType
from schemas.failure import Cause, Failure
from schemas.ids import DEFAULT_QUEUE
from schemas.lease import Lease, LeaseTerms
from schemas.record import NodeRecord
from schemas.state import TaskState
from schemas.task import TaskDocument
from schemas.todo import ItemState, TodoItem, reopen

_IS_DUE = tasks.c.due_at <= NOW
_IS_OURS = tasks.c.queue == bindparam("of_queue")
#: Two questions, since each has an index of its own.
_ANY_DUE = select(literal(1)).where(
    or_(
        exists(select(tasks.c.id).where(_IS_OURS, _IS_DUE)),
        exists(select(tasks.c.id).where(tasks.c.lease_owner.is_not(None), _IS_DUE)),
    )
)
_DUE = (
    LOCKED.where(_IS_OURS, _IS_DUE)
    .order_by(tasks.c.priority.desc(), tasks.c.created_at, tasks.c.id)
    # Written into the statement: PostgreSQL's plan for an unknown limit would sort the whole queue at every claim.
    .limit(bindparam("limit", type_=Integer(), literal_execute=True))
    .with_for_update(skip_locked=True)
)
#: Expired leases that lead to no further attempt; a bounded share per call.
_HOPELESS = (
    LOCKED.where(
        _IS_DUE,
        tasks.c.lease_owner.is_not(None),
        or_(tasks.c.cancel_requested, tasks.c.nodes_lost + 1 >= bindparam("nodes_lost_limit")),
    )
    .limit(32)
    .with_for_update(skip_locked=True)
)
_QUEUED = LOCKED.where(
    tasks.c.id == bindparam("key"), _IS_OURS, tasks.c.state == TaskState.QUEUED.value
).with_for_update(skip_locked=True)
_START_ATTEMPT = insert(attempts)
_DROP_LOG = delete(log_chunks).where(log_chunks.c.task_id == bindparam("of_task"))
_RENEW = (
    update(tasks)
    .where(
        tuple_(tasks.c.id, tasks.c.epoch).in_(bindparam("held", expanding=True)),
        tasks.c.lease_owner == bindparam("owner"),
    )
    .values(due_at=NOW + bindparam("ttl_s"))
    .returning(tasks.c.id, tasks.c.cancel_requested)
)
_SEEN = update(nodes).where(nodes.c.id == bindparam("key")).values(seen_at=NOW)
_FIRST_SEEN = insert(nodes).values(seen_at=NOW)
#: Nodes that were not seen for a day are forgotten when a new one comes.
_FORGET_NODES = delete(nodes).where(nodes.c.seen_at < NOW - 86_400.0)


class Leasing(StorePart):
    """The claiming half of `infra.state_store.LeaseStore`."""

    async def claim(
        self, node_id: str, limit: int, terms: LeaseTerms, nodes_lost_limit: int, *, queue: str = DEFAULT_QUEUE
    ) -> list[Claim]:
        """Claim up to `limit` due tasks of a class. Raises StateStoreError.

        If the connection breaks at the commit, the claim is not repeated: what it may have taken is taken over when
        its lease has run out.
        """
        if limit <= 0:
            return []
        ours = {"of_queue": queue}
        if self._database.single_writer and not await self._database.read(lambda tx: tx.exists(_ANY_DUE, ours)):
            return []

        def work(tx: Transaction) -> list[Claim]:
            for row in tx.rows(_HOPELESS, {"nodes_lost_limit": nodes_lost_limit}):
                _give_up(tx, Draft(tx, row))
            claims: list[Claim] = []
            for row in tx.rows(_DUE, {**ours, "limit": limit}):
                draft = Draft(tx, row)
                lost = row["lease_owner"] is not None
                if lost and (row["cancel_requested"] or row["nodes_lost"] + 1 >= nodes_lost_limit):
                    _give_up(tx, draft)
                else:
                    claims.append(_grant(tx, draft, node_id, terms, self._documents))
            return claims

        return await self._database.write(work, replayable=False)

    async def claim_task(
        self, node_id: str, task_id: str, terms: LeaseTerms, *, queue: str = DEFAULT_QUEUE
    ) -> Claim | None:
        """Claim one queued task of a class, whatever its hold. Raises StateStoreError; not repeated, as `claim`."""

        def work(tx: Transaction) -> Claim | None:
            row = tx.row(_QUEUED, {"key": task_id, "of_queue": queue})
            return None if row is None else _grant(tx, Draft(tx, row), node_id, terms, self._documents)

        return await self._database.write(work, replayable=False)

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
        """`submit` and `claim_task` in one transaction. Raises StateStoreError; not repeated, as `claim`."""
        arrival = Arrival(task, task_id, task.model_dump_json(), queue, digest, redelivered)

        def work(tx: Transaction) -> tuple[Submission, Claim | None]:
            submission = submit_task(tx, arrival, self._documents)
            row = tx.row(_QUEUED, {"key": submission.record.id, "of_queue": queue})
            if row is None:
                return submission, None
            tx.topics.discard(Topic.WORK)
            return submission, _grant(tx, Draft(tx, row), node_id, terms, self._documents)

        return await self._database.write(work, replayable=False)

    async def renew(self, node: NodeRecord, leases: Collection[Lease], terms: LeaseTerms) -> Renewal:
        """Extend the node's leases and its heartbeat in one transaction. Idempotent. Raises StateStoreError."""
        return await self._database.write(lambda tx: _renew(tx, node, leases, terms))


def _grant(tx: Transaction, draft: Draft, node_id: str, terms: LeaseTerms, cache: DocumentCache) -> Claim:
    """Give the lease of a due task to a node, with the next epoch."""
    takeover = draft.row["lease_owner"] is not None
    if takeover:
        draft.end_attempt("node_lost", _node_lost(draft))
        draft.set(nodes_lost=draft.row["nodes_lost"] + 1)
    if draft.row["log_chars"] >= LOG_LIMIT_CHARS:  # the new attempt's output has room again
        tx.run(_DROP_LOG, {"of_task": draft.id})
        draft.set(log_chars=0)
    epoch: int = draft.row["epoch"] + 1
    draft.set(epoch=epoch, lease_owner=node_id, due_at=draft.now + terms.ttl_s)
    draft.set(started_at=draft.row["started_at"] or draft.now)
    draft.emit(EventType.CLAIMED, node=node_id, takeover=takeover)
    draft.enter(TaskState.INITIALIZING)
    items = load_todos(tx, draft.id)
    if not draft.row["committed"]:
        draft.set(percent=None)
        items = _reopen(draft, items, epoch)
    tx.run(_START_ATTEMPT, {"task_id": draft.id, "epoch": epoch, "node": node_id, "started_at": draft.now})
    draft.save()
    lease = Lease(task_id=draft.id, epoch=epoch, node_id=node_id)
    return Claim(lease, build_record(tx, draft.row, items, cache), takeover)


def _reopen(draft: Draft, items: tuple[TodoItem, ...], epoch: int) -> tuple[TodoItem, ...]:
    after = reopen(items, epoch=epoch)
    changed = [new for old, new in zip(items, after, strict=True) if new is not old]
    draft.save_todos(changed)
    if changed:
        draft.emit(EventType.REOPENED, items=[x.key for x in changed])
    return after


def _give_up(tx: Transaction, draft: Draft) -> None:
    """End a task whose lease expired and which gets no further attempt: it was canceled, or it loses every node."""
    lost = _node_lost(draft)
    draft.set(nodes_lost=draft.row["nodes_lost"] + 1)
    draft.end_attempt("node_lost", lost)
    if draft.row["cancel_requested"]:
        failure = canceled(draft.row["cancel_reason"])
        draft.fail(failure)
        draft.enter(TaskState.CANCELED, failure)
    else:
        last = draft.last_failure
        item = next((x.key for x in load_todos(tx, draft.id) if x.state is ItemState.IN_PROGRESS), None)
        known = f"; the last known error before: {last.message}" if last else ""
        message = f"given up: {draft.row['nodes_lost']} nodes were lost while they ran this task{known}"
        failure = Failure(cause=Cause.NODE_LOST, message=message, item=item, log_tail=last.log_tail if last else "")
        draft.fail(failure)
        draft.enter(TaskState.SYSTEM_ERROR, failure)
        file_dead_letter(tx, "poison", message, load_document(tx, draft.id), draft.id)
    draft.save()


def _node_lost(draft: Draft) -> Failure:
    return Failure(cause=Cause.NODE_LOST, message=f"the lease of node {draft.row['lease_owner']} ran out")


def _renew(tx: Transaction, node: NodeRecord, leases: Collection[Lease], terms: LeaseTerms) -> Renewal:
    sign = {**node.model_dump(include={"queue", "slots", "busy", "draining", "runtime"}), "ttl_s": terms.ttl_s}
    if not tx.run(_SEEN, {**sign, "key": node.id}):
        tx.run(_FORGET_NODES)
        tx.run(_FIRST_SEEN, {**sign, "id": node.id})
    held = [(x.task_id, x.epoch) for x in leases if x.node_id == node.id]
    rows = tx.rows(_RENEW, {"held": held, "owner": node.id, "ttl_s": terms.ttl_s}) if held else ()
    kept = frozenset(row["id"] for row in rows)
    return Renewal(kept, frozenset(row["id"] for row in rows if row["cancel_requested"]))
