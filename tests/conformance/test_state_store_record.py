"""What the holder of a lease may rely on: whole changes or nothing, events in order, the manifest, the live log."""

from __future__ import annotations

import asyncio

import pytest

from infra.errors import CancelRequested, LeaseLost, StateStoreError
from infra.state_store import Change
from infra.state_stores.database import CommitUnknownError
from infra.state_stores.recording import LOG_LIMIT_CHARS
from schemas.event import EventType, NewEvent
from schemas.failure import Cause, Failure
from schemas.state import TERMINAL, IllegalTransitionError, TaskState
from schemas.todo import IllegalMoveError, ItemState
from tests.conformance.state_store_tools import (
    LIMIT,
    TERMS,
    assert_sound,
    bring,
    claim,
    claimed,
    manifest,
    task,
    told,
)

S = TaskState
DONE, BEGUN = ItemState.COMPLETED, ItemState.IN_PROGRESS
EXIT = Failure(cause=Cause.EXIT, message="exit 3", exit_code=3, item="command:0")


def notice(message: str) -> NewEvent:
    return NewEvent(type=EventType.NOTICE, data={"message": message})


async def test_a_whole_life_in_order(store, database):
    """What ended is told before the state it led to, what begins after it, and the terminal state last of all."""
    lease = await claimed(store)
    record = await bring(store, lease, S.COMPLETE)
    assert (record.result, record.progress, record.node, record.failure) == ("42", 100.0, None, None)
    assert record.finished_at is not None
    assert record == await store.load("t1")
    assert await told(store) == [
        ("accepted", None),
        ("claimed", "node-1"),
        ("state", "initializing"),
        ("todo", "stage_in:0"),
        ("state", "running"),
        ("todo", "command:0"),
        ("todo", "command:0"),
        ("todo", "command:1"),
        ("state", "committing"),
        ("todo", "stage_out:0"),
        ("todo", "stage_out:0"),
        ("output", "sisyphus:out"),
        ("state", "complete"),
    ]
    output = (await store.events("t1"))[-2]
    assert output.data == {"remote": "sisyphus:out", "size_bytes": 3, "sha256": "ab12", "line": "42"}
    assert await database.execute("SELECT node, outcome FROM attempts") == [("node-1", "complete")]


async def test_the_callers_events_come_before_what_they_led_to(store):
    """They come in their order, before the events that the change itself implies, with the columns that it sets."""
    lease = await claimed(store)
    record = await store.record(
        lease,
        Change(
            state=S.RUNNING,
            todos={"command:0": BEGUN, "stage_in:0": DONE},
            events=[notice("one"), notice("two")],
            percent=12.5,
            message="two",
        ),
    )
    assert (record.percent, record.message) == (12.5, "two")
    assert (await told(store))[3:] == [
        ("notice", "one"),
        ("notice", "two"),
        ("todo", "stage_in:0"),
        ("state", "running"),
        ("todo", "command:0"),
    ]
    await store.record(lease, Change(state=S.EXECUTOR_ERROR, failure=EXIT, events=[notice("last words")]))
    assert (await told(store))[-2:] == [("notice", "last words"), ("state", "executor_error")]
    final = (await store.events("t1"))[-1]
    assert final.data == {"from": "running", "to": "executor_error", "failure": EXIT.model_dump(mode="json")}


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_a_terminal_state_is_the_end(store, state):
    """It gives the lease back and sets the end; nothing can be written, claimed or canceled afterwards."""
    lease = await claimed(store)
    await bring(store, lease, S.COMMITTING)
    ended = await store.record(lease, Change(state=state, failure=None if state is S.COMPLETE else EXIT))
    assert (ended.state, ended.node, ended.is_terminal) == (state, None, True)
    assert ended.finished_at is not None
    for change in (Change(), Change(state=S.CANCELED), Change(events=[notice("x")])):
        with pytest.raises(LeaseLost):
            await store.record(lease, change)
    assert await store.cancel("t1") == ended
    assert await store.claim("node-2", 1, TERMS, LIMIT) == []
    assert await store.load("t1") == ended
    assert (await told(store))[-1] == ("state", state.value)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (Change(state=S.COMPLETE), IllegalTransitionError),
        (Change(state=S.RUNNING, todos={"stage_in:0": ItemState.PENDING}), IllegalMoveError),
        (Change(state=S.RUNNING, todos={"command:9": DONE}), IllegalMoveError),
        (Change(state=S.RUNNING, durable=("command:0",)), IllegalMoveError),
        (Change(state=S.RUNNING, todos={"command:0": BEGUN}, durable=("command:0",)), IllegalMoveError),
        (Change(state=S.RUNNING, manifest=manifest(7)), IllegalMoveError),
    ],
    ids=["transition", "back", "unknown", "durable_pending", "durable_begun", "foreign_manifest"],
)
async def test_a_change_that_breaks_a_rule_leaves_nothing_behind(store, change, error):
    """All of a change or none of it: neither row nor event nor item is written."""
    await claimed(store)
    lease = (await store.accept(task(), "t2", "node-1", TERMS))[1].lease
    await store.record(lease, Change(todos={"stage_in:0": DONE}))
    before, events = await store.load("t2"), await store.events("t2")
    with pytest.raises(error):
        await store.record(lease, change)
    assert await store.load("t2") == before
    assert await store.events("t2") == events


async def test_items_only_go_forward(store):
    """Completed and failed are final within an epoch."""
    lease = await claimed(store)
    record = await store.record(lease, Change(todos={"command:0": DONE, "command:1": ItemState.FAILED}))
    assert [x.epoch for x in record.todos if x.kind == "command"] == [1, 1]
    for key in ("command:0", "command:1"):
        for to in ItemState:
            with pytest.raises(IllegalMoveError):
                await store.record(lease, Change(todos={key: to}))


async def test_the_manifest_is_committed_once(store):
    """The same manifest again changes nothing, another one is refused, also from a later attempt."""
    lease = await claimed(store)
    await bring(store, lease, S.COMMITTING)
    record = await store.record(lease, Change(manifest=manifest(1)))
    assert (record.committed, record.outputs) == (True, tuple(manifest(1)))
    assert await store.record(lease, Change(manifest=manifest(1))) == record
    with pytest.raises(IllegalMoveError):
        await store.record(lease, Change(manifest=manifest(1, line="43")))
    await store.record(lease, Change(state=S.QUEUED))
    later = (await claim(store)).lease
    with pytest.raises(IllegalMoveError):
        await store.record(later, Change(manifest=manifest(2)))
    assert (await store.load("t1")).outputs == tuple(manifest(1))


async def test_the_manifest_says_how_the_task_ends(store):
    """The failure of an earlier attempt is forgotten by a manifest without one, and no longer shown."""
    lease = await claimed(store)
    await store.record(lease, Change(state=S.RETRY_WAIT, failure=EXIT))
    lease = (await claim(store)).lease
    record = await store.load("t1")
    assert record.failure == EXIT
    record = await bring(store, lease, S.COMPLETE)
    assert record.failure is None


async def test_logs_are_outputs_of_a_failed_task(store):
    """A manifest may end in an executor error; its outputs are told before the state, too."""
    lease = await claimed(store)
    await bring(store, lease, S.COMMITTING)
    await store.record(lease, Change(manifest=manifest(1, line=None), failure=EXIT))
    record = await store.record(lease, Change(state=S.EXECUTOR_ERROR, failure=EXIT))
    assert (record.failure, record.result) == (EXIT, None)
    assert [x for x, _ in await told(store)][-2:] == ["output", "state"]


async def test_an_empty_manifest_commits(store):
    """A task without outputs has a commit, too: afterwards a cancel comes too late."""
    lease = await claimed(store)
    await bring(store, lease, S.COMMITTING)
    record = await store.record(lease, Change(manifest=[]))
    assert record.committed
    assert (await store.cancel("t1")).cancel_requested is False


async def test_a_dead_letter_goes_with_its_task(store):
    """Filed in the transaction that ends the task, with the document."""
    lease = await claimed(store)
    await store.record(lease, Change(state=S.SYSTEM_ERROR, failure=EXIT, counts=True, dead_letter="no luck"))
    [letter] = await store.dead_letters()
    assert (letter.task_id, letter.reason) == ("t1", "no luck")
    assert '"count words"' in letter.body
    assert (await store.load("t1")).attempts == 1


async def test_odd_text_is_storable_everywhere(store):
    """NUL and lone surrogates from a container's output neither fail a write nor a read."""
    odd = "a\0b\ud800c\u00e9"
    lease = await claimed(store, name="n\0ame", workflow="w\0", tags={"session": "s\0"})
    await store.record(lease, Change(message=odd, events=[notice(odd)], percent=1))
    await store.append_log(lease, 0, odd)
    assert (await store.load("t1")).message == "a\ufffdb?c\u00e9"
    assert (await store.events("t1"))[-1].data == {"message": odd}
    assert (await store.log("t1"))[0][1].text == "a\ufffdb?c\u00e9"
    assert [x.id for x in await store.find(session="s\0", workflow="w\0")] == ["t1"]
    await store.cancel("t1", odd)


async def test_a_write_whose_commit_was_not_confirmed_happens_once(store):
    """The connection breaks at the commit: the store tries again and recognises its own write."""
    lease = await claimed(store)
    await bring(store, lease, S.COMMITTING)
    _break_next_commit(store)
    record = await store.record(lease, Change(state=S.COMPLETE, events=[notice("once")]))
    assert record.state is S.COMPLETE
    assert (await told(store))[-2:] == [("notice", "once"), ("state", "complete")]


async def test_an_unconfirmed_submission_happens_once(store):
    """Submitting and canceling are idempotent, so they are simply tried again."""
    _break_next_commit(store)
    submission = await store.submit(task(), "t1")
    assert submission.record.id == "t1"
    _break_next_commit(store)
    assert (await store.cancel("t1")).state is S.CANCELED
    assert [x for x, _ in await told(store)] == ["accepted", "cancel_requested", "state"]


async def test_an_unconfirmed_claim_is_an_error(store, database):
    """Nobody may run a task whose claim is unknown; its lease runs out."""
    await store.submit(task(), "t1")
    _break_next_commit(store)
    with pytest.raises(StateStoreError, match="may or may not"):
        await store.claim("node-1", 1, TERMS, LIMIT)
    await database.age("t1")
    assert (await claim(store)).lease.epoch == 2


def _break_next_commit(store) -> None:
    """The next transaction commits, and then loses its connection before it can say so."""
    database = store._database
    original = database._write

    async def broken(work, token, replayed):
        database._write = original
        await original(work, token, replayed)
        raise CommitUnknownError

    database._write = broken


async def test_numbers_have_no_gaps_under_contention(stores):
    """Events, log, renewals and a cancel from four stores at once: each task's numbers are whole."""
    some = [await stores.open() for _ in range(4)]
    leases = [await claimed(some[0], f"t{n}") for n in range(4)]

    async def write(number: int, lease) -> None:
        for n in range(10):
            try:
                await some[number].record(lease, Change(events=[notice(f"{number}.{n}")]))
                await some[number].append_log(lease, n, f"{number}.{n}")
            except CancelRequested:
                return

    await asyncio.gather(*(write(n, lease) for n in range(4) for lease in leases), some[3].cancel("t3"))
    for n in range(3):
        events = await some[0].events(f"t{n}")
        assert_sound(events)
        assert len([e for e in events if e.type is EventType.NOTICE]) == 40
        assert [number for number, _ in await some[1].log(f"t{n}")] == list(range(1, 41))
    assert_sound(await some[0].events("t3"))


async def test_the_live_log_is_read_in_pages(stores):
    """Chunks keep their order, offset and epoch over a takeover, and a reader can go on where it stopped."""
    store, other = await stores.open(), await stores.open()
    lease = await claimed(store)
    await store.append_log(lease, 0, "hello ")
    await store.append_log(lease, 6, "world\n")
    await store.append_log(lease, 12, "")
    await store.record(lease, Change(state=S.QUEUED))
    lease = (await claim(store)).lease
    await store.append_log(lease, 0, "again\n")
    [first] = await other.log("t1", limit=1)
    rest = await other.log("t1", after=first[0])
    assert [(x.epoch, x.offset, x.text) for _, x in [first, *rest]] == [
        (1, 0, "hello "),
        (1, 6, "world\n"),
        (2, 0, "again\n"),
    ]


async def test_the_live_log_is_bounded(store, database):
    """Beyond the bound the last chunk says so, and the rest is dropped until a new attempt begins."""
    lease = await claimed(store)
    for n in range(7):
        await store.append_log(lease, n * 200_000, "x" * 200_000)
    chunks = [chunk for _, chunk in await store.log("t1")]
    assert len(chunks) == 6
    assert sum(len(x.text) for x in chunks) < LOG_LIMIT_CHARS + 200
    assert chunks[-1].text.endswith(
        "[live output ends here: the task printed too much; the whole log is stored when it ends]\n"
    )
    await database.age("t1")
    lease = (await claim(store)).lease
    await store.append_log(lease, 0, "new")
    [(number, chunk)] = await store.log("t1")
    assert (number, chunk.epoch, chunk.text) == (7, 2, "new")


async def test_a_session_belongs_to_who_opened_it_last(stores):
    """Every opening raises the epoch; the former holder can write no more, and nothing is lost."""
    one, two = await stores.open(), await stores.open()
    first = await one.open_session("s1")
    assert (first.epoch, first.spoken, first.data) == (1, {}, {})
    await one.save_session(first.model_copy(update={"spoken": {"t1": 7}, "data": {"name": "A\0da"}}))
    second = await two.open_session("s1")
    assert (second.epoch, second.spoken, second.data) == (2, {"t1": 7}, {"name": "A\0da"})
    with pytest.raises(LeaseLost):
        await one.save_session(first)
    await two.save_session(second.model_copy(update={"spoken": {"t1": 9}}))
    assert (await one.open_session("s1")).spoken == {"t1": 9}
    with pytest.raises(LeaseLost):
        await one.save_session(first.model_copy(update={"id": "never-opened"}))


async def test_looking_at_a_session_takes_it_from_nobody(stores):
    """It is read as it was last saved; one that was never opened is not made by looking."""
    one, two = await stores.open(), await stores.open()
    assert await two.load_session("s1") is None
    held = await one.open_session("s1")
    await one.save_session(held.model_copy(update={"spoken": {"t1": 7}, "data": {"name": "A\0da"}}))
    seen = await two.load_session("s1")
    assert (seen.epoch, seen.spoken, seen.data) == (1, {"t1": 7}, {"name": "A\0da"})
    await one.save_session(held)
    assert (await two.open_session("s1")).epoch == 2


async def test_racing_openings_of_a_session_all_differ(stores):
    """Many connects at once: each gets an epoch of its own."""
    some = [await stores.open() for _ in range(4)]
    records = await asyncio.gather(*(some[n % 4].open_session("s1") for n in range(12)))
    assert sorted(x.epoch for x in records) == list(range(1, 13))
