"""An attempt that dies, fails or is stopped at any edge, with a second one that finishes what it left."""

import asyncio
from contextlib import suppress

import pytest

from infra.cluster import Cluster
from infra.errors import ContainerError, StateStoreError, StorageError
from infra.state_store import Topic
from schemas.event import EventType, NewEvent
from schemas.failure import Cause
from schemas.paths import Remote
from schemas.state import TaskState
from tests.acceptance.invariants import check
from tests.doubles.engine_ports import CrashError, Fault, bench
from worker.attempt import Attempt, Stop
from worker.journal import Journal
from worker.sweep import Sweep

STEPS = [["append", "/work/trace", f"step-{n} "] for n in range(3)]
DOCUMENTS = {
    "checkpoint": {
        "commands": [*({"command": c} for c in STEPS), {"command": ["copy", "/work/trace", "/out/trace"]}],
        "volumes": ["/work/"],
        "inputs": {"sisyphus:in/a": "/in/a"},
        "outputs": {"sisyphus:r/": "/out/", "sisyphus:said": ">"},
        "checkpoint": True,
    },
    "plain": {
        "commands": [
            {"command": ["print", "hello\n"]},
            {"command": STEPS[0]},
            {"command": ["copy", "/work/trace", "/o/x"]},
        ],
        "volumes": ["/work/"],
        "outputs": {"sisyphus:x": "/o/x", "sisyphus:log": ">>"},
    },
    "no outputs": {"commands": [{"command": ["print", "hello\n"]}]},
    "failing": {
        "commands": [{"command": ["print", "hello\n"]}, {"command": ["exit", "7"]}],
        "outputs": {"sisyphus:x": "/o/x", "sisyphus:log": ">>"},
    },
}


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


class Flaky:
    """A port whose named methods fail as told, once or always."""

    def __init__(self, port, **errors):
        self._port, self._errors = port, errors

    def __getattr__(self, name):
        found = getattr(self._port, name)
        if name not in self._errors:
            return found
        error, times = self._errors[name]

        async def call(*args, **more):
            nonlocal times
            if times > 0:
                times -= 1
                self._errors[name] = (error, times)
                raise error
            return await found(*args, **more)

        return call


class FlakyObjects:
    def __init__(self, objects, **errors):
        self._objects, self._errors, self._stores = objects, errors, {}

    def at(self, remote):
        store = self._objects.at(remote)
        return self._stores.setdefault(id(store), Flaky(store, **self._errors))


async def run_once(system, ports):
    await Attempt(ports, await system.claim(ports.node_id)).run()
    return await system.store.load("t")


async def test_success_after_a_retry_is_a_success_without_outputs(tmp_path):
    """A task without outputs that failed once for our reasons and then succeeds is complete, not failed."""
    async with bench(tmp_path) as system:
        await system.submit(commands=[{"command": ["print", "x\n"]}])
        broken = Flaky(system.runtime, start=(ContainerError("no daemon"), 1))
        assert (await run_once(system, system.ports(runtime=broken))).state is TaskState.RETRY_WAIT
        assert (await run_once(system, system.ports())).state is TaskState.COMPLETE
        assert (await system.store.load("t")).failure is None


async def test_a_promotion_that_fails_once_is_done_again(tmp_path):
    """The manifest says how a task ends: an object store that failed while promoting does not make it a failure."""
    async with bench(tmp_path) as system:
        await system.submit(**DOCUMENTS["plain"])
        broken = FlakyObjects(system.objects, copy=(StorageError("503"), 1))
        first = await run_once(system, system.ports(objects=broken))
        assert (first.state, first.committed) == (TaskState.RETRY_WAIT, True)
        assert (await run_once(system, system.ports())).state is TaskState.COMPLETE


async def test_a_failed_command_stays_failed_when_its_promotion_is_done_again(tmp_path):
    """The log of a failed command is promoted by the next attempt, and the failure is still the command's."""
    async with bench(tmp_path) as system:
        await system.submit(**DOCUMENTS["failing"])
        broken = FlakyObjects(system.objects, copy=(StorageError("503"), 1))
        first = await run_once(system, system.ports(objects=broken))
        assert (first.state, first.committed) == (TaskState.RETRY_WAIT, True)
        record = await run_once(system, system.ports())
        assert record.state is TaskState.EXECUTOR_ERROR
        assert (record.failure.cause, record.failure.exit_code) == (Cause.EXIT, 7)


async def test_a_log_that_cannot_be_stored_leaves_the_commands_failure(tmp_path):
    """`>>` is stored for a failed command if it can be; an object store that refuses does not run it all again."""
    async with bench(tmp_path) as system:
        await system.submit(**DOCUMENTS["failing"])
        broken = FlakyObjects(system.objects, store=(StorageError("503"), 99))
        record = await run_once(system, system.ports(objects=broken))
        assert record.state is TaskState.EXECUTOR_ERROR
        assert record.failure.exit_code == 7


async def test_a_cancel_while_a_node_stops_is_honoured_at_once(tmp_path):
    """The release of a task that was just canceled cancels it; it does not wait for the lease to run out."""
    async with bench(tmp_path) as system:
        await system.submit(commands=[{"command": ["hang"]}])
        attempt = Attempt(system.ports(), await system.claim())
        running = asyncio.create_task(attempt.run())
        while not system.runtime.running:
            await asyncio.sleep(0.01)
        await system.store.cancel("t", "changed my mind")
        attempt.stop(Stop.RELEASED)
        await running
        assert (await system.store.load("t")).state is TaskState.CANCELED
        assert not system.runtime.running


async def test_a_database_hiccup_does_not_silence_the_milestones(tmp_path):
    """Milestones and live output go on after the database failed to answer once, and what was gathered is not lost."""
    async with bench(tmp_path) as system:
        await system.submit(commands=[{"command": ["hang"]}])
        claim = await system.claim()
        journal = Journal(Flaky(system.store, record=(StateStoreError("away"), 1)), claim.lease, claim.record)
        loop = asyncio.create_task(journal.flush_loop())
        async with asyncio.timeout(20), system.store.listen(Topic.EVENT) as listener:
            for message in ("first", "second"):
                journal.note(NewEvent(type=EventType.NOTICE, data={"message": message}))
                while (await system.store.load("t")).message != message:
                    await listener.wait(0.2)
        loop.cancel()
        told = [e.data["message"] for e in await system.store.events("t") if e.type is EventType.NOTICE]
        assert told == ["first", "second"]


async def escape(system, **document):
    await system.submit(max_attempts=1, **document)
    return await run_once(system, system.ports())


async def test_an_output_below_a_linked_directory_is_refused(tmp_path):
    """A command that puts a link in place of a directory cannot have files of the node stored."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("of the node")
    async with bench(tmp_path / "data") as system:
        record = await escape(
            system,
            commands=[{"command": ["link", str(outside), "/out/sub"]}],
            volumes=["/out/"],
            outputs={"sisyphus:stolen": "/out/sub/secret"},
        )
        assert record.state is not TaskState.COMPLETE
        assert record.failure.cause is Cause.INVALID
        assert await system.objects.at(where := Remote.parse("sisyphus:stolen")).stat(where) is None


@pytest.mark.parametrize("path", ["/work/sub/file", "/work/file"])
async def test_a_commands_stdout_cannot_be_sent_out_of_its_tree(tmp_path, path):
    """A link that an earlier command left is not followed when the output of the next one is written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    target = {"/work/sub/file": (str(outside), "/work/sub"), "/work/file": (str(outside / "file"), "/work/file")}[path]
    async with bench(tmp_path / "data") as system:
        record = await escape(
            system,
            commands=[{"command": ["link", *target]}, {"command": ["print", "evil\n"], "stdout": path}],
            volumes=["/work/"],
        )
        assert (outside / "file").read_text() == "untouched"
        assert record.failure.cause is Cause.INVALID


async def test_a_commands_stdin_cannot_be_read_from_outside_its_tree(tmp_path):
    """A link that an earlier command left is not followed when the next one is fed."""
    (tmp_path / "secret").write_text("of the node")
    async with bench(tmp_path / "data") as system:
        record = await escape(
            system,
            commands=[
                {"command": ["link", str(tmp_path / "secret"), "/work/in"]},
                {"command": ["print", "x\n"], "stdin": "/work/in"},
            ],
            volumes=["/work/"],
        )
        assert record.failure is not None
        assert record.failure.cause is Cause.INVALID


@pytest.mark.parametrize("side", ["stdin", "stdout"])
async def test_a_pipe_in_place_of_a_file_does_not_stop_the_node(tmp_path, side):
    """Opening a FIFO that an earlier command left would wait for ever; it is refused."""
    async with bench(tmp_path) as system:
        async with asyncio.timeout(20):
            record = await escape(
                system,
                commands=[{"command": ["fifo", "/work/p"]}, {"command": ["print", "x\n"], side: "/work/p"}],
                volumes=["/work/"],
            )
        assert record.failure is not None
        assert record.failure.cause is Cause.INVALID
