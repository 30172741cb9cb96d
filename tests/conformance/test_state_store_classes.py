"""Worker classes: whatever the way by which a task becomes due, only a node of its class is given it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from infra.state_store import Change
from infra.state_stores.database import Database as SqlDatabase
from infra.state_stores.schema import MIGRATIONS
from schemas.failure import Cause, Failure
from schemas.record import NodeRecord
from schemas.state import TaskState
from tests.conformance.state_store_tools import LIMIT, TERMS, Database, Stores, task

S = TaskState


async def ids(store, queue: str, node: str = "node-1") -> list[str]:
    """What a node of that class gets, ten tasks at most."""
    return [x.lease.task_id for x in await store.claim(node, 10, TERMS, LIMIT, queue=queue)]


async def test_a_node_claims_only_tasks_of_its_class(store):
    """The document says which; where it does not, the door through which it came does."""
    await store.submit(task(), "plain")
    await store.submit(task(queue="gpu"), "named")
    # Two tasks of one millisecond have no order.
    await asyncio.sleep(0.01)
    await store.submit(task(), "by-door", queue="gpu")
    await store.submit(task(queue="sisyphus"), "named-plain", queue="gpu")
    queues = {x.id: x.queue for x in await store.find()}
    assert queues == {"plain": "sisyphus", "named": "gpu", "by-door": "gpu", "named-plain": "sisyphus"}
    assert await ids(store, "tpu") == []
    assert await ids(store, "gpu") == ["named", "by-door"]
    assert [x.lease.task_id for x in await store.claim("node-2", 10, TERMS, LIMIT)] == ["plain", "named-plain"]


async def test_urgent_tasks_of_another_class_take_no_place(store):
    """However many there are and however urgent, a claim is filled with tasks of its own class, in their order."""
    for n in range(12):
        await store.submit(task(priority=9, queue="gpu"), f"g{n}")
    for n, priority in enumerate([1, 7, 3]):
        await store.submit(task(priority=priority), f"t{n}")
    assert await ids(store, "sisyphus") == ["t1", "t2", "t0"]


async def test_an_expired_lease_is_taken_over_within_the_class(store, database):
    """A node that dies is replaced by one of its class, and by no other."""
    await store.submit(task(queue="gpu"), "t1")
    held = await store.claim_task("gpu-1", "t1", TERMS, queue="gpu")
    assert held is not None
    await database.age("t1")
    assert await ids(store, "sisyphus") == []
    [found] = await store.claim("gpu-2", 10, TERMS, LIMIT, queue="gpu")
    assert (found.lease.task_id, found.takeover, found.lease.epoch) == ("t1", True, 2)


async def test_a_retry_and_a_release_stay_in_the_class(store, database):
    """Given back or tried again, the task waits for a node of its class."""
    for task_id in ("retried", "released"):
        await store.submit(task(queue="gpu"), task_id)
    leases = {x.lease.task_id: x.lease for x in await store.claim("gpu-1", 10, TERMS, LIMIT, queue="gpu")}
    failure = Failure(cause=Cause.INFRASTRUCTURE, message="no luck")
    await store.record(leases["retried"], Change(state=S.RETRY_WAIT, failure=failure, retry_in_s=5))
    await store.record(leases["released"], Change(state=S.QUEUED))
    await database.age("retried", 6)
    assert await ids(store, "sisyphus") == []
    assert sorted(await ids(store, "gpu")) == ["released", "retried"]


async def test_a_delivery_brings_its_queues_class(store):
    """A document that names no class is of the class whose queue it came through, and so is what was held for it."""
    submission, found = await store.accept(task(), "t1", "gpu-1", TERMS, queue="gpu")
    assert found is not None
    assert (submission.record.queue, found.record.queue) == ("gpu", "gpu")
    await store.submit(task(), "t2", queue="gpu", hold_s=60)
    _, held = await store.accept(task(), "t2", "gpu-1", TERMS, queue="gpu")
    assert held is not None


async def test_a_delivery_to_the_wrong_class_is_kept_for_the_right_one(store):
    """A message in another class's queue is not run there; the task waits in the store for a node of its class."""
    submission, found = await store.accept(task(queue="gpu"), "t1", "node-1", TERMS)
    assert submission.created
    assert (submission.record.queue, submission.record.state, found) == ("gpu", S.QUEUED, None)
    again, found = await store.accept(task(queue="gpu"), "t1", "node-1", TERMS, redelivered=True)
    assert (again.created, found) == (False, None)
    assert await store.claim_task("node-1", "t1", TERMS) is None
    assert await ids(store, "gpu") == ["t1"]


async def test_what_needs_no_run_is_ended_by_any_class(store, database):
    """A canceled task whose node died ends although no node of its class is left."""
    await store.submit(task(queue="gpu"), "t1")
    await ids(store, "gpu")
    await store.cancel("t1")
    await database.age("t1")
    assert await ids(store, "sisyphus") == []
    record = await store.load("t1")
    assert record is not None
    assert record.state is S.CANCELED


async def test_a_node_tells_its_class(store):
    """Whoever looks at the nodes sees which tasks they would take; a node that comes back with another class too."""
    for queue in ("gpu", "tpu"):
        node = NodeRecord(id="n", queue=queue, slots=2, busy=0, draining=False, runtime="bwrap", seen_s=0)
        await store.renew(node, [], TERMS)
        assert [x.queue for x in await store.nodes()] == [queue]


_OLD = """
INSERT INTO tasks (id, name, workflow, priority, state, seq, epoch, attempts, nodes_lost, due_at, cancel_requested,
  committed, log_number, log_chars, created_at)
VALUES ('{0}', 'old', 'w', 5, 'queued', 0, 0, 0, 0, 1, {1}, {1}, 0, 0, 1);
INSERT INTO documents (task_id, document) VALUES ('{0}', '{{"image": "i", "commands": [{{"command": ["x"]}}]}}');
INSERT INTO todos (task_id, position, key, kind, "index", title, state, durable, epoch)
VALUES ('{0}', 0, 'command:0', 'command', 0, 'x', 'pending', {1}, 0);
"""


def _make_first_version(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")


async def _first_version(empty: Database) -> None:
    if empty.scheme.startswith("sqlite"):
        path = Path(empty.url.partition("://")[2][1:])
        path.parent.mkdir()
        with create_engine(f"sqlite:///{path}").begin() as connection:
            _make_first_version(connection)
        return
    engine = create_async_engine(empty.url)
    async with engine.begin() as connection:
        await connection.run_sync(_make_first_version)
    await engine.dispose()


async def _insert_as_before(database: Database, task_id: str) -> None:
    false = "0" if database.scheme.startswith("sqlite") else "false"
    for statement in _OLD.format(task_id, false).split(";\n"):
        if statement.strip():
            await database.execute(statement)


async def test_tasks_from_before_there_were_classes_are_of_the_default_one(empty):
    """A database of the first version is migrated with what waits in it; its nodes may still write meanwhile."""
    await _first_version(empty)
    await _insert_as_before(empty, "before")
    stores = Stores(empty)
    doors = await asyncio.gather(*(stores.open() for _ in range(3)))
    await _insert_as_before(empty, "meanwhile")
    assert await ids(doors[0], "gpu") == []
    assert sorted(await ids(doors[1], "sisyphus")) == ["before", "meanwhile"]
    await stores.close()


@pytest.mark.parametrize("scheme", ["sqlite+aiosqlite"], indirect=True)
async def test_a_class_without_work_opens_no_write_transaction(store, monkeypatch):
    """On SQLite a node that has nothing to do must not take the one write lock at every look."""
    await store.submit(task(queue="gpu"), "t1")
    written, write = [], SqlDatabase.write

    async def counted(self, *args, **more):
        written.append(args)
        return await write(self, *args, **more)

    monkeypatch.setattr(SqlDatabase, "write", counted)
    assert await store.claim("node-1", 5, TERMS, LIMIT) == []
    assert not written
    assert await ids(store, "gpu") == ["t1"]
    assert len(written) == 1
