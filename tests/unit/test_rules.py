"""The state machine, the TODO list, lease terms and paths, held by properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import todo
from schemas.failure import RefusalError
from schemas.lease import LeaseTerms
from schemas.legacy import parse_task
from schemas.paths import Internal, Remote
from schemas.state import CLAIMABLE, LEASED, TERMINAL, TRANSITIONS, IllegalTransitionError, TaskState, advance
from schemas.todo import IllegalMoveError, ItemKind, ItemState, TodoItem

states = st.sampled_from(TaskState)


@given(states, states)
def test_advance_follows_the_table(before, after):
    """A move is made exactly when the table has it."""
    if after in TRANSITIONS[before]:
        assert advance(before, after) is after
    else:
        with pytest.raises(IllegalTransitionError):
            advance(before, after)


@given(st.lists(states, max_size=30))
def test_nothing_follows_a_terminal_state(wanted):
    """However moves are tried, a task that reached a terminal state stays there."""
    now, ended = TaskState.QUEUED, None
    for after in wanted:
        try:
            now = advance(now, after)
        except IllegalTransitionError:
            continue
        assert ended is None
        ended = now if now in TERMINAL else None


def test_every_state_is_reachable_and_can_end():
    """From queued every state can be reached, and from every state the task can still be canceled or has ended."""
    reached, front = {TaskState.QUEUED}, [TaskState.QUEUED]
    while front:
        for after in TRANSITIONS[front.pop()] - reached:
            reached.add(after)
            front.append(after)
    assert reached == set(TaskState)
    assert all(TaskState.CANCELED in TRANSITIONS[s] for s in set(TaskState) - TERMINAL)
    assert not LEASED & CLAIMABLE


@given(st.lists(st.sampled_from(ItemState), max_size=12))
def test_an_item_never_goes_back(wanted):
    """Within an epoch the state of an item only rises."""
    order = [ItemState.PENDING, ItemState.IN_PROGRESS, ItemState.COMPLETED]
    item = TodoItem(key="command:0", kind=ItemKind.COMMAND, index=0, title="x")
    for after in wanted:
        before = item.state
        try:
            item = todo.move(item, after, epoch=1)
        except IllegalMoveError:
            continue
        assert before not in {ItemState.COMPLETED, ItemState.FAILED}
        if after is not ItemState.FAILED:
            assert order.index(after) > order.index(before)


@given(st.lists(st.tuples(st.sampled_from(ItemState), st.booleans()), min_size=1, max_size=8))
def test_reopening_keeps_what_is_durable_and_nothing_that_rests_on_lost_work(marks):
    """After a takeover the completed commands are an unbroken run of durable ones."""
    items = [
        TodoItem(key=f"command:{n}", kind=ItemKind.COMMAND, index=n, title="x", state=state, durable=durable)
        for n, (state, durable) in enumerate(marks)
    ]
    after = todo.reopen(items, epoch=2)
    done = [x.state is ItemState.COMPLETED for x in after]
    assert done == sorted(done, reverse=True)
    assert all(x.durable for x in after if x.state is ItemState.COMPLETED)
    assert {x.state for x in after} <= {ItemState.PENDING, ItemState.COMPLETED}


def test_reopening_keeps_stage_ins():
    """A fetched input is fetched again silently; its item does not go back."""
    task = parse_task({"image": "a", "command": ["x"], "inputs": {"b:k": "/in"}})
    items = [x.model_copy(update={"state": ItemState.COMPLETED}) for x in todo.plan_items(task)]
    assert [x.state for x in todo.reopen(items, epoch=2)] == [ItemState.COMPLETED, ItemState.PENDING]


@pytest.mark.parametrize("terms", [(5, 20, 30), (1, 2, 3)])
def test_lease_terms_leave_room(terms):
    """Renew < fence < ttl is accepted."""
    LeaseTerms(renew_s=terms[0], fence_s=terms[1], ttl_s=terms[2])


@pytest.mark.parametrize("terms", [(5, 30, 20), (20, 5, 30), (0, 1, 2), (5, 5, 10)])
def test_lease_terms_without_room_are_refused(terms):
    """Terms under which a paused node could outlive its lease are refused."""
    with pytest.raises(ValidationError):
        LeaseTerms(renew_s=terms[0], fence_s=terms[1], ttl_s=terms[2])


@given(st.text(max_size=40))
def test_remote_round_trip_or_refusal(text):
    """A remote path is refused, or says itself again and cannot climb."""
    try:
        remote = Remote.parse(text)
    except RefusalError:
        return
    assert Remote.parse(str(remote)) == remote
    assert ".." not in remote.key.split("/")
    assert "\0" not in remote.key


@given(st.text("ab./:-_ \0", max_size=14))
def test_remote_bucket_form(text):
    """`bucket:key` is split at the first colon, and nothing that climbs or is empty passes."""
    try:
        remote = Remote.parse(text)
    except RefusalError:
        return
    bucket, _, key = text.partition(":")
    assert (remote.bucket, remote.key) == (bucket, key)


@given(st.text("ab./ \0\n", max_size=14))
def test_internal_is_absolute_and_confined(text):
    """An internal path is absolute, never the root, and never climbs."""
    try:
        path = Internal.parse(text)
    except RefusalError:
        return
    assert path.path.startswith("/")
    assert path.bare
    assert not {".", ".."} & set(path.bare.split("/"))


@given(st.text("ab/", min_size=1, max_size=8), st.text("ab/", min_size=1, max_size=8))
def test_contains_is_by_component(a, b):
    """`/ab` does not contain `/abc`, but contains itself and `/ab/c`."""
    try:
        outer, inner = Internal.parse("/" + a), Internal.parse("/" + b)
    except RefusalError:
        return
    expected = inner.bare.split("/")[: len(outer.bare.split("/"))] == outer.bare.split("/")
    assert outer.contains(inner) is expected
