"""For every port call of an attempt: what a crash, an error, a cancel or a lost lease right there leads to."""

from contextlib import suppress

import pytest

from infra.cluster import Cluster
from infra.errors import ContainerError, StateStoreError, StorageError
from schemas.paths import Remote
from schemas.state import TaskState
from tests.acceptance.invariants import check
from tests.doubles.engine_ports import DOCUMENTS, CrashError, Fault, bench
from worker.attempt import Attempt, Stop
from worker.sweep import Sweep


async def put(system, remote="sisyphus:in/a", text="input"):
    source = system.data / "source"
    source.write_text(text)
    where = Remote.parse(remote)
    await system.objects.at(where).store(source, where)


async def sabotage(system, document, fault):
    """One attempt under a fault; nothing of it runs any more afterwards."""
    await system.submit(**document)
    attempt = Attempt(system.faulty(fault), await system.claim("a"))
    with suppress(CrashError, BaseExceptionGroup):
        await attempt.run()


async def edges(tmp_path, document):
    """How many port calls an undisturbed run makes."""
    counting = Fault()
    async with bench(tmp_path / "count") as system:
        await put(system)
        await sabotage(system, document, counting)
        assert (await system.store.load("t")).is_terminal
    assert len(counting.calls) > 5
    return counting.calls


async def verdict(system, where):
    """Every invariant, once the task has ended and the leftovers are swept."""
    await Sweep(system.ports("sweeper"), ()).once(grace_s=0)
    cluster = Cluster(system.settings, system.store, system.objects, None)
    (record,) = await check(cluster, ["t"])
    assert not system.runtime.running, where
    return record


async def finish(system, node="b", rounds=4):
    """Honest nodes run the task to its end."""
    for _ in range(rounds):
        record = await system.store.load("t")
        if record.is_terminal:
            return record
        await Attempt(system.ports(node), await system.claim(node)).run()
    return await system.store.load("t")


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_edge_is_finished_by_another_node(tmp_path, kind, after):
    """For each port call of a run: dead before it or after it, the next attempt ends the task with all invariants."""
    document = DOCUMENTS[kind]
    for number, name in enumerate(await edges(tmp_path, document)):
        async with bench(tmp_path / str(number)) as system:
            await put(system)
            fault, where = Fault(at=number, after=after), (kind, number, name)
            await sabotage(system, document, fault)
            assert fault.has_struck, where
            record = await finish(system)
            assert record.state is wanted(kind), (where, record.failure)
            await verdict(system, where)
            if kind == "checkpoint":
                text = (tmp_path / str(number) / "objects/sisyphus/r/trace").read_text()
                assert text.split() == ["step-0", "step-1", "step-2"], where


def wanted(kind):
    return TaskState.EXECUTOR_ERROR if kind == "failing" else TaskState.COMPLETE


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["checkpoint", "failing"])
@pytest.mark.parametrize("error", [StorageError("503"), ContainerError("gone"), StateStoreError("away")])
async def test_an_error_at_any_edge_costs_an_attempt_at_most(tmp_path, kind, error):
    """For each port call that fails once: the task ends as it should, and a healthy database saves the lease."""
    document = DOCUMENTS[kind]
    ours = {StorageError: "LocalObjectStore", ContainerError: "Played", StateStoreError: "SqlStateStore"}[type(error)]
    for number, name in enumerate(await edges(tmp_path, document)):
        if not name.startswith(ours):
            continue
        async with bench(tmp_path / str(number)) as system:
            await put(system)
            where = (kind, number, name)
            await sabotage(system, document, Fault(at=number, error=error))
            record = await finish(system)
            assert record.state is wanted(kind), (where, record.failure)
            assert type(error) is StateStoreError or record.nodes_lost == 0, where
            await verdict(system, where)


@pytest.mark.slow
@pytest.mark.parametrize("why", list(Stop))
@pytest.mark.parametrize("kind", ["checkpoint", "failing"])
async def test_a_stop_at_any_edge_ends_in_order(tmp_path, kind, why):
    """Canceled, released or taken over at each port call: the right end, and no trace of an attempt that lost."""
    document = DOCUMENTS[kind]
    for number, name in enumerate(await edges(tmp_path, document)):
        async with bench(tmp_path / str(number)) as system:
            await put(system)
            await system.submit(**document)
            fault, where = Fault(at=number), (kind, why, number, name)
            attempt = Attempt(system.faulty(fault), await system.claim("a"))

            async def stop(system=system, attempt=attempt):
                if why is Stop.CANCELED:
                    await system.store.cancel("t", "enough")
                if why is Stop.LOST and not (await system.store.load("t")).is_terminal:
                    system.others = await system.claim("b")
                attempt.stop(why)

            fault.act = stop
            await attempt.run()
            before = await system.store.load("t")
            if why is Stop.LOST and system.others:
                assert (before.epoch, before.node) == (2, "b"), where
                await Attempt(system.ports("b"), system.others).run()
            record = await finish(system)
            ends = {wanted(kind)} | ({TaskState.CANCELED} if why is Stop.CANCELED else set())
            assert record.state in ends, (where, record.failure)
            if record.cancel_requested:
                assert record.state is TaskState.CANCELED, where
                assert before.is_terminal, where
            assert record.nodes_lost == (why is Stop.LOST and system.others is not None), where
            await verdict(system, where)
