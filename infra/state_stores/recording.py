"""The doors of a node that runs an attempt: record and append_log, both fenced by the epoch of the lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, insert, update

from infra.errors import CancelRequested, LeaseLost
from infra.state_store import Change, Topic
from infra.state_stores.database import Transaction
from infra.state_stores.draft import Draft, file_dead_letter
from infra.state_stores.intake import canceled
from infra.state_stores.part import StorePart
from infra.state_stores.rows import (
    DocumentCache,
    build_record,
    load_document,
    load_outputs,
    load_todos,
    output_row,
)
from infra.state_stores.tables import log_chunks, outputs, tasks
from schemas.event import EventType
from schemas.lease import Lease
from schemas.record import OutputRecord, TaskRecord
from schemas.state import LEASED, TERMINAL, IllegalTransitionError, TaskState
from schemas.todo import IllegalMoveError, ItemState, TodoItem, move

#: Bound of the output kept per task for live readers, in characters; a chunk counts as `_CHUNK_CHARS` more.
LOG_LIMIT_CHARS, _CHUNK_CHARS = 1_048_576, 64
_LOG_ENDS = "\n[live output ends here: the task printed too much; the whole log is stored when it ends]\n"

_ADD_OUTPUTS = insert(outputs)
_COUNT_LOG = (
    update(tasks)
    .where(
        tasks.c.id == bindparam("key"),
        tasks.c.epoch == bindparam("of_epoch"),
        tasks.c.lease_owner == bindparam("owner"),
        tasks.c.log_chars < LOG_LIMIT_CHARS,
    )
    .values(log_number=tasks.c.log_number + 1, log_chars=tasks.c.log_chars + bindparam("chars"))
    .returning(tasks.c.log_number, tasks.c.log_chars)
)
_ADD_LOG = insert(log_chunks)


class Recording(StorePart):
    """The writing half of `infra.state_store.LeaseStore`."""

    async def record(self, lease: Lease, change: Change) -> TaskRecord:
        """Write under the lease, in one transaction with its events.

        A broken connection is survived: the store tries again and recognises a write of its own that was committed.
        A manifest overwrites `failure`, which from then on says how the task ends after promotion.

        Raises:
            LeaseLost: the epoch is not the task's, or its lease was given back.
            CancelRequested: a cancel was asked for and the change is neither `canceled` nor past the manifest.
            IllegalTransitionError: the table does not allow the state; or `canceled` after the manifest.
            IllegalMoveError: an item would go back or does not exist, or a second manifest differs from the first.
            StateStoreError: the outcome is unknown; load the task and compare before writing again.
        """
        return await self._database.write(lambda tx: _record(tx, lease, change, self._documents))

    async def append_log(self, lease: Lease, offset: int, text: str) -> None:
        """Publish output for live readers, at most about 1 MiB per task; dropped silently when the lease is lost.

        Raises:
            StateStoreError: the database does not answer.
        """
        if text:
            await self._database.write(lambda tx: _append_log(tx, lease, offset, text), replayable=False)


def _record(tx: Transaction, lease: Lease, change: Change, cache: DocumentCache) -> TaskRecord:
    draft = Draft.lock(tx, lease.task_id)
    if draft is not None and tx.replayed and draft.row["write_token"] == tx.token:
        return build_record(tx, draft.row, load_todos(tx, draft.id), cache)
    draft = _fenced(draft, lease, change)
    if change.state is TaskState.CANCELED and draft.row["cancel_requested"]:
        change = replace(change, failure=canceled(draft.row["cancel_reason"]))
    draft.set(write_token=tx.token)
    _apply_columns(draft, change)
    _commit_manifest(tx, draft, change, lease.epoch)
    items, touched = _moved(load_todos(tx, draft.id), change, lease.epoch)
    draft.save_todos(touched)
    _tell(tx, draft, change, [x for x in touched if x.key in change.todos])
    if change.state is not None and change.state not in LEASED:
        _give_back(tx, draft, change)
    draft.save()
    return build_record(tx, draft.row, items, cache)


def _fenced(draft: Draft | None, lease: Lease, change: Change) -> Draft:
    """The draft, if this lease may make this change. An expired lease may, until another node takes over."""
    if draft is None or draft.row["epoch"] != lease.epoch or draft.row["lease_owner"] != lease.node_id:
        raise LeaseLost(f"task {lease.task_id}: attempt {lease.epoch} of node {lease.node_id} holds no lease")
    if draft.row["committed"]:
        if change.state is TaskState.CANCELED:  # the manifest has been promised to readers
            raise IllegalTransitionError(draft.state, change.state)
    elif draft.row["cancel_requested"] and change.state is not TaskState.CANCELED:
        raise CancelRequested(f"task {lease.task_id} is to be canceled: {draft.row['cancel_reason']}")
    return draft


def _apply_columns(draft: Draft, change: Change) -> None:
    if change.percent is not None:
        draft.set(percent=change.percent)
    if change.message is not None:
        draft.set(message=change.message)
    if change.counts:
        draft.set(attempts=draft.row["attempts"] + 1)
    if draft.row["committed"] and change.state not in TERMINAL:
        return  # the manifest has said how the task ends; why its promotion is tried again is in the events
    if change.failure is not None or change.manifest is not None or change.state is TaskState.COMPLETE:
        draft.fail(change.failure)


def _commit_manifest(tx: Transaction, draft: Draft, change: Change, epoch: int) -> None:
    if change.manifest is None:
        return
    if any(x.epoch != epoch for x in change.manifest):
        raise IllegalMoveError(f"the manifest of attempt {epoch} holds outputs of another attempt")
    if draft.row["committed"]:
        if load_outputs(tx, draft.id) != tuple(change.manifest):
            raise IllegalMoveError(f"task {draft.id} has another manifest already")
        return
    draft.set(committed=True)
    if change.manifest:
        tx.run(_ADD_OUTPUTS, [output_row(draft.id, n, x) for n, x in enumerate(change.manifest)])


def _moved(items: tuple[TodoItem, ...], change: Change, epoch: int) -> tuple[tuple[TodoItem, ...], list[TodoItem]]:
    """The list after the change, and the items that it touched."""
    wanted = {*change.todos, *change.durable}
    if missing := wanted - {x.key for x in items}:
        raise IllegalMoveError(f"there is no TODO item {', '.join(sorted(missing))}")
    after = tuple(_touched(x, change, epoch) if x.key in wanted else x for x in items)
    return after, [new for old, new in zip(items, after, strict=True) if new is not old]


def _touched(item: TodoItem, change: Change, epoch: int) -> TodoItem:
    durable = item.key in change.durable
    to = change.todos.get(item.key)
    if durable and (to or item.state) is not ItemState.COMPLETED:
        raise IllegalMoveError(f"{item.key} is not completed: there is no effect yet that could outlive the node")
    if to is not None:
        return move(item, to, epoch=epoch, durable=durable)
    return item if item.durable else item.model_copy(update={"durable": True, "epoch": epoch})


def _tell(tx: Transaction, draft: Draft, change: Change, moved: Sequence[TodoItem]) -> None:
    """Append the events: what the caller saw, what ended, the state it led to, what began; a terminal state last."""
    ends = change.state in TERMINAL
    draft.append(change.events)
    _tell_todos(draft, [x for x in moved if x.state is not ItemState.IN_PROGRESS])
    if change.state is not None and not ends:
        draft.enter(change.state, change.failure)
    if change.state is TaskState.RETRY_WAIT:
        failure = None if change.failure is None else change.failure.model_dump(mode="json")
        draft.emit(EventType.RETRY, delay_s=change.retry_in_s, failure=failure)
    _tell_todos(draft, [x for x in moved if x.state is ItemState.IN_PROGRESS])
    if change.state is None or not ends:
        return
    if draft.row["committed"] and change.state in {TaskState.COMPLETE, TaskState.EXECUTOR_ERROR}:
        for output in load_outputs(tx, draft.id):
            _tell_output(draft, output)
    draft.enter(change.state, change.failure)


def _tell_todos(draft: Draft, items: Sequence[TodoItem]) -> None:
    for item in items:
        draft.emit(EventType.TODO, item=item.key, title=item.title, state=item.state.value)


def _tell_output(draft: Draft, output: OutputRecord) -> None:
    line = {} if output.line is None else {"line": output.line}
    remote, size, digest = str(output.remote), output.size_bytes, output.sha256
    draft.emit(EventType.OUTPUT, remote=remote, size_bytes=size, sha256=digest, **line)


def _give_back(tx: Transaction, draft: Draft, change: Change) -> None:
    """The attempt ends here, and with it the lease."""
    draft.end_attempt(draft.row["state"], change.failure)
    if draft.state in TERMINAL:
        if change.dead_letter is not None:
            file_dead_letter(tx, "attempts", change.dead_letter, load_document(tx, draft.id), draft.id)
        return
    delay_s = max(0.0, change.retry_in_s) if draft.state is TaskState.RETRY_WAIT else 0.0
    draft.set(lease_owner=None, due_at=draft.now + delay_s)
    if not delay_s:
        tx.topics.add(Topic.WORK)


def _append_log(tx: Transaction, lease: Lease, offset: int, text: str) -> None:
    counted = {"key": lease.task_id, "of_epoch": lease.epoch, "owner": lease.node_id}
    row = tx.row(_COUNT_LOG, {**counted, "chars": len(text) + _CHUNK_CHARS})
    if row is None:
        return
    excess = row["log_chars"] - LOG_LIMIT_CHARS
    if excess >= 0:
        text = text[: max(0, len(text) - excess)] + _LOG_ENDS
    chunk = {"number": row["log_number"], "epoch": lease.epoch, "offset": offset, "text": text}
    tx.run(_ADD_LOG, {"task_id": lease.task_id, **chunk})
    tx.topics.add(Topic.EVENT)
