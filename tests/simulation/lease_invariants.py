"""The invariants of a task that the state store alone can break, as checkers of its record and its events."""

from __future__ import annotations

from schemas.event import Event, EventType
from schemas.record import TaskRecord
from schemas.state import TERMINAL, TRANSITIONS, TaskState
from schemas.todo import ItemKind, ItemState


def check(record: TaskRecord, events: list[Event]) -> None:
    """All of them: numbers, epochs, states, items, outputs, and that no start follows a cancel."""
    assert [e.seq for e in events] == list(range(1, record.seq + 1))
    assert [e.epoch for e in events] == sorted(e.epoch for e in events)
    claims = [e.epoch for e in events if e.type is EventType.CLAIMED]
    assert claims == list(range(1, record.epoch + 1))
    check_states(record, events)
    check_todos(record, events)
    assert len({x.epoch for x in record.outputs}) <= 1
    asked = [e.seq for e in events if e.type is EventType.CANCEL_REQUESTED]
    assert len(asked) == record.cancel_requested
    assert not asked or max([e.seq for e in events if e.type is EventType.CLAIMED], default=0) < asked[0]


def check_states(record: TaskRecord, events: list[Event]) -> None:
    """One legal chain of states; a terminal one is the last event of all."""
    state = TaskState.QUEUED
    for event in events:
        if event.type is EventType.STATE:
            assert event.data["from"] == state.value
            after = TaskState(str(event.data["to"]))
            assert after in TRANSITIONS[state]
            assert (after in TERMINAL) == (record.is_terminal and event is events[-1])
            state = after
    assert state is record.state
    assert record.is_terminal == (record.finished_at is not None)


def check_todos(record: TaskRecord, events: list[Event]) -> None:
    """Items only go forward; only a claim takes them back, says so, and never touches what is durable."""
    order = {ItemState.PENDING: 0, ItemState.IN_PROGRESS: 1, ItemState.COMPLETED: 2, ItemState.FAILED: 2}
    now = {x.key: ItemState.PENDING for x in record.todos}
    for event in events:
        if event.type is EventType.REOPENED:
            keys = event.data["items"]
            assert isinstance(keys, list)
            now |= {str(key): ItemState.PENDING for key in keys}
        elif event.type is EventType.TODO:
            key, after = str(event.data["item"]), ItemState(str(event.data["state"]))
            assert order[after] > order[now[key]]
            now[key] = after
    assert now == {x.key: x.state for x in record.todos}
    commands = [x for x in record.todos if x.kind is ItemKind.COMMAND]
    broken = False
    for item in commands:
        assert not (item.durable and item.state is not ItemState.COMPLETED and not broken), f"{item.key} went back"
        broken = broken or item.state is not ItemState.COMPLETED
