"""The cluster client: the one way in for every door (CLI, HTTP, voice) and the one way to look at what happens.

`submit` inserts the row, then publishes. The row is the outbox: if publishing fails or the message is lost, a node
claims the row from the store after a short grace.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from infra.broker import Broker, open_broker
from infra.errors import BrokerError, UnknownTaskError
from infra.identity import new_id
from infra.log import get_logger
from infra.object_client import ObjectClient
from infra.object_store import ObjectStores
from infra.settings import Settings
from infra.state_store import LogChunk, StateStore, Submission, Topic, open_state_store
from schemas.event import Event
from schemas.failure import DocumentError, Problem
from schemas.record import TaskRecord
from schemas.task import TaskDocument

log = get_logger(__name__)

#: Seconds after which a follower looks again even if nobody woke it.
_POLL_S = 1.0
#: Longest wait for the broker's confirmation: somebody is waiting to hear that the task was accepted.
_PUBLISH_S = 1.0


class Cluster(ObjectClient):
    """A connection to one cluster: its state store, its object stores and, if it has one, its broker."""

    def __init__(self, settings: Settings, store: StateStore, objects: ObjectStores, broker: Broker | None) -> None:
        super().__init__(settings, objects)
        self.store, self.broker = store, broker

    async def submit(self, task: TaskDocument) -> Submission:
        """Accept a task. Idempotent by the document's id; without one, each call is a new task.

        Raises:
            DocumentError: the id belongs to a different document.
        """
        task_id = task.id or new_id()
        document = task.model_copy(update={"id": task_id})
        ours = self.settings.worker_class
        # Our connection publishes to the queue of our class. What names another is claimed from the store at once.
        broker = self.broker if document.queue in {None, ours} else None
        hold_s = self.settings.claim_grace_s if broker else 0.0
        submission = await self.store.submit(document, task_id, queue=ours, hold_s=hold_s)
        if not submission.created and submission.record.document != document:
            message = f"{task_id!r} is already the id of another document; leave the id out or choose a new one"
            raise DocumentError([Problem(code="id_taken", field="id", message=message)])
        if broker and submission.created:
            try:
                async with asyncio.timeout(_PUBLISH_S):
                    await broker.publish(document.model_dump_json().encode(), task_id, task.priority)
            except (BrokerError, TimeoutError) as error:
                reason = str(error) or f"not confirmed within {_PUBLISH_S:g} s"
                log.warning("publish_failed", task_id=task_id, error=reason, consequence="claimed from the store")
        return submission

    async def cancel(self, task_id: str, reason: str = "canceled by the user") -> TaskRecord | None:
        """Ask for a stop; None if the task is unknown here (it will then be canceled on arrival)."""
        return await self.store.cancel(task_id, reason)

    async def status(self, task_id: str) -> TaskRecord:
        """The task as the database has it.

        Raises:
            UnknownTaskError: there is none with that id.
        """
        record = await self.store.load(task_id)
        if record is None:
            raise UnknownTaskError(f"there is no task {task_id!r}; `sisyphus status` lists the known ones")
        return record

    async def follow(self, task_id: str, after: int = 0) -> AsyncIterator[Event]:
        """Every event with ``seq > after`` as it is stored, ending after the one that made the task terminal.

        Raises:
            UnknownTaskError: there is no such task.
        """
        async with self.store.listen(Topic.EVENT) as listener:
            while True:
                record = await self.status(task_id)
                while batch := await self.store.events(task_id, after):
                    for event in batch:
                        yield event
                    after = batch[-1].seq
                if record.is_terminal:
                    return
                await listener.wait(_POLL_S)

    async def wait(self, task_id: str) -> TaskRecord:
        """The record once the task is terminal."""
        async with self.store.listen(Topic.EVENT) as listener:
            while not (record := await self.status(task_id)).is_terminal:
                await listener.wait(_POLL_S)
        return record

    async def log(self, task_id: str, *, follow: bool = False) -> AsyncIterator[LogChunk]:
        """The task's output so far, and with `follow` until it is terminal."""
        number = 0
        async with self.store.listen(Topic.EVENT) as listener:
            while True:
                record = await self.status(task_id)
                while batch := await self.store.log(task_id, number):
                    for number, chunk in batch:  # noqa: B007 - the last number is where the next read goes on
                        yield chunk
                if not follow or record.is_terminal:
                    return
                await listener.wait(0.3)

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        if self.broker:
            await self.broker.close()
        await super().close()
        await self.store.close()


@asynccontextmanager
async def open_cluster(settings: Settings, *, submits: bool = True) -> AsyncGenerator[Cluster]:
    """Connect to the cluster that the settings name.

    A broker that does not answer is no reason to refuse work: rows are claimed from the store.

    Args:
        settings: where the parts are.
        submits: whether tasks are submitted through this connection; nothing else needs the broker.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    store = await open_state_store(settings.database_url)
    broker: Broker | None = None
    try:
        broker = await open_broker(settings) if submits else None
    except BrokerError as error:
        log.warning("broker_unreachable", error=str(error), consequence="tasks are claimed from the store")
    cluster = Cluster(settings, store, ObjectStores(settings), broker)
    try:
        yield cluster
    finally:
        await cluster.close()
