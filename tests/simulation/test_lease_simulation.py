"""Nodes that claim, write, pause, crash and lose their leases in any order: the invariants of a task hold all the same.

Hypothesis plays the nodes, the users and the time against a real SQLite store. A lease is never forgotten: one that
was lost long ago may still try to write. What the store must answer is known from a model of who holds what.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from infra.errors import CancelRequested, LeaseLost
from infra.state_store import Change, Claim, StateStore, open_state_store
from schemas.failure import Cause, Failure
from schemas.lease import Lease, LeaseTerms
from schemas.legacy import parse_task
from schemas.record import NodeRecord, OutputRecord, TaskRecord
from schemas.state import CLAIMABLE, IllegalTransitionError, TaskState
from schemas.todo import IllegalMoveError, ItemKind, ItemState
from tests.simulation.lease_invariants import check

T = TypeVar("T")
S = TaskState
TERMS, LIMIT, TASKS, NODES = LeaseTerms(), 3, 6, ("node-a", "node-b", "node-c")
LOST = Failure(cause=Cause.INFRASTRUCTURE, message="no luck")

task_numbers = st.integers(0, TASKS - 1)
nodes = st.sampled_from(NODES)
#: Picks from what there is, by remainder. A race may end either way, so neither the number of things to pick from nor
#: whether there is any may steer what Hypothesis draws.
indexes = st.integers(0, 255)


@cache
def template() -> Path:
    """A migrated, empty database."""
    path = Path(tempfile.mkdtemp()) / "template.db"

    async def migrate() -> None:
        await (await open_state_store(f"sqlite+aiosqlite:///{path}")).close()

    asyncio.run(migrate())
    return path


class Leases(RuleBasedStateMachine):
    """The model: every lease that was ever granted, and for each task who holds it now."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "store.db"
        shutil.copy(template(), self.path)
        self.loop = asyncio.new_event_loop()
        self.stores: list[StateStore] = [self.run(open_state_store(f"sqlite+aiosqlite:///{self.path}")) for _ in "ab"]
        self.granted: list[Lease] = []
        self.holder: dict[str, Lease] = {}
        self.record: dict[str, TaskRecord] = {}
        self.expired: set[str] = set()
        self.canceled_unseen: set[str] = set()
        self.touched: set[str] = set()
        self.manifests: dict[str, tuple[OutputRecord, ...]] = {}

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a call to its end."""
        return self.loop.run_until_complete(call)

    @property
    def store(self) -> StateStore:
        """The first store; it stands for most nodes."""
        return self.stores[0]

    # ------------------------------------------------------------------ users

    @rule(number=task_numbers, checkpoint=st.booleans(), commands=st.integers(1, 3), priority=st.integers(0, 9))
    def submit(self, number: int, checkpoint: bool, commands: int, priority: int) -> None:
        """A new task, or the same once more."""
        task_id = f"t{number}"
        submission = self.run(self.store.submit(document(checkpoint, commands, priority), task_id))
        assert submission.created == (task_id not in self.record)
        if submission.created:
            assert (submission.record.state is S.CANCELED) == (task_id in self.canceled_unseen)
        self.seen(submission.record)

    @rule(number=task_numbers, is_committed=st.booleans())
    def cancel(self, number: int, is_committed: bool) -> None:
        """A stop, perhaps of a task that has not come yet, perhaps of one that is all but done."""
        done = sorted(x.id for x in self.record.values() if x.committed and not x.is_terminal)
        task_id = done[number % len(done)] if done and is_committed else f"t{number}"
        before = self.record.get(task_id)
        record = self.run(self.store.cancel(task_id, "enough"))
        assert (record is None) == (before is None)
        if record is None or before is None:
            self.canceled_unseen.add(task_id)
            return
        if before.is_terminal or before.committed:
            assert record == before
        elif before.state in CLAIMABLE:
            assert record.state is S.CANCELED
        else:
            assert record.cancel_requested
        self.seen(record)

    # ------------------------------------------------------------------ time

    @rule(index=indexes)
    def let_time_pass(self, index: int) -> None:
        """A lease runs out, or a retry becomes due."""
        if self.record:
            self.age(sorted(self.record)[index % len(self.record)])

    @rule()
    def cut_the_power(self) -> None:
        """Every node dies at once."""
        for task_id in self.holder:
            self.age(task_id)

    def age(self, task_id: str) -> None:
        """Make a task due."""
        with sqlite3.connect(self.path, timeout=10) as raw:
            raw.execute("UPDATE tasks SET due_at = due_at - 10000 WHERE id = ?", (task_id,))
        raw.close()
        if task_id in self.holder:
            self.expired.add(task_id)

    # ------------------------------------------------------------------ nodes

    @rule(node=nodes, limit=st.integers(1, 3))
    def claim(self, node: str, limit: int) -> None:
        """Claim what is due."""
        before = self.swept()
        self.grant(node, self.run(self.store.claim(node, limit, TERMS, LIMIT)))
        self.check_swept(before)

    @rule()
    def race(self) -> None:
        """Two nodes claim at the same time from different processes."""
        before = self.swept()

        async def both() -> list[list[Claim]]:
            calls = (s.claim(n, 2, TERMS, LIMIT) for s, n in zip(self.stores, NODES, strict=False))
            return await asyncio.gather(*calls)

        for node, claims in zip(NODES, self.run(both()), strict=False):
            self.grant(node, claims)
        self.check_swept(before)

    @rule(node=nodes, number=task_numbers)
    def deliver(self, node: str, number: int) -> None:
        """The broker delivers a task, perhaps again."""
        task_id = f"t{number}"
        before = self.record.get(task_id)
        submission, found = self.run(self.store.accept(document(False, 2, 5), task_id, node, TERMS))
        self.seen(submission.record)
        free = before is None and task_id not in self.canceled_unseen
        assert (found is not None) == (free or (before is not None and before.state is S.QUEUED))
        self.grant(node, [found] if found else [])

    @rule(node=nodes)
    def renew(self, node: str) -> None:
        """A node renews everything it believes to hold, old epochs included."""
        believed = [x for x in self.granted if x.node_id == node]
        me = NodeRecord(id=node, slots=2, busy=0, draining=False, runtime="none", seen_s=0)
        renewal = self.run(self.store.renew(me, believed, TERMS))
        held = {x.task_id for x in self.holder.values() if x.node_id == node}
        assert renewal.kept == held
        assert renewal.canceled == {x for x in held if self.record[x].cancel_requested}
        self.expired -= held

    @rule(
        index=indexes, steps=st.integers(1, 6), ending=st.sampled_from(["go on", "go on", "retry", "release", "fail"])
    )
    def work(self, index: int, steps: int, ending: str) -> None:
        """The holder of some lease, a current one as a rule, takes its next steps."""
        choice = [*self.holder.values(), *self.holder.values(), *self.granted]
        if not choice:
            return
        lease = choice[index % len(choice)]
        for number in range(steps):
            self.step(lease, ending if number == steps - 1 else "go on")
            if self.holder.get(lease.task_id) != lease:
                return

    @rule(steps=st.integers(1, 5))
    def everybody_works(self, steps: int) -> None:
        """All is well for a while."""
        for _ in range(steps):
            for lease in list(self.holder.values()):
                self.step(lease, "go on")

    def step(self, lease: Lease, ending: str) -> None:
        """One step of a node that learns of a cancel only by being refused."""
        try:
            self.write(lease, next_change(self.record[lease.task_id], lease, ending))
        except CancelRequested:
            self.write(lease, Change(state=S.CANCELED))
        except (IllegalTransitionError, IllegalMoveError):
            return  # an earlier misbehaviour left the task where no well-behaved node would

    @rule(
        index=indexes,
        state=st.sampled_from(S),
        item=st.sampled_from(["command:0", "stage_out:0"]),
        to=st.sampled_from(ItemState),
    )
    def misbehave(self, index: int, state: S, item: str, to: ItemState) -> None:
        """A node asks for anything; the rules are the store's to keep."""
        if not self.granted:
            return
        lease = self.granted[index % len(self.granted)]
        try:
            self.write(lease, Change(state=state, todos={item: to}))
        except (IllegalTransitionError, IllegalMoveError, CancelRequested):
            assert self.run(self.store.load(lease.task_id)) == self.record[lease.task_id]

    @rule(index=indexes)
    def print_something(self, index: int) -> None:
        """Output of a lost lease is dropped, silently."""
        if not self.granted:
            return
        lease = self.granted[index % len(self.granted)]
        before = self.run(self.store.log(lease.task_id))
        self.run(self.store.append_log(lease, 0, "x"))
        after = self.run(self.store.log(lease.task_id))
        assert len(after) - len(before) == (self.holder.get(lease.task_id) == lease)

    # ------------------------------------------------------------------ the model

    def write(self, lease: Lease, change: Change) -> None:
        """Record; the model knows whether the lease is good."""
        before = self.record[lease.task_id]
        is_held = self.holder.get(lease.task_id) == lease
        try:
            record = self.run(self.store.record(lease, change))
        except LeaseLost:
            assert not is_held, f"{lease} is held, but was refused"
            return
        assert is_held, f"{lease} was lost, but could write"
        assert change.state is S.CANCELED or before.committed or not before.cancel_requested
        if record.node is None:
            del self.holder[lease.task_id]
            self.expired.discard(lease.task_id)
        self.seen(record)

    def grant(self, node: str, claims: Sequence[Claim]) -> None:
        """Note new leases: each is the next epoch of a task that nobody holds."""
        for found in claims:
            task_id, before = found.lease.task_id, self.record[found.lease.task_id]
            assert found.lease.node_id == node
            assert found.lease.epoch == before.epoch + 1
            assert found.takeover == (task_id in self.holder)
            assert not found.takeover or task_id in self.expired
            assert not before.cancel_requested
            assert not before.committed or found.record.todos == before.todos
            self.granted.append(found.lease)
            self.holder[task_id] = found.lease
            self.expired.discard(task_id)
            self.seen(found.record)

    def swept(self) -> set[str]:
        """The tasks that the next claim must end."""
        hopeless = (
            x for x in self.expired if self.record[x].cancel_requested or self.record[x].nodes_lost + 1 >= LIMIT
        )
        return set(hopeless)

    def check_swept(self, tasks: set[str]) -> None:
        """They have ended."""
        for task_id in tasks:
            record = self.run(self.store.load(task_id))
            assert record is not None
            wanted = S.CANCELED if record.cancel_requested else S.SYSTEM_ERROR
            assert record.state is wanted
            del self.holder[task_id]
            self.expired.discard(task_id)
            self.seen(record)

    def seen(self, record: TaskRecord) -> None:
        """Remember what the store said last."""
        self.record[record.id] = record
        self.touched.add(record.id)

    @invariant()
    def tasks_are_sound(self) -> None:
        """Every task that was touched by the last step satisfies the invariants of the design."""
        for task_id in self.touched:
            record = self.run(self.store.load(task_id))
            assert record is not None
            assert record == self.record[task_id]
            check(record, self.run(self.store.events(task_id)))
            assert record.node == (self.holder[task_id].node_id if task_id in self.holder else None)
            if record.committed:
                assert self.manifests.setdefault(task_id, record.outputs) == record.outputs
        self.touched.clear()

    def teardown(self) -> None:
        """Whatever happened: one good node brings every accepted task to its end."""
        try:
            for _ in range(60):
                if all(x.is_terminal for x in self.record.values()):
                    break
                for task_id in sorted(self.record):
                    if task_id not in self.holder or self.holder[task_id].node_id != "good":
                        self.age(task_id)
                self.claim("good", TASKS)
                self.everybody_works(1)
            assert all(x.is_terminal for x in self.record.values())
            self.tasks_are_sound()
        finally:
            for store in self.stores:
                self.run(store.close())
            self.loop.close()
            self.folder.cleanup()


def document(checkpoint: bool, commands: int, priority: int) -> Any:
    """A task with one input and one output."""
    return parse_task(
        {
            "image": "alpine:3",
            "commands": [{"command": ["true"]}] * commands,
            "inputs": {"b:in": "/in"},
            "outputs": {"b:out": "/out"},
            "checkpoint": checkpoint,
            "priority": priority,
        }
    )


def next_change(record: TaskRecord, lease: Lease, ending: str) -> Change:
    """What a well-behaved node writes next, by what it last knew of the task."""
    if ending == "retry" and record.state in {S.INITIALIZING, S.RUNNING, S.COMMITTING}:
        return Change(state=S.RETRY_WAIT, failure=None if record.committed else LOST, counts=True)
    if ending == "release" and record.state in {S.INITIALIZING, S.RUNNING, S.COMMITTING}:
        return Change(state=S.QUEUED)
    if ending == "fail" and not record.committed:
        return Change(state=S.EXECUTOR_ERROR, failure=LOST)
    if record.state is S.INITIALIZING:
        fetched = {
            x.key: ItemState.COMPLETED for x in record.todos if x.kind is ItemKind.STAGE_IN and not is_over(x.state)
        }
        return Change(state=S.COMMITTING if record.committed else S.RUNNING, todos=fetched)
    if record.state is S.RUNNING:
        return next_command(record)
    if record.committed:
        return Change(state=S.EXECUTOR_ERROR if record.failure else S.COMPLETE, failure=record.failure)
    values = {"remote": "b:out", "staged": f"b:.sisyphus/{lease.epoch}", "size_bytes": 1, "sha256": str(lease.epoch)}
    return Change(manifest=[OutputRecord.model_validate({**values, "epoch": lease.epoch})])


def next_command(record: TaskRecord) -> Change:
    """Begin or complete the first command that is not over; after the last one, commit."""
    for item in record.todos:
        if item.kind is ItemKind.COMMAND and not is_over(item.state):
            if item.state is ItemState.PENDING:
                return Change(todos={item.key: ItemState.IN_PROGRESS})
            durable = (item.key,) if record.document.checkpoint else ()
            return Change(todos={item.key: ItemState.COMPLETED}, durable=durable)
    return Change(state=S.COMMITTING)


def is_over(state: ItemState) -> bool:
    """Whether the item moves no more in this attempt."""
    return state in {ItemState.COMPLETED, ItemState.FAILED}


Leases.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLeases = Leases.TestCase
