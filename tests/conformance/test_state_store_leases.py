"""What nodes may rely on when they claim, renew, lose and take over leases."""

from __future__ import annotations

import asyncio

import pytest

from infra.errors import LeaseLost
from infra.state_store import Change
from schemas.event import EventType
from schemas.failure import Cause, Failure
from schemas.lease import Lease, LeaseTerms
from schemas.record import NodeRecord
from schemas.state import TaskState
from schemas.todo import ItemState
from tests.conformance.state_store_tools import LIMIT, TERMS, bring, claim, claimed, manifest, task, told

S = TaskState


def node(name: str = "node-1", busy: int = 0) -> NodeRecord:
    return NodeRecord(id=name, slots=2, busy=busy, draining=False, runtime="bwrap", seen_s=0)


async def test_claims_go_by_priority_then_age(store, database):
    """The urgent first, among equals the oldest, and no more than asked for."""
    for n, priority in enumerate([5, 9, 5, 0, 9]):
        await store.submit(task(priority=priority), f"t{n}")
        await database.execute(f"UPDATE tasks SET created_at = {100 - n} WHERE id = 't{n}'")
    first = await store.claim("node-1", 3, TERMS, LIMIT)
    rest = await store.claim("node-1", 3, TERMS, LIMIT)
    assert [x.lease.task_id for x in first] == ["t4", "t1", "t2"]
    assert [x.lease.task_id for x in rest] == ["t0", "t3"]
    assert await store.claim("node-1", 0, TERMS, LIMIT) == []


async def test_a_claim_is_an_epoch_with_its_events(store):
    """Epoch 1, the state, the owner and the start are there in one step."""
    await store.submit(task(), "t1")
    found = await claim(store)
    assert found.lease == Lease(task_id="t1", epoch=1, node_id="node-1")
    assert not found.takeover
    assert (found.record.state, found.record.node, found.record.epoch) == (S.INITIALIZING, "node-1", 1)
    assert found.record.started_at is not None
    assert await store.load("t1") == found.record
    assert await told(store) == [("accepted", None), ("claimed", "node-1"), ("state", "initializing")]
    event = (await store.events("t1"))[1]
    assert (event.type, event.epoch, event.data) == (EventType.CLAIMED, 1, {"node": "node-1", "takeover": False})


async def test_racing_nodes_never_claim_one_task_twice(stores):
    """Six stores claim from one queue at the same time: each task is claimed once, at epoch 1."""
    nodes = [await stores.open() for _ in range(6)]
    for n in range(40):
        await nodes[0].submit(task(priority=n % 10), f"t{n}")

    async def drain(number: int) -> list[Lease]:
        held: list[Lease] = []
        while found := await nodes[number].claim(f"node-{number}", 3, TERMS, LIMIT):
            held += [x.lease for x in found]
        return held

    held = [lease for leases in await asyncio.gather(*(drain(n) for n in range(6))) for lease in leases]
    late = await nodes[0].claim("late", 40, TERMS, LIMIT)  # rows that others had locked while a drain looked
    held += [x.lease for x in late]
    assert sorted(x.task_id for x in held) == sorted(f"t{n}" for n in range(40))
    assert {x.epoch for x in held} == {1}


async def test_racing_deliveries_never_claim_one_task_twice(stores):
    """The same delivery at eight nodes: one of them gets the lease."""
    nodes = [await stores.open() for _ in range(4)]
    for n in range(8):
        results = await asyncio.gather(
            *(nodes[k % 4].accept(task(), f"t{n}", f"node-{k}", TERMS) for k in range(8)),
        )
        assert sum(x.created for x, _ in results) == 1
        assert len([x for _, x in results if x]) == 1


async def test_renewal_keeps_the_lease(store, database):
    """A renewed lease cannot be taken over, even if it had nearly or just run out."""
    lease = await claimed(store)
    await database.age("t1", 20)
    assert (await store.renew(node(), [lease], TERMS)).kept == {"t1"}
    await database.age("t1", 20)
    assert await store.claim("node-2", 1, TERMS, LIMIT) == []
    await database.age("t1")
    assert (await store.renew(node(), [lease], TERMS)).kept == {"t1"}
    assert await store.claim("node-2", 1, TERMS, LIMIT) == []


async def test_renewal_tells_what_is_lost_and_what_is_canceled(store, database):
    """Of many leases in one call, each is judged by its own epoch and owner."""
    leases = [await claimed(store, f"t{n}") for n in range(4)]
    await store.record(leases[0], Change(state=S.QUEUED))
    await database.age("t1")
    await store.claim("node-2", 10, TERMS, LIMIT)
    await store.cancel("t2")
    foreign = Lease(task_id="t3", epoch=1, node_id="node-9")
    renewal = await store.renew(node(), leases, TERMS)
    assert (renewal.kept, renewal.canceled) == ({"t2", "t3"}, {"t2"})
    assert (await store.renew(node(), [foreign], TERMS)).kept == frozenset()
    assert (await store.renew(node(), [], TERMS)).kept == frozenset()


async def test_nodes_are_known_by_their_heartbeat(store, database):
    """The last word of each node, until ten lease terms of silence."""
    await store.renew(node("node-1"), [], TERMS)
    await store.renew(node("node-2", busy=1), [], TERMS)
    await store.renew(node("node-1", busy=2), [], TERMS)
    first, second = await store.nodes()
    assert (first.id, first.busy, first.slots, second.id) == ("node-1", 2, 2, "node-2")
    assert 0 <= first.seen_s < 60
    await database.execute("UPDATE nodes SET seen_at = seen_at - 299 WHERE id = 'node-1'")
    await database.execute("UPDATE nodes SET seen_at = seen_at - 301 WHERE id = 'node-2'")
    [left] = await store.nodes()
    assert left.id == "node-1"
    assert left.seen_s >= 299


async def test_an_expired_lease_is_taken_over(stores, database):
    """Another node goes on with the next epoch; the lost one is counted and its attempt closed."""
    one, two = await stores.open(), await stores.open()
    old = await claimed(one)
    await bring(one, old, S.RUNNING)
    await one.record(old, Change(percent=40, message="nearly"))
    assert await two.claim("node-2", 1, TERMS, LIMIT) == []
    await database.age("t1")
    found = await claim(two, "node-2")
    assert (found.takeover, found.lease.epoch, found.record.node) == (True, 2, "node-2")
    assert (found.record.state, found.record.nodes_lost, found.record.attempts) == (S.INITIALIZING, 1, 0)
    assert found.record.percent is None
    assert (await told(one))[-3:] == [("claimed", "node-2"), ("state", "initializing"), ("reopened", None)]
    rows = await database.execute("SELECT epoch, node, outcome, ended_at IS NULL FROM attempts ORDER BY epoch")
    assert [(a, b, c, bool(d)) for a, b, c, d in rows] == [(1, "node-1", "node_lost", False), (2, "node-2", None, True)]


async def test_a_real_lease_runs_out_by_the_databases_clock(stores):
    """Not before its term, and then without anybody's help."""
    one, two = await stores.open(), await stores.open()
    short = LeaseTerms(ttl_s=0.4, fence_s=0.2, renew_s=0.1)
    await one.accept(task(), "t1", "node-1", short)
    async with asyncio.timeout(30):
        while not await two.claim("node-2", 1, TERMS, LIMIT):
            await asyncio.sleep(0.02)
    first, second = [e for e in await two.events("t1") if e.type is EventType.CLAIMED]
    assert (second.at - first.at).total_seconds() >= 0.399


@pytest.mark.parametrize(
    "change",
    [
        Change(),
        Change(state=S.RUNNING),
        Change(todos={"command:0": ItemState.COMPLETED}),
        Change(manifest=manifest(1)),
        Change(state=S.CANCELED),
        Change(state=S.QUEUED),
    ],
    ids=["nothing", "state", "todo", "manifest", "cancel", "release"],
)
async def test_a_lost_lease_refuses_every_write(store, database, change):
    """Whatever the former holder wants to write, nothing of it arrives."""
    old = await claimed(store)
    await database.age("t1")
    taken = await claim(store, "node-2")
    with pytest.raises(LeaseLost):
        await store.record(old, change)
    await store.append_log(old, 0, "from the dead")
    assert (await store.renew(node(), [old], TERMS)).kept == frozenset()
    assert await store.load("t1") == taken.record
    assert await store.log("t1") == []


async def test_the_same_node_is_fenced_too(store, database):
    """A node that takes over from itself, after a restart under its old name, holds the new epoch only."""
    old = await claimed(store)
    await database.age("t1")
    assert (await claim(store, "node-1")).lease.epoch == 2
    with pytest.raises(LeaseLost):
        await store.record(old, Change(state=S.RUNNING))
    assert (await store.renew(node(), [old], TERMS)).kept == frozenset()


async def test_leases_of_others_and_of_nothing_are_refused(store):
    """The right epoch is not enough, and an unknown task is lost, too."""
    await claimed(store)
    for lease in (Lease(task_id="t1", epoch=1, node_id="x"), Lease(task_id="t2", epoch=1, node_id="node-1")):
        with pytest.raises(LeaseLost):
            await store.record(lease, Change())


async def test_an_expired_lease_writes_until_somebody_took_over(store, database):
    """Late is not lost: nobody else may have acted on it."""
    lease = await claimed(store)
    await database.age("t1")
    record = await store.record(lease, Change(state=S.RUNNING))
    assert record.state is S.RUNNING


async def test_a_task_that_loses_nodes_is_given_up(store, database):
    """The third lost node ends it as a system error, with the last known error, and as a dead letter."""
    await store.submit(task(), "t1")
    lease = (await claim(store)).lease
    known = Failure(cause=Cause.INFRASTRUCTURE, message="the image server is gone", log_tail="tail")
    await store.record(lease, Change(state=S.RETRY_WAIT, failure=known, counts=True))
    for lost in range(3):
        assert (await claim(store, f"node-{lost}")).record.nodes_lost == lost
        await database.age("t1")
    assert await store.claim("node-9", 1, TERMS, LIMIT) == []
    record = await store.load("t1")
    assert record is not None
    assert (record.state, record.nodes_lost, record.attempts, record.epoch) == (S.SYSTEM_ERROR, 3, 1, 4)
    assert record.failure is not None
    assert (record.failure.cause, record.failure.log_tail) == (Cause.NODE_LOST, "tail")
    assert "3 nodes were lost" in record.failure.message
    assert "the image server is gone" in record.failure.message
    [letter] = await store.dead_letters()
    assert (letter.source, letter.task_id, letter.reason) == ("poison", "t1", record.failure.message)
    assert '"count words"' in letter.body
    assert (await told(store))[-1] == ("state", "system_error")
    with pytest.raises(LeaseLost):
        await store.record(Lease(task_id="t1", epoch=4, node_id="node-2"), Change())


async def test_an_expired_task_that_is_to_be_canceled_ends(store, database):
    """No further attempt is made for a task that nobody wants."""
    await claimed(store)
    await store.cancel("t1", "enough")
    assert await store.claim("node-2", 1, TERMS, LIMIT) == []
    await database.age("t1")
    assert await store.claim("node-2", 1, TERMS, LIMIT) == []
    record = await store.load("t1")
    assert record is not None
    assert record.state is S.CANCELED
    assert record.failure is not None
    assert (record.failure.cause, record.failure.message) == (Cause.CANCELED, "enough")
    assert (await told(store))[-1] == ("state", "canceled")


async def test_many_hopeless_tasks_do_not_hide_the_others(store, database):
    """Tasks to be given up take no slot of the claim that finds them."""
    for n in range(40):
        await claimed(store, f"h{n}", priority=9)
        await store.cancel(f"h{n}")
    await store.submit(task(priority=0), "t1")
    await database.execute("UPDATE tasks SET due_at = due_at - 3600 WHERE lease_owner IS NOT NULL")
    found = [x.lease.task_id for _ in range(2) for x in await store.claim("node-2", 10, TERMS, LIMIT)]
    assert found == ["t1"]
    assert len(await store.find(states=[S.CANCELED], limit=100)) == 40


async def test_work_that_died_with_its_node_is_reopened(store, database):
    """Unfinished items and commands without a durable effect are pending again, and an event says which."""
    lease = await claimed(store)
    await bring(store, lease, S.RUNNING)
    await store.record(lease, Change(todos={"command:0": ItemState.COMPLETED, "command:1": ItemState.IN_PROGRESS}))
    await database.age("t1")
    found = await claim(store, "node-2")
    states = {x.key: x.state for x in found.record.todos}
    assert states.pop("stage_in:0") is ItemState.COMPLETED
    assert set(states.values()) == {ItemState.PENDING}
    event = (await store.events("t1"))[-1]
    assert (event.type, event.data, event.epoch) == (EventType.REOPENED, {"items": ["command:0", "command:1"]}, 2)
    assert await store.load("t1") == found.record


async def test_durable_work_survives_its_node(store, database):
    """With a checkpoint the next attempt goes on at the first item that is not completed."""
    lease = await claimed(store)
    await bring(store, lease, S.RUNNING)
    await store.record(lease, Change(todos={"command:0": ItemState.COMPLETED}, durable=("command:0",)))
    await store.record(lease, Change(todos={"command:1": ItemState.COMPLETED}))
    await store.record(lease, Change(durable=("command:1", "command:0")))
    await database.age("t1")
    found = await claim(store, "node-2")
    done = [x.key for x in found.record.todos if x.state is ItemState.COMPLETED]
    assert done == ["stage_in:0", "command:0", "command:1"]
    assert (await told(store))[-1] == ("state", "initializing")


async def test_nothing_is_reopened_after_the_manifest(store, database):
    """The next attempt finds the task committed, with the outputs to promote and the verdict."""
    lease = await claimed(store)
    await bring(store, lease, S.COMMITTING)
    failure = Failure(cause=Cause.EXIT, message="exit 1", exit_code=1)
    committed = await store.record(lease, Change(manifest=manifest(1), failure=failure))
    await database.age("t1")
    found = await claim(store, "node-2")
    assert found.record.todos == committed.todos
    assert (found.record.committed, found.record.outputs, found.record.failure) == (True, tuple(manifest(1)), failure)
    assert (await told(store))[-1] == ("state", "initializing")


async def test_a_released_task_is_free_at_once(store):
    """A drain gives the task back: it counts neither as an attempt nor as a lost node."""
    lease = await claimed(store)
    await bring(store, lease, S.RUNNING)
    record = await store.record(lease, Change(state=S.QUEUED, message="released"))
    assert (record.state, record.node, record.attempts, record.nodes_lost) == (S.QUEUED, None, 0, 0)
    with pytest.raises(LeaseLost):
        await store.record(lease, Change())
    found = await claim(store, "node-2")
    assert (found.lease.epoch, found.takeover, found.record.nodes_lost) == (2, False, 0)


async def test_a_retry_waits_for_its_time(store, database):
    """Not claimable before, not by name either; then by anybody, and the failure is counted and told."""
    lease = await claimed(store)
    failure = Failure(cause=Cause.INFRASTRUCTURE, message="no luck")
    record = await store.record(lease, Change(state=S.RETRY_WAIT, failure=failure, retry_in_s=50, counts=True))
    assert (record.state, record.attempts, record.failure, record.node) == (S.RETRY_WAIT, 1, failure, None)
    assert (await told(store))[-2:] == [("state", "retry_wait"), ("retry", None)]
    data = (await store.events("t1"))[-1].data
    assert data == {"delay_s": 50, "failure": failure.model_dump(mode="json")}
    assert await store.claim_task("node-2", "t1", TERMS) is None
    assert await store.claim("node-2", 1, TERMS, LIMIT) == []
    await database.age("t1", 51)
    found = await claim(store, "node-2")
    assert (found.lease.epoch, found.takeover, found.record.attempts) == (2, False, 1)
    [row] = await database.execute("SELECT outcome, failure FROM attempts WHERE epoch = 1")
    assert row == ("retry_wait", failure.model_dump_json())


async def test_only_queued_tasks_are_claimed_by_name(store):
    """A late delivery of a task that runs or has ended gets nothing."""
    lease = await claimed(store)
    assert await store.claim_task("node-2", "t1", TERMS) is None
    await bring(store, lease, S.COMPLETE)
    assert await store.claim_task("node-2", "t1", TERMS) is None
    assert await store.claim_task("node-2", "unknown", TERMS) is None
