"""The sweep's forgetting: logs before rows, never an output, whatever fails or dies in between."""

import asyncio
import sqlite3
from contextlib import suppress

import pytest

from infra.errors import StorageError
from infra.settings import load_settings
from schemas.paths import Remote
from schemas.state import TaskState
from tests.doubles.engine_ports import CrashError, Fault, bench
from worker import retention
from worker.attempt import Attempt
from worker.log_tail import log_remote
from worker.retention import Retention
from worker.sweep import Sweep

PRINTING = {
    "commands": [{"command": ["print", "hello\n"]}],
    "outputs": {"sisyphus:log/{0}": ">>", "sisyphus:r/{0}": ">"},
}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(retention, "PAUSE_S", 0.0)


async def ended(system, task_id, days, epochs=1):
    """A task of which each attempt but the last was given back, and left a log; it ended so many days ago."""
    outputs = {key.format(task_id): value for key, value in PRINTING["outputs"].items()}
    await system.submit(task_id, commands=PRINTING["commands"], outputs=outputs)
    for epoch in range(1, epochs):
        await system.claim()
        await system.objects.at(log := log_of(task_id, epoch)).store(system.data / "sisyphus.db", log)
    await Attempt(system.ports(), await system.claim()).run()
    assert (await system.store.load(task_id)).state is TaskState.COMPLETE
    age(system, task_id, days)


def age(system, task_id, days):
    with sqlite3.connect(system.data / "sisyphus.db", timeout=10) as database:
        database.execute("UPDATE tasks SET finished_at = finished_at - ? WHERE id = ?", (days * 86_400, task_id))
    database.close()


def log_of(task_id, epoch):
    return log_remote("sisyphus", task_id, epoch)


async def there(system, *remotes):
    """Those of the objects that exist."""
    found = [Remote.parse(x) if isinstance(x, str) else x for x in remotes]
    return [str(x) for x in found if await system.objects.at(x).stat(x)]


async def test_the_past_goes_with_its_logs_and_without_its_outputs(tmp_path):
    """Every attempt's log is deleted; what the user asked to be stored stays, as does whatever ended lately."""
    async with bench(tmp_path) as system:
        await ended(system, "old", 31, epochs=3)
        await ended(system, "new", 29)
        await system.store.dead_letter("broker", "old", "b")
        outputs = ["sisyphus:log/old", "sisyphus:r/old", "sisyphus:log/new", "sisyphus:r/new"]
        logs = [log_of("old", 1), log_of("old", 2), log_of("old", 3), log_of("new", 1)]
        assert await there(system, *outputs, *logs) == [*outputs, *map(str, logs)]
        await Sweep(system.ports(), ()).once()
        assert await there(system, *outputs, *logs) == [*outputs, str(logs[-1])]
        assert [x.id for x in await system.store.find()] == ["new"]
        assert len(await system.store.dead_letters()) == 1


async def test_other_terms(tmp_path):
    """The setting says how long, in days; zero keeps everything for ever."""
    async with bench(tmp_path) as system:
        await ended(system, "t1", 1000)
        await ended(system, "t2", 2)
        await Retention(system.ports(keep_days=0)).once()
        assert len(await system.store.find()) == 2
        await Retention(system.ports(keep_days=2.5)).once()
        assert [x.id for x in await system.store.find()] == ["t2"]
        assert load_settings().keep_days == 30


async def test_a_row_outlives_its_logs(tmp_path):
    """Where the object store fails, the row stays to say what is still to be deleted; the next sweep does it."""

    class Broken:
        def __init__(self, store):
            self.store = store

        def at(self, remote):
            return self

        def __getattr__(self, name):
            return getattr(self.store, name)

        async def delete(self, remotes):
            raise StorageError("503")

    async with bench(tmp_path) as system:
        await ended(system, "t", 31)
        broken = Broken(system.objects.at(log_of("t", 1)))
        await Sweep(system.ports(objects=broken), ()).once()
        assert await system.store.load("t") is not None
        await Sweep(system.ports(), ()).once()
        assert await system.store.load("t") is None
        assert await there(system, log_of("t", 1)) == []


async def forget(folder, fault):
    """Two tasks are outdated; a node with that fault forgets, then another one."""
    async with bench(folder) as system:
        for task_id in ("a", "b"):
            await ended(system, task_id, 31)
        with suppress(CrashError):
            await Retention(system.faulty(fault)).once()
        for task_id in ("a", "b"):
            assert await system.store.load(task_id) or not await there(system, log_of(task_id, 1))
        await Retention(system.ports("other")).once()
        assert await system.store.find() == []
        assert await there(system, log_of("a", 1), log_of("b", 1)) == []


async def test_a_node_that_dies_anywhere_leaves_no_log_without_a_row(tmp_path):
    """At every call and on both sides of it; another node then finishes."""
    await forget(tmp_path / "count", count := Fault())
    assert len(count.calls) >= 4
    for number in range(len(count.calls)):
        for after in (False, True):
            fault = Fault(at=number, after=after)
            await forget(tmp_path / f"{number}-{after}", fault)
            assert fault.is_dead


async def test_several_nodes_forget_a_long_past_together(tmp_path, monkeypatch):
    """In many small steps; each looks at what the others left, and what is not outdated stays."""
    monkeypatch.setattr(retention, "BATCH", 3)
    async with bench(tmp_path) as system:
        for n in range(20):
            await ended(system, f"old-{n}", 31 + n)
        await ended(system, "new", 1)
        await asyncio.gather(*(Retention(system.ports(f"n{k}")).once() for k in range(4)))
        await Retention(system.ports()).once()
        assert [x.id for x in await system.store.find()] == ["new"]
        assert await there(system, *(log_of(f"old-{n}", 1) for n in range(20))) == []


async def test_one_sweep_takes_no_more_than_its_share(tmp_path, monkeypatch):
    """A past of years is removed over many sweeps, so that a node's other tidying is not kept waiting."""
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "BATCHES", 3)
    async with bench(tmp_path) as system:
        for n in range(8):
            await ended(system, f"old-{n}", 31)
        for left in (2, 0):
            await Retention(system.ports()).once()
            assert len(await system.store.find()) == left


async def test_one_log_that_cannot_be_deleted_keeps_nothing_else(tmp_path):
    """A task whose log is under a hold stays, with a word in the log; the others and the dead letters go."""
    async with bench(tmp_path) as system:
        await ended(system, "held", 32)
        await ended(system, "free", 31)
        await system.store.dead_letter("broker", "old", "b")
        with sqlite3.connect(system.data / "sisyphus.db", timeout=10) as database:
            database.execute("UPDATE dead_letters SET at = at - ?", (40 * 86_400,))
        store = system.objects.at(log_of("held", 1))

        class Holding:
            def at(self, remote):
                return self

            async def delete(self, remotes):
                if any("/held/" in x.key for x in remotes):
                    raise StorageError("under legal hold")
                await store.delete(remotes)

        await Retention(system.ports(objects=Holding())).once()
        assert [x.id for x in await system.store.find()] == ["held"]
        assert await system.store.dead_letters() == []
