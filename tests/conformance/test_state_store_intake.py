"""What people and producers may rely on: submit, cancel, dead letters, and what can be read back."""

from __future__ import annotations

import asyncio

import pytest

from infra.errors import CancelRequested
from infra.state_store import Change
from schemas.event import EventType
from schemas.failure import Cause, Failure
from schemas.state import IllegalTransitionError, TaskState
from schemas.todo import ItemKind
from tests.conformance.state_store_tools import LIMIT, TERMS, assert_sound, bring, claim, claimed, manifest, task, told

S = TaskState


async def test_a_submitted_task_is_read_back_as_it_was(store):
    """Every part of the document survives, unknown keys and a remote used twice included."""
    inputs = [["sisyphus:in", "/in/a"], ["sisyphus:in", "/in/b"]]
    document = task(inputs=inputs, mystery={"deep": [1, None, "\u00e9\0"]}, tags={"session": "s1", "template": "count"})
    submission = await store.submit(document, "t1")
    assert submission.created
    record = await store.load("t1")
    assert record == submission.record
    assert record.document == document
    assert (record.state, record.seq, record.epoch, record.node) == (S.QUEUED, 1, 0, None)
    assert [x.kind for x in record.todos] == [ItemKind.STAGE_IN] * 2 + [ItemKind.COMMAND] * 2 + [ItemKind.STAGE_OUT]
    [event] = await store.events("t1")
    assert (event.type, event.data) == (EventType.ACCEPTED, {"name": "count words", "template": "count"})
    assert event.at == record.created_at


async def test_another_process_parses_the_same_document(stores):
    """A store that did not see the submission reads an equal record."""
    submission = await (await stores.open()).submit(task(), "t1")
    assert await (await stores.open()).load("t1") == submission.record


async def test_an_unknown_task_is_none(store):
    """Ids that cannot exist are simply unknown."""
    assert await store.load("nothing") is None
    assert await store.load("odd\0id") is None
    assert await store.events("nothing") == []


async def test_submitting_again_finds_the_first(stores):
    """Many stores submit one id at the same time: one creates it, all get the same record."""
    doors = [await stores.open() for _ in range(4)]
    results = await asyncio.gather(*(door.submit(task(), "t1") for door in doors for _ in range(3)))
    assert sorted(x.created for x in results) == [False] * 11 + [True]
    assert {x.record.model_dump_json() for x in results} == {results[0].record.model_dump_json()}
    assert await told(doors[0]) == [("accepted", None)]


async def test_a_redelivery_finds_the_open_task_of_the_same_digest(store):
    """Only a redelivered message is taken for the same task, and only until that has ended."""
    first = await store.submit(task(), "t1", digest="d")
    again = await store.submit(task(), "t2", digest="d", redelivered=True)
    assert (again.created, again.record) == (False, first.record)
    wanted = await store.submit(task(), "t3", digest="d")
    assert (wanted.created, wanted.record.id) == (True, "t3")
    await store.cancel("t1")
    await store.cancel("t3")
    later = await store.submit(task(), "t4", digest="d", redelivered=True)
    assert (later.created, later.record.id) == (True, "t4")


async def test_a_held_task_is_left_to_its_delivery(store, database):
    """During the hold only `claim_task` gets it; afterwards anybody."""
    await store.submit(task(), "t1", hold_s=60)
    await store.submit(task(), "t2", hold_s=60)
    assert await store.claim("node-1", 10, TERMS, LIMIT) == []
    named = await store.claim_task("node-1", "t1", TERMS)
    assert named is not None
    assert (named.lease.epoch, named.takeover) == (1, False)
    await database.age("t2", 61)
    assert (await claim(store)).lease.task_id == "t2"


async def test_accepting_a_delivery_submits_and_claims(store):
    """A delivery is claimed as it is stored; the same delivery once more finds it taken."""
    submission, first = await store.accept(task(), "t1", "node-1", TERMS, digest="d")
    assert submission.created
    assert first is not None
    assert first.record.state is S.INITIALIZING
    again, second = await store.accept(task(), "t9", "node-2", TERMS, digest="d", redelivered=True)
    assert (again.created, again.record.id, second) == (False, "t1", None)


async def test_a_delivery_finds_a_task_that_waits(store):
    """What was submitted by another door and is held for the broker is claimed by its delivery."""
    await store.submit(task(), "t1", hold_s=60)
    submission, found = await store.accept(task(), "t1", "node-1", TERMS)
    assert not submission.created
    assert found is not None
    assert found.lease.epoch == 1


async def test_a_queued_task_is_canceled_at_once(store):
    """No node needs to see it; asking twice changes nothing more."""
    await store.submit(task(), "t1")
    record = await store.cancel("t1", "not needed")
    assert record is not None
    assert (record.state, record.cancel_requested, record.is_terminal) == (S.CANCELED, True, True)
    assert record.failure is not None
    assert (record.failure.cause, record.failure.message) == (Cause.CANCELED, "not needed")
    assert record.finished_at is not None
    assert await store.cancel("t1", "once more") == record
    assert [x for x, _ in await told(store)] == ["accepted", "cancel_requested", "state"]
    assert await store.claim("node-1", 10, TERMS, LIMIT) == []
    assert await store.claim_task("node-1", "t1", TERMS) is None


async def test_a_waiting_retry_is_canceled_at_once(store):
    """Between two attempts nobody holds the task either."""
    lease = await claimed(store)
    await store.record(lease, Change(state=S.RETRY_WAIT, retry_in_s=60))
    record = await store.cancel("t1")
    assert record is not None
    assert record.state is S.CANCELED


@pytest.mark.parametrize("state", [S.INITIALIZING, S.RUNNING, S.COMMITTING])
async def test_a_running_task_is_flagged(store, state):
    """The node learns it at its next write and at its next renewal, and may only move to canceled."""
    lease = await claimed(store)
    await bring(store, lease, state)
    before = await told(store)
    record = await store.cancel("t1", "enough")
    assert record is not None
    assert (record.state, record.cancel_requested) == (state, True)
    await store.cancel("t1", "enough!")
    for refused in (Change(), Change(message="x"), Change(state=S.QUEUED), Change(manifest=manifest(1))):
        with pytest.raises(CancelRequested):
            await store.record(lease, refused)
    ended = await store.record(lease, Change(state=S.CANCELED, failure=Failure(cause=Cause.CANCELED, message="?")))
    assert ended.state is S.CANCELED
    assert ended.failure == Failure(cause=Cause.CANCELED, message="enough"), "the reason of who asked first"
    assert await told(store) == [*before, ("cancel_requested", None), ("state", "canceled")]


async def test_a_cancel_that_comes_first_wins(store):
    """An unknown id leaves a tombstone: its task is born canceled, and no node ever gets it."""
    assert await store.cancel("t1", "too early") is None
    assert await store.cancel("t1", "still too early") is None
    submission = await store.submit(task(), "t1")
    assert (submission.created, submission.record.state) == (True, S.CANCELED)
    assert submission.record.failure is not None
    assert submission.record.failure.message == "too early"
    assert [x for x, _ in await told(store)] == ["accepted", "cancel_requested", "state"]
    assert (await store.submit(task(), "t1")).record == submission.record
    assert await store.claim("node-1", 10, TERMS, LIMIT) == []


async def test_a_canceled_delivery_is_not_claimed(store):
    """The tombstone also stops a task that comes by the broker."""
    await store.cancel("t1")
    submission, found = await store.accept(task(), "t1", "node-1", TERMS)
    assert (submission.record.state, found) == (S.CANCELED, None)


async def test_no_cancel_is_lost_in_a_race(stores):
    """Submit and cancel at the same time: whoever comes first, the task ends canceled."""
    doors = [await stores.open() for _ in range(4)]
    ids = [f"t{n}" for n in range(25)]
    submits = [doors[n % 2].submit(task(), x) for n, x in enumerate(ids)]
    cancels = [doors[2 + n % 2].cancel(x) for n, x in enumerate(ids)]
    await asyncio.gather(*(call for pair in zip(submits, cancels, strict=True) for call in pair))
    records = [await doors[0].load(x) for x in ids]
    assert {x.state for x in records if x} == {S.CANCELED}
    assert None not in records


async def test_a_cancel_after_the_manifest_comes_too_late(store):
    """From the manifest on only promotion is left: the cancel changes nothing, and `canceled` is refused."""
    lease = await claimed(store)
    await bring(store, lease, S.COMMITTING)
    committed = await store.record(lease, Change(manifest=manifest(1)))
    assert await store.cancel("t1") == committed
    with pytest.raises(IllegalTransitionError):
        await store.record(lease, Change(state=S.CANCELED))
    assert (await store.record(lease, Change(state=S.COMPLETE))).state is S.COMPLETE
    assert_sound(await store.events("t1"))


async def test_find_is_newest_first_and_filters(store, database):
    """By state, session and workflow, each and together, within the limit."""
    for n in range(6):
        tags = {"session": f"s{n % 2}"}
        await store.submit(task(workflow=f"w{n % 3}", tags=tags), f"t{n}")
        await database.execute(f"UPDATE tasks SET created_at = {1000 + n} WHERE id = 't{n}'")
    await store.cancel("t5")
    assert [x.id for x in await store.find()] == ["t5", "t4", "t3", "t2", "t1", "t0"]
    assert [x.id for x in await store.find(limit=2)] == ["t5", "t4"]
    assert [x.id for x in await store.find(session="s1")] == ["t5", "t3", "t1"]
    assert [x.id for x in await store.find(workflow="w0")] == ["t3", "t0"]
    assert [x.id for x in await store.find(states=[S.CANCELED, S.RUNNING])] == ["t5"]
    assert [x.id for x in await store.find(states=[S.QUEUED], session="s1", workflow="w0")] == ["t3"]
    assert await store.find(session="nobody") == []
    assert await store.find(limit=1) == [await store.load("t5")]


async def test_dead_letters_are_kept_newest_first(store):
    """With their reason and body, whatever bytes they were made of, within bounds."""
    await store.dead_letter("broker", "not JSON", "first \0 \ud800 \u00e9")
    await store.dead_letter("broker", "r" * 10_000, "b" * 100_000, task_id="t1")
    second, first = await store.dead_letters()
    assert (first.source, first.reason, first.body, first.task_id) == (
        "broker",
        "not JSON",
        "first \ufffd ? \u00e9",
        None,
    )
    assert (len(second.reason), len(second.body), second.task_id) == (4_096, 65_536, "t1")
    assert await store.dead_letters(limit=1) == [second]


async def test_events_are_read_in_pages(store):
    """A reader that remembers the last number misses nothing and sees nothing twice."""
    lease = await claimed(store)
    await bring(store, lease, S.COMPLETE)
    every = await store.events("t1")
    read = []
    while page := await store.events("t1", after=len(read), limit=3):
        read += page
    assert read == every
    assert_sound(every)
