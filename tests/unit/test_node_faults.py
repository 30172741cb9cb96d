"""What a node does when its surroundings fail: the database, the broker, its predecessors, its neighbours."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.errors import BrokerError, ContainerError, StateStoreError
from infra.runtime import LABEL_BOOT, LABEL_CLUSTER, LABEL_EPOCH, LABEL_NODE, LABEL_TASK, ContainerSpec
from infra.state_store import Renewal
from schemas.lease import Lease, LeaseTerms
from schemas.paths import Remote
from schemas.record import NodeRecord
from schemas.state import TaskState
from tests.doubles.engine_ports import bench
from worker import fence, watchdog
from worker import node as node_module
from worker.attempt import Attempt, Stop
from worker.intake import Intake
from worker.lease_keeper import LeaseKeeper
from worker.node import Node
from worker.sweep import COPY_S, UNKNOWN_S, Sweep

TERMS = LeaseTerms(ttl_s=30, renew_s=5, fence_s=20)
ME = NodeRecord(id="a", slots=1, busy=0, draining=False, runtime="bubblewrap", seen_s=0)


class SetClock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


class SilentStore:
    """A store whose renewals are answered as a test says, taking as long as it says."""

    def __init__(self, clock):
        self.clock, self.answers, self.takes_s = clock, True, 0.0

    async def renew(self, node, leases, terms):
        self.clock.now += self.takes_s
        if not self.answers:
            raise StateStoreError("no answer")
        return Renewal(frozenset(x.task_id for x in leases), frozenset())


class Stopped:
    """An attempt that only notes how it was stopped."""

    def __init__(self):
        self.lease, self.why = Lease(task_id="t", epoch=1, node_id="a"), None

    def stop(self, why):
        self.why = why


def keeper(store, clock):
    beats = []

    def beat(*, confirmed):
        beats.append(confirmed)

    return LeaseKeeper(store, TERMS, clock, lambda: ME, beat), beats


async def test_attempts_are_stopped_well_before_the_watchdog_would_end_the_node():
    """A database that stays silent costs the attempts, between the renewal and the fence, and then not the node."""
    clock = SetClock()
    store, attempt = SilentStore(clock), Stopped()
    keep, beats = keeper(store, clock)
    attempts = {"t": attempt}
    assert await keep.renew(attempts)
    store.answers = False
    clock.now += 15
    assert not await keep.renew(attempts)
    assert attempt.why is None
    clock.now += 2
    await keep.renew(attempts)
    assert attempt.why is Stop.LOST
    assert clock.now - 1000 < TERMS.fence_s
    assert beats == [True]
    attempts.clear()
    await keep.renew(attempts)
    assert beats == [True, False]


async def test_a_lease_runs_from_before_the_request():
    """An answer that took long confirms the lease as of when it was asked for, not as of when the answer came."""
    clock = SetClock()
    store, attempt = SilentStore(clock), Stopped()
    keep, _ = keeper(store, clock)
    store.takes_s = 4.0
    await keep.renew({"t": attempt})
    store.answers, store.takes_s = False, 0.0
    clock.now += 13
    await keep.renew({"t": attempt})
    assert attempt.why is Stop.LOST


def container(ports, task_id, epoch, **labels):
    wanted = {LABEL_TASK: task_id, LABEL_EPOCH: str(epoch), LABEL_NODE: ports.node_id, LABEL_CLUSTER: ports.cluster_id}
    return ContainerSpec("i", ["hang"], labels={**wanted, LABEL_BOOT: ports.boot_id, **labels})


async def test_the_sweep_removes_what_is_over_and_nothing_of_a_live_attempt(tmp_path):
    """Containers, directories and staged objects of an ended attempt go; those of a live one and of others stay."""
    async with bench(tmp_path) as system:
        ports = system.ports()
        await system.submit("live", commands=[{"command": ["hang"]}])
        await system.submit("over", commands=[{"command": ["hang"]}])
        await system.store.claim("a", 2, TERMS, 3)
        await system.store.cancel("over")
        system.expire()
        await system.store.claim("b", 2, TERMS, 3)  # ends the canceled one, takes over the live one: epoch 2
        kept = [await system.runtime.start(container(ports, "live", 2))]
        kept.append(await system.runtime.start(container(ports, "over", 1, **{LABEL_CLUSTER: "another"})))
        for task_id in ("live", "over"):
            await system.runtime.start(container(ports, task_id, 1))
        for folder in ("live/1", "live/2", "over/1", "gone"):
            (ports.settings.work_root / folder).mkdir(parents=True)
        source = tmp_path / "source"
        source.write_text("x")
        staged = ["sisyphus:.sisyphus/live/2/0-x", "elsewhere:.sisyphus/live/2/0-x", "sisyphus:.sisyphus/foreign/1/0-x"]
        staged += ["sisyphus:.sisyphus/checkpoints/live/0-1.tar", "sisyphus:.sisyphus/logs/over/1.log"]
        old = ["sisyphus:.sisyphus/over/1/0-x", "elsewhere:.sisyphus/over/1/0-x"]
        old += ["sisyphus:.sisyphus/checkpoints/over/0-1.tar"]
        for text in [*staged, *old]:
            await system.objects.at(Remote.parse(text)).store(source, Remote.parse(text))
        await Sweep(ports, ()).once(grace_s=-1)
        assert set(system.runtime.running) == {c.id for c in kept}
        left = {str(p.relative_to(ports.settings.work_root)) for p in ports.settings.work_root.rglob("*")}
        assert left == {"live", "live/2"}
        there = [t for t in [*staged, *old] if await system.objects.at(Remote.parse(t)).stat(Remote.parse(t))]
        assert there == staged


async def test_objects_of_an_unknown_task_are_leftovers_after_two_weeks(tmp_path):
    """Another cluster may share the bucket: what is not known here is kept longer than any task runs."""
    async with bench(tmp_path) as system:
        source = tmp_path / "source"
        source.write_text("x")
        where = Remote.parse("sisyphus:.sisyphus/foreign/1/0-x")
        await system.objects.at(where).store(source, where)
        path = tmp_path / "objects/sisyphus/.sisyphus/foreign/1/0-x"
        os.utime(path, (path.stat().st_mtime - UNKNOWN_S - 1,) * 2)
        await Sweep(system.ports(), ()).once()
        assert await system.objects.at(where).stat(where) is None


async def test_copies_that_a_killed_process_left_are_removed_after_a_day(tmp_path):
    """Only what is one by its name, lies directly in the work directory, and that nobody wrote to for so long."""
    async with bench(tmp_path) as system:
        root = system.ports().settings.work_root
        (root / "none" / "1").mkdir(parents=True)
        (root / ".get-folder").mkdir()
        old = [".download-a", "..download-a.b.part", ".get-a", ".put-a", ".read-a", ".doctor-a", "a.part"]
        kept = ["mine.txt", "download-a", "none/1/a.part", ".get-folder/.get-a", ".download-new", "new.part"]
        for name in [*old, *kept]:
            (root / name).write_text("x")
            if "new" not in name:
                os.utime(root / name, (time.time() - COPY_S - 1,) * 2)
        await Sweep(system.ports(), ()).once()
        left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        assert left == set(kept)


async def test_one_container_that_cannot_be_removed_does_not_end_the_sweep(tmp_path):
    """What the runtime refuses is tried again later; the rest is swept all the same."""
    async with bench(tmp_path) as system:
        ports = system.ports()
        stuck, other = [await system.runtime.start(container(ports, "none", 1)) for _ in range(2)]
        (ports.settings.work_root / "none/1").mkdir(parents=True)

        async def refuse():
            raise ContainerError("removal is in progress")

        stuck.remove = refuse
        await Sweep(ports, ()).once(grace_s=-1)
        assert other.id not in system.runtime.running
        assert not (ports.settings.work_root / "none").exists()


async def test_a_takeover_removes_the_elder_container_first(tmp_path):
    """A node that died with its watchdog left a container running: the next attempt on this machine ends it."""
    async with bench(tmp_path) as system:
        await system.submit(commands=[{"command": ["print", "x\n"]}])
        dead = system.ports("dead")
        await system.claim("dead")
        await system.runtime.start(container(dead, "t", 1))
        stranger = await system.runtime.start(container(dead, "t", 1, **{LABEL_CLUSTER: "another"}))
        await Attempt(system.ports(), await system.claim()).run()
        assert (await system.store.load("t")).state is TaskState.COMPLETE
        assert set(system.runtime.running) == {stranger.id}


async def test_a_fence_spares_the_node_that_was_started_again_under_the_same_name(tmp_path):
    """Only the containers of the start that died are removed, and one that cannot be does not save the others."""
    async with bench(tmp_path) as system:
        dead, alive = system.ports("n1"), system.ports("n1")
        assert dead.boot_id != alive.boot_id
        stuck, _, kept = [await system.runtime.start(container(p, "t", 1)) for p in (dead, dead, alive)]

        async def refuse():
            raise ContainerError("not now")

        stuck.remove = refuse
        with pytest.raises(ContainerError):
            await fence.fence(system.runtime, "n1", dead.boot_id)
        assert set(system.runtime.running) == {stuck.id, kept.id}


def test_the_watchdog_freezes_then_fences_then_kills(tmp_path):
    """The fence has run to its end before the node dies: where the node is a container's first process, it must."""
    mark = tmp_path / "state"
    # On a busy machine a signal takes a moment to arrive.
    look = f"grep ^State /proc/$PPID/../$0/status > {mark}; grep -q stopped {mark} && break"
    fencing = f"for i in $(seq 50); do {look}; sleep 0.1; done"
    script = (
        "import subprocess, sys, os, time\n"
        f"child = subprocess.Popen([sys.executable, {watchdog.__file__!r}, str(os.getpid()), '0.3',"
        f" 'sh', '-c', {fencing!r}, str(os.getpid())], stdin=subprocess.PIPE)\n"
        "time.sleep(60)\n"
    )
    node = subprocess.Popen([sys.executable, "-c", script])
    assert node.wait(30) == -signal.SIGKILL
    assert mark.read_text().split()[1] == "T"


class Taken:
    """A delivery that notes how it ended."""

    redelivered, message_id = False, "m-1"

    def __init__(self, body):
        self.body, self.ended = body, []

    async def ack(self):
        self.ended.append("ack")

    async def requeue(self):
        self.ended.append("requeue")

    async def dead_letter(self, reason):
        self.ended.append("dead_letter")


class OneDelivery:
    def __init__(self, delivery):
        self.delivery = delivery

    async def take(self, timeout_s):
        return self.delivery


class SlowStore:
    """Accepts when it is let."""

    def __init__(self, store):
        self._store, self.asked, self.let = store, asyncio.Event(), asyncio.Event()

    async def accept(self, *args, **more):
        self.asked.set()
        await self.let.wait()
        return await self._store.accept(*args, **more)


async def test_a_granted_lease_is_not_dropped_however_often_the_intake_is_canceled(tmp_path):
    """Canceled in the middle of an accept, the intake still answers with the claim and acknowledges."""
    async with bench(tmp_path) as system:
        store = SlowStore(system.store)
        delivery = Taken(b'{"image": "i", "command": ["x"]}')
        taking = asyncio.create_task(Intake(system.ports(store=store)).delivered(OneDelivery(delivery), 1))
        await store.asked.wait()
        for _ in range(3):
            taking.cancel()
            await asyncio.sleep(0)
        store.let.set()
        claim = await taking
        assert claim is not None
        assert claim.lease.task_id == "m-1"
        assert delivery.ended == ["ack"]


async def test_a_delivery_of_another_class_is_acknowledged_and_left_to_it(tmp_path):
    """What names no class is run by the node whose queue it came through; what names another one is only stored."""
    async with bench(tmp_path) as system:
        intake = Intake(system.ports(queue="gpu"))
        foreign = Taken(b'{"id": "foreign", "queue": "tpu", "image": "i", "command": ["x"]}')
        assert await intake.delivered(OneDelivery(foreign), 1) is None
        assert foreign.ended == ["ack"]
        claim = await intake.delivered(OneDelivery(Taken(b'{"image": "i", "command": ["x"]}')), 1)
        assert (claim.lease.task_id, claim.record.queue) == ("m-1", "gpu")
        assert await intake.due(5) == await Intake(system.ports()).due(5) == []
        assert [x.lease.task_id for x in await Intake(system.ports(queue="tpu")).due(5)] == ["foreign"]


class Watched:
    """A watchdog that only notes what it is told."""

    told: list[str]

    def __init__(self, *_):
        Watched.told = []

    def beat(self):
        self.told.append("beat")

    def goodbye(self):
        self.told.append("goodbye")


class ListBroker:
    """A broker in a list."""

    def __init__(self, bodies):
        self.bodies = bodies

    async def consume(self):
        return self

    async def take(self, timeout_s):
        if self.bodies:
            return Taken(self.bodies.pop())
        await asyncio.sleep(timeout_s)
        return None

    async def close(self):
        return None


async def ended(system, task_id):
    from infra.state_store import Topic

    async with asyncio.timeout(30), system.store.listen(Topic.EVENT) as listener:
        while (record := await system.store.load(task_id)) is None or not record.is_terminal:
            await listener.wait(0.2)
    return record


async def test_a_node_works_without_its_broker_and_takes_it_up_when_it_comes(tmp_path, monkeypatch):
    """While the broker is away rows are claimed from the store; deliveries are taken as soon as it is there."""
    monkeypatch.setattr(node_module, "Watchdog", Watched)
    is_up = asyncio.Event()
    bodies = [b'{"id": "from-broker", "image": "i", "commands": [{"command": ["print", "x"]}]}']

    async def open_broker(_settings):
        if not is_up.is_set():
            raise BrokerError("nobody answers")
        return ListBroker(bodies)

    monkeypatch.setattr(node_module, "open_broker", open_broker)
    async with bench(tmp_path) as system:
        node = Node(system.ports(broker="amqp://nowhere"))
        running = asyncio.create_task(node.run())
        await system.submit("from-store", commands=[{"command": ["print", "x"]}])
        assert (await ended(system, "from-store")).state is TaskState.COMPLETE
        is_up.set()
        assert (await ended(system, "from-broker")).state is TaskState.COMPLETE
        node.drain()
        await running
        assert Watched.told[-1] == "goodbye"


async def test_a_node_says_goodbye_only_when_nothing_runs_any_more(tmp_path, monkeypatch):
    """A canceled node takes its containers down before it tells the watchdog that there is nothing to fence."""
    monkeypatch.setattr(node_module, "Watchdog", Watched)
    async with bench(tmp_path) as system:
        node = Node(system.ports())
        running = asyncio.create_task(node.run())
        await system.submit(commands=[{"command": ["hang"]}])
        async with asyncio.timeout(20):
            while not system.runtime.running:
                await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not system.runtime.running
        assert Watched.told[-1] == "goodbye"
        assert not any(p.name == "1" for p in Path(tmp_path / "work").rglob("*"))
