"""Real nodes forget what ended long ago, while they work on what did not."""

import asyncio
import shutil
import sqlite3
from contextlib import asynccontextmanager

from infra.cluster import open_cluster
from infra.object_store import ObjectStores
from infra.runtime import open_runtime
from infra.settings import load_settings
from infra.state_store import Topic, open_state_store
from schemas.legacy import parse_task
from schemas.paths import Remote, Scheme
from schemas.state import TaskState
from tests.acceptance.invariants import check
from tests.acceptance.nodes import shell
from tests.conftest import need
from worker import node as node_module
from worker import sweep
from worker.node import Node
from worker.ports import Ports


@asynccontextmanager
async def node(settings, name):
    """A node as `sisyphus worker` makes it, in this process."""
    runtime, store = await open_runtime(settings), await open_state_store(settings.database_url)
    objects = ObjectStores(settings)
    found = Node(Ports(settings, name, store, objects, runtime))
    running = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        found.drain()
        await asyncio.wait_for(running, 60)
        for port in (objects, store, runtime):
            await port.close()


async def submit(cluster, name, script):
    outputs = {f"sisyphus:{name}/out": "/out/x", f"sisyphus:{name}/log": ">>"}
    task = parse_task({"image": "alpine:3", "commands": [shell(script)], "outputs": outputs})
    return (await cluster.submit(task)).record.id


async def keys(cluster):
    """Every object, the cluster's own among them."""
    where = Remote(Scheme.BUCKET, "sisyphus", "")
    return {info.remote.key async for info in cluster.objects.at(where).list(where)}


class NoWatchdog:
    """The real one would kill the process of the tests if that stood still."""

    def __init__(self, *_):
        return None

    def beat(self):
        return None

    def goodbye(self):
        return None


async def test_two_nodes_forget_what_ended_and_go_on_with_the_rest(tmp_path, monkeypatch):
    """A month after their end tasks and logs are gone; outputs, younger tasks and the one that runs are not."""
    need(shutil.which("bwrap"), "bubblewrap is not installed")
    monkeypatch.setattr(sweep, "SWEEP_S", 0.3)
    monkeypatch.setattr(node_module, "Watchdog", NoWatchdog)
    settings = load_settings(data=tmp_path, runtime="bwrap://", keep_days=30)
    async with open_cluster(settings) as cluster, node(settings, "n1"), node(settings, "n2"):
        succeeded = await submit(cluster, "succeeded", "echo done; echo x > /out/x")
        failed = await submit(cluster, "failed", "echo broken; exit 3")
        recent = await submit(cluster, "recent", "echo done; echo x > /out/x")
        records = [await cluster.wait(x) for x in (succeeded, failed, recent)]
        assert [x.state for x in records] == [TaskState.COMPLETE, TaskState.EXECUTOR_ERROR, TaskState.COMPLETE]
        running = await submit(cluster, "running", f"until test -e {tmp_path}/go; do sleep 0.1; done; echo x > /out/x")
        logs = {x: f".sisyphus/logs/{x}/1.log" for x in (succeeded, failed, recent)}
        async with asyncio.timeout(30):
            while not set(logs.values()) <= await keys(cluster):
                await asyncio.sleep(0.05)
        with sqlite3.connect(tmp_path / "sisyphus.db", timeout=10) as database:
            month = f"{31 * 86_400}"
            database.execute(
                f"UPDATE tasks SET finished_at = finished_at - {month} WHERE id IN (?, ?)", (succeeded, failed)
            )
            database.execute(f"UPDATE tasks SET created_at = created_at - {month}")
        database.close()
        async with asyncio.timeout(60), cluster.store.listen(Topic.EVENT) as listener:
            while len(await cluster.store.find()) > 2:
                await listener.wait(0.1)
        assert {x.id for x in await cluster.store.find()} == {recent, running}
        assert (await cluster.status(running)).state not in {TaskState.COMPLETE, TaskState.CANCELED}
        await cluster.cancel(running)
        await cluster.wait(running)
        await check(cluster, [recent, running])
        left = await keys(cluster)
        assert {x for x in left if not x.startswith(".sisyphus/")} == {
            *("succeeded/out", "succeeded/log", "failed/log", "recent/out", "recent/log"),
        }
        assert logs[recent] in left
        assert not {logs[succeeded], logs[failed]} & left
