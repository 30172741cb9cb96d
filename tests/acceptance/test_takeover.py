"""Nodes die; tasks do not. Real processes, killed, paused and drained."""

import asyncio
import random
import signal

import pytest

from infra.runtime import open_runtime
from schemas.event import EventType
from schemas.failure import Cause
from schemas.state import TaskState
from schemas.todo import ItemKind
from tests.acceptance.invariants import check
from tests.acceptance.nodes import SHORT, embedded, shell
from worker.ports import Ports
from worker.sweep import Sweep

STEPS = [
    shell(
        f"echo step-{n} >> /work/trace; sleep 0.6; test {n} = 4 && cp /work/trace /out/trace; true", title=f"step {n}"
    )
    for n in range(1, 5)
]


async def sweep(system):
    runtime = await open_runtime(system.cluster.settings)
    ports = Ports(system.cluster.settings, "sweeper", system.cluster.store, system.cluster.objects, runtime)
    await Sweep(ports, ()).once(grace_s=0)
    await runtime.close()


@pytest.mark.slow
async def test_another_node_resumes_at_the_first_open_item(tmp_path):
    """kill -9 in mid-task: the other node restores the checkpoint and runs only what was not completed."""
    async with embedded(tmp_path) as system:
        await system.start(1)
        task_id = await system.submit(
            commands=STEPS, volumes=["/work/"], outputs={"sisyphus:r/trace": "/out/trace"}, checkpoint=True
        )
        await system.until(task_id, EventType.TODO, item="command:1", state="completed")
        system.kill("n1")
        await system.start(1)
        record = await system.wait(task_id)
        assert record.state is TaskState.COMPLETE, record.failure
        assert record.epoch == 2
        await sweep(system)
        await check(system.cluster, [task_id])
        trace = await system.cluster.read_text(record.document.outputs[0].remote)
        assert trace.split() == ["step-1", "step-2", "step-3", "step-4"]
        exits = [e async for e in system.cluster.follow(task_id) if e.type is EventType.EXIT]
        assert [e.data["item"] for e in exits if e.epoch == 1] == ["command:0", "command:1"]
        assert [e.data["item"] for e in exits if e.epoch == 2] == ["command:2", "command:3"]


@pytest.mark.slow
async def test_without_checkpoint_the_work_is_done_again(tmp_path):
    """What died with the node is reopened, said so, and done again from the start."""
    async with embedded(tmp_path) as system:
        await system.start(2)
        task_id = await system.submit(commands=STEPS, volumes=["/work/"], outputs={"sisyphus:r/trace": "/out/trace"})
        await system.until(task_id, EventType.TODO, item="command:1", state="completed")
        system.kill(str((await system.cluster.status(task_id)).node))
        record = await system.wait(task_id)
        assert record.state is TaskState.COMPLETE
        await sweep(system)
        await check(system.cluster, [task_id])
        events = [e async for e in system.cluster.follow(task_id)]
        reopened = next(e for e in events if e.type is EventType.REOPENED)
        assert list(reopened.data["items"])[:2] == ["command:0", "command:1"]  # the kill may come a step later
        assert (await system.cluster.read_text(record.document.outputs[0].remote)).split()[0] == "step-1"


@pytest.mark.slow
async def test_a_paused_node_is_fenced_and_writes_nothing_more(tmp_path):
    """SIGSTOP for longer than the lease: the watchdog kills node and container, the other node's result stands."""
    async with embedded(tmp_path) as system:
        await system.start(2)
        task_id = await system.submit(
            commands=[shell("sleep 3; echo $SISYPHUS_ATTEMPT > /out/epoch")], outputs={"sisyphus:r/e": "/out/epoch"}
        )
        await system.until(task_id, EventType.CONTAINER)
        victim = str((await system.cluster.status(task_id)).node)
        system.signal(victim, signal.SIGSTOP)
        record = await system.wait(task_id)
        assert record.state is TaskState.COMPLETE
        assert (await system.cluster.read_text(record.document.outputs[0].remote)).strip() == "2"
        assert await system.ended(victim) == -signal.SIGKILL
        await sweep(system)
        await check(system.cluster, [task_id])


@pytest.mark.slow
async def test_a_task_of_a_class_runs_on_nodes_of_that_class_only(tmp_path):
    """A free node of another class neither starts it nor takes it over; the next node of its class does."""
    async with embedded(tmp_path) as system:
        await system.start(1)
        (first,) = await system.start(1, SISYPHUS_QUEUE="gpu")
        task_id = await system.submit(queue="gpu", commands=[shell("sleep 1; echo $SISYPHUS_ATTEMPT")])
        await system.until(task_id, EventType.CONTAINER)
        assert (await system.cluster.status(task_id)).node == first
        system.kill(first)
        others = [await system.submit(commands=[shell("true")]) for _ in range(3)]
        for other in others:
            assert (await system.wait(other)).state is TaskState.COMPLETE
        await asyncio.sleep(2 * SHORT.ttl_s)  # the lease has run out, and the free node has looked several times
        assert (await system.cluster.status(task_id)).epoch == 1
        (second,) = await system.start(1, SISYPHUS_QUEUE="gpu")
        assert (await system.wait(task_id)).state is TaskState.COMPLETE
        claims = [e.data["node"] async for e in system.cluster.follow(task_id) if e.type is EventType.CLAIMED]
        assert claims == [first, second]
        await sweep(system)
        await check(system.cluster, [task_id, *others])


@pytest.mark.slow
async def test_a_task_that_kills_nodes_is_given_up(tmp_path):
    """Three nodes lost on one task: it ends as a system error with a dead letter, and the fourth node lives."""
    async with embedded(tmp_path) as system:
        task_id = await system.submit(commands=[shell("sleep 60")])
        for lost in range(3):
            name = (await system.start(1))[0]
            await system.until(task_id, EventType.CONTAINER, number=lost + 1)
            system.kill(name)
        await system.start(1)
        record = await system.wait(task_id)
        assert record.state is TaskState.SYSTEM_ERROR
        assert record.failure is not None
        assert record.failure.cause is Cause.NODE_LOST
        assert task_id in {x.task_id for x in await system.cluster.store.dead_letters()}
        await check(system.cluster, [task_id])


@pytest.mark.slow
async def test_drain_finishes_what_runs_and_takes_nothing_new(tmp_path):
    """SIGTERM: the running task ends on this node, the waiting one is left for others, the process exits 0."""
    async with embedded(tmp_path, SISYPHUS_SLOTS="1") as system:
        (name,) = await system.start(1)
        running = await system.submit(commands=[shell("sleep 1.5; echo done")])
        await system.until(running, EventType.CONTAINER)
        waiting = await system.submit(commands=[shell("true")])
        system.signal(name, signal.SIGTERM)
        assert await system.ended(name) == 0
        assert (await system.cluster.status(running)).state is TaskState.COMPLETE
        assert (await system.cluster.status(waiting)).state is TaskState.QUEUED
        await system.start(1)
        assert (await system.wait(waiting)).state is TaskState.COMPLETE
        await check(system.cluster, [running, waiting])


@pytest.mark.slow
async def test_second_signal_stops_at_once_and_loses_nothing(tmp_path):
    """The second SIGTERM gives the task back; the next node goes on at the first item not completed, at no cost."""
    async with embedded(tmp_path) as system:
        (name,) = await system.start(1)
        task_id = await system.submit(
            commands=[shell("echo one > /work/a"), shell("sleep 30", title="long")], volumes=["/work/"], checkpoint=True
        )
        await system.until(task_id, EventType.CONTAINER, item="command:1")
        system.signal(name, signal.SIGTERM)
        await asyncio.sleep(0.2)
        system.signal(name, signal.SIGTERM)
        assert await system.ended(name, 20) == 0
        record = await system.cluster.status(task_id)
        assert (record.state, record.attempts, record.nodes_lost) == (TaskState.QUEUED, 0, 0)
        assert next(x.state for x in record.todos if x.kind is ItemKind.COMMAND) == "completed"
        await system.start(1)
        await system.until(task_id, EventType.CONTAINER, number=3)
        await system.cluster.cancel(task_id)
        assert (await system.wait(task_id)).state is TaskState.CANCELED
        await sweep(system)
        await check(system.cluster, [task_id])


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_kills_at_random_points(tmp_path):
    """Fifty kills at random points under load: every invariant holds, and every task completes with the right bytes."""
    rng, kills, tasks = random.Random(20261121), 0, []
    async with embedded(tmp_path, SISYPHUS_NODES_LOST_LIMIT="1000", SISYPHUS_SLOTS="3") as system:
        await system.start(3)

        async def submit() -> None:
            number = len(tasks)
            steps = [shell(f"echo {number}-{n} >> /work/t; sleep 0.{rng.randint(0, 4)}") for n in range(3)]
            steps.append(shell("cp /work/t /out/t; sha256sum /work/t > /out/deep/sum"))
            tasks.append(
                await system.submit(
                    commands=[shell("mkdir -p /out/deep"), *steps],
                    volumes=["/work/"],
                    outputs={f"sisyphus:r/{number}/": "/out/"},
                    checkpoint=number % 2 == 0,
                )
            )

        while kills < 50:
            unfinished = sum([not (await system.cluster.status(t)).is_terminal for t in tasks[-12:]])
            while unfinished < 6:
                await submit()
                unfinished += 1
            await asyncio.sleep(rng.uniform(0.0, 0.8))
            alive = [n for n, p in system.nodes.items() if p.poll() is None]
            system.kill(rng.choice(alive))
            kills += 1
            await system.start(1)
        for number, task_id in enumerate(tasks):
            record = await system.wait(task_id)
            assert record.state is TaskState.COMPLETE, (task_id, record.failure)
            text = await system.cluster.read_text(record.document.outputs[0].remote.child("t"))
            assert text.split() == [f"{number}-{n}" for n in range(3)]
        await asyncio.sleep(0.5)
        await sweep(system)
        records = await check(system.cluster, tasks)
    assert sum(r.epoch > 1 for r in records) >= 10, "hardly any task was hit: the test is too weak"
