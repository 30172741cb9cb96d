"""The invariants of the design, as checkers that read what a run left behind."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from infra.cluster import Cluster
from schemas.event import Event, EventType
from schemas.paths import Remote, Scheme
from schemas.record import TaskRecord
from schemas.state import TERMINAL, TRANSITIONS, TaskState
from schemas.todo import ItemState


async def check(cluster: Cluster, task_ids: list[str]) -> list[TaskRecord]:
    """Assert every invariant for the given tasks, and return their records."""
    records = []
    for task_id in task_ids:
        record = await cluster.status(task_id)
        events = [event async for event in cluster.follow(task_id)]
        one_terminal_state(record, events)
        no_gaps(events)
        epochs_only_rise(record, events)
        todo_never_goes_back(record, events)
        await outputs_are_the_manifests(cluster, record)
        records.append(record)
    await nothing_is_left(cluster, task_ids)
    return records


def one_terminal_state(record: TaskRecord, events: list[Event]) -> None:
    """An accepted task reaches exactly one terminal state, by legal moves, and nothing follows it."""
    moves = [
        (TaskState(str(e.data["from"])), TaskState(str(e.data["to"]))) for e in events if e.type is EventType.STATE
    ]
    assert all(after in TRANSITIONS[before] for before, after in moves), moves
    ends = [after for _, after in moves if after in TERMINAL]
    assert ends == [record.state], (record.id, moves)
    assert events[-1].type is EventType.STATE, (record.id, events[-1])


def no_gaps(events: list[Event]) -> None:
    """`seq` counts from 1 without gaps."""
    assert [e.seq for e in events] == list(range(1, len(events) + 1))


def epochs_only_rise(record: TaskRecord, events: list[Event]) -> None:
    """No event of a lower epoch follows one of a higher epoch, and each claim has an epoch of its own."""
    epochs = [e.epoch for e in events]
    assert epochs == sorted(epochs), (record.id, epochs)
    claims = [e.epoch for e in events if e.type is EventType.CLAIMED]
    assert claims == sorted(set(claims)), (record.id, claims)


def todo_never_goes_back(record: TaskRecord, events: list[Event]) -> None:
    """An item only goes forward; only a logged reopening by a new epoch takes it back."""
    order = {ItemState.PENDING: 0, ItemState.IN_PROGRESS: 1, ItemState.COMPLETED: 2, ItemState.FAILED: 2}
    now = {x.key: ItemState.PENDING for x in record.todos}
    for event in events:
        if event.type is EventType.REOPENED:
            for key in event.data["items"]:  # pyright: ignore[reportGeneralTypeIssues, reportOptionalIterable]
                now[str(key)] = ItemState.PENDING
        elif event.type is EventType.TODO:
            key, after = str(event.data["item"]), ItemState(str(event.data["state"]))
            assert order[after] > order[now[key]], (record.id, key, now[key], after)
            now[key] = after
    assert now == {x.key: x.state for x in record.todos}
    if record.state is TaskState.COMPLETE:
        assert set(now.values()) <= {ItemState.COMPLETED}


async def outputs_are_the_manifests(cluster: Cluster, record: TaskRecord) -> None:
    """One committing epoch for all outputs, and the stored object is the manifest's."""
    assert len({x.epoch for x in record.outputs}) <= 1
    if record.state is not TaskState.COMPLETE:
        return
    for output in record.outputs:
        to = cluster.settings.data / "check"
        info = await cluster.get(output.remote, to)
        digest = hashlib.sha256(to.read_bytes()).hexdigest()
        assert (info.size_bytes, digest) == (output.size_bytes, output.sha256), output.remote


async def nothing_is_left(cluster: Cluster, task_ids: list[str]) -> None:
    """Once things are quiet, no staging object and no process of an ended task is left.

    Both go after the terminal state is stored, so they get a moment.
    """
    async with asyncio.timeout(20):
        while (objects := await _staged(cluster, task_ids)) or (processes := _sandboxes(cluster)):
            await asyncio.sleep(0.1)
    assert not objects
    assert not processes


async def _staged(cluster: Cluster, task_ids: list[str]) -> list[str]:
    prefix = Remote(Scheme.BUCKET, cluster.settings.default_bucket, ".sisyphus/")
    left = [i.remote.key async for i in cluster.objects.at(prefix).list(prefix) if "/logs/" not in i.remote.key]
    return [key for key in left if any(t in key for t in task_ids)]


def _sandboxes(cluster: Cluster) -> list[bytes]:
    running: list[bytes] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if command.startswith(b"bwrap") and str(cluster.settings.data).encode() in command:
            running.append(command)
    return running
