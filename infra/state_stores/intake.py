"""The doors of people and producers: submit, cancel, dead letters."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select

from infra.state_store import Submission, Topic
from infra.state_stores.database import Transaction
from infra.state_stores.draft import Draft, file_dead_letter
from infra.state_stores.part import StorePart
from infra.state_stores.rows import LOAD_TASK, DocumentCache, build_record, key_of, load_records
from infra.state_stores.tables import NOW, documents, tasks, todos, tombstones
from schemas.event import EventType
from schemas.failure import Cause, Failure
from schemas.ids import DEFAULT_QUEUE
from schemas.record import TaskRecord
from schemas.state import CLAIMABLE, TERMINAL, TaskState
from schemas.task import TaskDocument
from schemas.todo import plan_items

_TOMBSTONE = select(tombstones.c.reason).where(tombstones.c.task_id == bindparam("id"))
_NOW_AND_TOMBSTONE = select(NOW.label("now"), _TOMBSTONE.scalar_subquery().label("reason"))
_SAME_DIGEST = (
    select(tasks)
    .where(tasks.c.digest == bindparam("digest"), tasks.c.due_at.is_not(None))
    .order_by(tasks.c.created_at)
    .limit(1)
)
_ADD_DOCUMENT, _ADD_TODOS = insert(documents), insert(todos)
_BURY = insert(tombstones).values(at=NOW)
_UNBURY = delete(tombstones).where(tombstones.c.task_id == bindparam("id"))
#: A cancel whose task has not come after a week is forgotten.
_FORGET = delete(tombstones).where(tombstones.c.at < NOW - 7 * 86_400.0)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A task that comes in, with what its producer says about it."""

    task: TaskDocument
    task_id: str
    text: str
    queue: str = DEFAULT_QUEUE
    digest: str | None = None
    redelivered: bool = False
    hold_s: float = 0


class Intake(StorePart):
    """See `infra.state_store.TaskIntake`."""

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
        """Insert the task, or find it. Idempotent by `task_id`. Raises StateStoreError."""
        arrival = Arrival(task, task_id, task.model_dump_json(), queue, digest, redelivered, hold_s)
        return await self._database.write(lambda tx: submit_task(tx, arrival, self._documents))

    async def cancel(self, task_id: str, reason: str = "") -> TaskRecord | None:
        """Ask for a stop. Idempotent. Raises StateStoreError."""
        return await self._database.write(lambda tx: _cancel(tx, task_id, reason, self._documents))

    async def dead_letter(self, source: str, reason: str, body: str, task_id: str | None = None) -> None:
        """File work that cannot be done; filed twice in the rare case of an unknown commit. Raises StateStoreError."""
        await self._database.write(lambda tx: file_dead_letter(tx, source, reason, body, task_id))


def canceled(reason: str | None) -> Failure:
    """What a canceled task shows as its failure."""
    return Failure(cause=Cause.CANCELED, message=reason or "canceled")


def submit_task(tx: Transaction, arrival: Arrival, cache: DocumentCache) -> Submission:
    """Insert the task, or find it."""
    if arrival.digest is not None:
        tx.exclude(f"digest:{arrival.digest}")
    tx.exclude(f"task:{arrival.task_id}")
    found = tx.row(LOAD_TASK, {"id": arrival.task_id})
    if found is None and arrival.redelivered and arrival.digest is not None:
        found = tx.row(_SAME_DIGEST, {"digest": arrival.digest})
    if found is not None:
        return Submission(load_records(tx, [found], cache)[0], created=False)
    return Submission(_insert(tx, arrival, cache), created=True)


def _insert(tx: Transaction, arrival: Arrival, cache: DocumentCache) -> TaskRecord:
    task = arrival.task
    stone = tx.rows(_NOW_AND_TOMBSTONE, {"id": arrival.task_id})[0]
    draft = Draft(tx, {**_new_row(arrival, stone["now"]), "now": stone["now"]})
    draft.emit(EventType.ACCEPTED, name=task.name, template=task.tags.get("template"))
    if stone["reason"] is not None:
        tx.run(_UNBURY, {"id": arrival.task_id})
        _cancel_unclaimed(draft, stone["reason"])
    draft.create()
    tx.run(_ADD_DOCUMENT, {"task_id": arrival.task_id, "document": arrival.text})
    items = plan_items(task)
    tx.run(
        _ADD_TODOS,
        [
            {**item.model_dump(mode="json"), "task_id": arrival.task_id, "position": position}
            for position, item in enumerate(items)
        ],
    )
    if draft.state is TaskState.QUEUED and arrival.hold_s <= 0:
        tx.topics.add(Topic.WORK)
    cache.keep(key_of(draft.row), task, len(arrival.text))
    return build_record(tx, draft.row, items, cache)


def _new_row(arrival: Arrival, now: float) -> dict[str, object]:
    task = arrival.task
    return {
        "id": arrival.task_id,
        "queue": task.queue or arrival.queue,
        "digest": arrival.digest,
        "name": task.name,
        "workflow": task.workflow,
        "session": task.session,
        "priority": task.priority,
        "state": TaskState.QUEUED.value,
        "seq": 0,
        "epoch": 0,
        "attempts": 0,
        "nodes_lost": 0,
        "lease_owner": None,
        "due_at": now + max(0.0, arrival.hold_s),
        "percent": None,
        "message": None,
        "cancel_requested": False,
        "cancel_reason": None,
        "committed": False,
        "failure": None,
        "log_number": 0,
        "log_chars": 0,
        "write_token": None,
        "created_at": now,
        "started_at": None,
        "finished_at": None,
    }


def _cancel(tx: Transaction, task_id: str, reason: str, cache: DocumentCache) -> TaskRecord | None:
    draft = Draft.lock(tx, task_id)
    if draft is None:
        tx.exclude(f"task:{task_id}")  # a submit that is under way ends first, and is then seen
        draft = Draft.lock(tx, task_id)
    if draft is None:
        _bury(tx, task_id, reason)
        return None
    if not (draft.state in TERMINAL or draft.row["committed"] or draft.row["cancel_requested"]):
        if draft.state in CLAIMABLE:
            _cancel_unclaimed(draft, reason)
        else:
            _request_cancel(draft, reason)
            tx.topics.add(Topic.CANCEL)
        draft.save()
    return load_records(tx, [draft.row], cache)[0]


def _bury(tx: Transaction, task_id: str, reason: str) -> None:
    if not tx.exists(_TOMBSTONE, {"id": task_id}):
        tx.run(_FORGET)
        tx.run(_BURY, {"task_id": task_id, "reason": reason})


def _request_cancel(draft: Draft, reason: str) -> None:
    draft.set(cancel_requested=True, cancel_reason=reason)
    draft.emit(EventType.CANCEL_REQUESTED, reason=reason)


def _cancel_unclaimed(draft: Draft, reason: str) -> None:
    failure = canceled(reason)
    _request_cancel(draft, reason)
    draft.fail(failure)
    draft.enter(TaskState.CANCELED, failure)
