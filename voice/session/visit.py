"""A session without a call: what a page shows of it, and what a click on one of its tasks does.

Takes no line and no lease: a call of the same session, here or elsewhere, is not disturbed.
"""

from __future__ import annotations

import asyncio
from typing import BinaryIO

from infra.cluster import Cluster
from infra.errors import ObjectMissingError, UnknownTaskError
from infra.identity import new_id
from infra.log import get_logger
from schemas.record import TaskRecord
from voice.bot.picture import MAX_TASKS, Message, Picture, VoiceState, card, outputs
from voice.bot.rtvi import first_seq
from voice.session.calls import Calls
from voice.session.record import lines_of

log = get_logger(__name__)


async def look(cluster: Cluster, calls: Calls, session: str, voice: VoiceState) -> Message:
    """The snapshot of a session as of now; of an unknown one, an empty one.

    Raises:
        StateStoreError: the database does not answer.
    """
    record = await cluster.store.load_session(session)
    found = await cluster.store.find(session=session, limit=MAX_TASKS)
    said = calls.transcript(session)
    if said is None:
        said = lines_of(record) if record is not None else []
    picture = Picture(session, {task.id: card(task) for task in reversed(found)}, [*said], voice)
    message, _ = picture.snapshot(first_seq(record.epoch if record is not None else 0))
    return message


async def cancel(cluster: Cluster, session: str, task_id: str) -> None:
    """Ask for a stop of one of the session's tasks. Idempotent; too late once it has ended.

    Raises:
        UnknownTaskError: the session has no such task.
        StateStoreError: the database does not answer.
    """
    await _own(cluster, session, task_id)
    await cluster.cancel(task_id, "canceled on the page")
    log.info("task_canceled_on_page", task_id=task_id)


async def fetch_output(cluster: Cluster, session: str, task_id: str, number: int) -> tuple[str, BinaryIO]:
    """What one of the session's tasks has stored: its file name, and a copy that vanishes when it is closed.

    Args:
        cluster: where it is.
        session: whose task it is.
        task_id: the task.
        number: counts the task's outputs from 0, in the order of its card.

    Raises:
        UnknownTaskError: the session has no such task.
        ObjectMissingError: it has no such output, or it was deleted since.
        StorageError: the object store does not answer.
    """
    stored = outputs(await _own(cluster, session, task_id))
    if not 0 <= number < len(stored):
        raise ObjectMissingError(f"task {task_id} has stored {len(stored)} files; there is no number {number}")
    remote = stored[number].remote
    cluster.settings.work_root.mkdir(parents=True, exist_ok=True)
    local = cluster.settings.work_root / f".download-{new_id()}"
    try:
        await cluster.get(remote, local)
        copy = await asyncio.to_thread(local.open, "rb")
    finally:
        await asyncio.to_thread(local.unlink, missing_ok=True)
    return remote.key.rstrip("/").rpartition("/")[2] or "output", copy


async def _own(cluster: Cluster, session: str, task_id: str) -> TaskRecord:
    record = await cluster.store.load(task_id)
    if record is None or record.document.session != session:
        raise UnknownTaskError(f"this session has no task {task_id!r}")
    return record
