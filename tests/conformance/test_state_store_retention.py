"""What ended long ago is removed, all of it, and nothing else, however many nodes do it."""

from __future__ import annotations

import asyncio

import pytest

from infra.state_store import Change, Outdated
from schemas.lease import Lease
from schemas.state import TERMINAL, TaskState
from tests.conformance.state_store_tools import LIMIT, TERMS, bring, claimed, task

S = TaskState
DAY = 86_400.0
KEEP = 30 * DAY
PARTS = ("documents", "attempts", "todos", "outputs", "events", "log_chunks")


async def ended(store, database, task_id: str, days: float, state: TaskState = S.COMPLETE, **changes: object) -> Lease:
    """A task that ended so many days ago, with a log."""
    lease = await claimed(store, task_id, **changes)
    await store.append_log(lease, 0, "printed\n")
    if state is S.COMPLETE:
        await bring(store, lease, state)
    else:
        await store.record(lease, Change(state=state, dead_letter="why"))
    await age(database, task_id, days)
    return lease


async def age(database, task_id: str, days: float) -> None:
    await database.execute(
        f"UPDATE tasks SET finished_at = finished_at - {days * DAY}, created_at = created_at - {days * DAY}"
        f" WHERE id = '{task_id}'"
    )


async def count(database, table: str, task_id: str) -> int:
    [(number,)] = await database.execute(f"SELECT count(*) FROM {table} WHERE task_id = '{task_id}'")
    return number


async def test_what_ended_before_is_found_oldest_first(store, database):
    """By the time of its end and not of its beginning, by the database's clock, no more than asked for."""
    for task_id, days in {"yesterday": 1, "older": 40, "oldest": 50, "just": 29.99, "over": 30.01}.items():
        await ended(store, database, task_id, days)
    await database.execute(f"UPDATE tasks SET created_at = created_at - {100 * DAY} WHERE id = 'yesterday'")
    assert await store.outdated(KEEP, 10) == [Outdated("oldest", 1), Outdated("older", 1), Outdated("over", 1)]
    assert await store.outdated(KEEP, 1) == [Outdated("oldest", 1)]
    assert await store.outdated(100 * DAY, 10) == []


async def test_the_number_of_attempts_is_told(store, database):
    """Each of them may have left a log."""
    lease = await claimed(store)
    await store.record(lease, Change(state=S.QUEUED))
    [again] = await store.claim("node-2", 1, TERMS, LIMIT)
    await bring(store, again.lease, S.COMPLETE)
    await age(database, "t1", 31)
    assert await store.outdated(KEEP, 10) == [Outdated("t1", 2)]


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_everything_about_a_task_goes_with_it(store, database, state):
    """Nothing of it can be read any more, and nothing of another task is touched."""
    for task_id in ("gone", "kept"):
        await ended(store, database, task_id, 31, state)
    kept = [await count(database, table, "kept") for table in PARTS]
    assert min(x for table, x in zip(PARTS, kept, strict=True) if table != "outputs") > 0
    assert await store.forget(["gone"], KEEP) == 1
    assert [await count(database, table, "gone") for table in PARTS] == [0] * len(PARTS)
    assert [await count(database, table, "kept") for table in PARTS] == kept
    assert await store.load("gone") is None
    assert (await store.events("gone"), await store.log("gone")) == ([], [])
    assert [x.id for x in await store.find()] == ["kept"]
    assert await store.forget(["gone"], KEEP) == 0


@pytest.mark.parametrize("state", sorted(set(S) - TERMINAL))
async def test_a_task_that_has_not_ended_is_never_removed(store, database, state):
    """Whoever asks for it, however old it is, and even if its row held a time of its end."""
    if state is S.QUEUED:
        await store.submit(task(), "t1")
    else:
        lease = await claimed(store)
        if state is S.RETRY_WAIT:
            await store.record(lease, Change(state=state, retry_in_s=60))
        else:
            await bring(store, lease, state)
    await database.execute("UPDATE tasks SET created_at = 1, started_at = 1")
    for finished_at in ("NULL", "1"):
        await database.execute(f"UPDATE tasks SET finished_at = {finished_at}")
        assert await store.outdated(KEEP, 10) == []
        assert await store.forget(["t1"], KEEP) == 0
    record = await store.load("t1")
    assert record is not None
    assert record.state is state


async def test_what_ended_lately_is_not_removed_either(store, database):
    """The age is asked for again at the moment of the removal: the id may belong to a new task by then."""
    await ended(store, database, "new", 29)
    await ended(store, database, "old", 31)
    assert await store.forget(["new", "old", "unknown"], KEEP) == 1
    assert await store.forget([], KEEP) == 0
    assert [x.id for x in await store.find()] == ["new"]


async def test_many_nodes_remove_the_past_at_once(stores, database):
    """Each task is removed once, none is left, the living stay, and nobody fails."""
    nodes = [await stores.open() for _ in range(5)]
    for n in range(60):
        await ended(nodes[0], database, f"old-{n}", 31 + n % 7)
    for n in range(5):
        await ended(nodes[0], database, f"new-{n}", 1)
        await nodes[0].submit(task(), f"open-{n}")

    async def sweep(store) -> int:
        removed = 0
        while found := await store.outdated(KEEP, 7):
            removed += await store.forget([x.task_id for x in found], KEEP)
        return removed

    assert sum(await asyncio.gather(*(sweep(store) for store in nodes))) == 60
    assert sorted(x.id for x in await nodes[0].find()) == sorted(f"{x}-{n}" for x in ("new", "open") for n in range(5))


async def test_an_id_may_be_used_again(stores, database):
    """Every process then sees the new document, also one that still remembers the former."""
    one, two = await stores.open(), await stores.open()
    await ended(one, database, "t1", 31, name="former")
    assert (await two.load("t1")).document.name == "former"
    await one.forget(["t1"], KEEP)
    for store in (one, two):
        assert await store.load("t1") is None
    submission = await one.submit(task(name="latter"), "t1")
    assert submission.created
    for store in (one, two):
        assert (await store.load("t1")).document.name == "latter"
    [found] = await two.claim("node-1", 5, TERMS, LIMIT)
    assert (found.record.document.name, found.lease.epoch) == ("latter", 1)


async def test_dead_letters_go_when_they_are_old(store, database):
    """With and without a task, the oldest first, no more than asked for."""
    for n in range(6):
        await store.dead_letter("broker", f"r{n}", "b", task_id="t1" if n % 2 else None)
    await database.execute(f"UPDATE dead_letters SET at = at - {KEEP + 1} WHERE reason IN ('r0', 'r1', 'r2', 'r3')")
    await database.execute("UPDATE dead_letters SET at = at - 1000 WHERE reason = 'r2'")
    assert await store.forget_dead_letters(KEEP, 1) == 1
    assert [x.reason for x in await store.dead_letters()] == ["r5", "r4", "r3", "r1", "r0"]
    assert await store.forget_dead_letters(KEEP, 10) == 3
    assert await store.forget_dead_letters(KEEP, 10) == 0
    assert [x.reason for x in await store.dead_letters()] == ["r5", "r4"]


async def test_conversations_go_after_their_tasks(store, database):
    """Age counts from the last save; as long as a task is known, its session knows what was said of it."""
    for name in ("quiet", "waits", "told", "fresh"):
        await store.open_session(name)
    await claimed(store, "running", tags={"session": "waits"})
    await ended(store, database, "over", 31, tags={"session": "told"})
    await database.execute(f"UPDATE sessions SET saved_at = saved_at - {KEEP + 1} WHERE id <> 'fresh'")
    assert await store.forget_sessions(KEEP, 1) == 1
    assert await store.forget_sessions(KEEP, 10) == 0
    await store.forget(["over"], KEEP)
    assert await store.forget_sessions(KEEP, 10) == 1
    there = [name for name in ("quiet", "waits", "told", "fresh") if await store.load_session(name)]
    assert there == ["waits", "fresh"]
