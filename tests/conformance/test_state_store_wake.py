"""What listeners may rely on: a change of any process wakes them, and nothing between creation and wait is lost."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from infra.state_store import Change, Topic
from infra.state_stores.wake_sockets import SocketWakes, WakeSender, wake_directory
from schemas.state import TaskState
from tests.conformance.state_store_tools import LIMIT, TERMS, claimed, task

S = TaskState
#: Longest wait for a wake-up that must come, and the wait for one that must not.
LONG, SHORT = 20.0, 0.2


async def test_a_submission_wakes_workers_and_watchers(stores):
    """In another store, that is, as in another process; cancel listeners sleep on."""
    here, there = await stores.open(), await stores.open()
    async with (
        here.listen(Topic.WORK) as work,
        here.listen(Topic.EVENT) as event,
        here.listen(Topic.CANCEL) as cancel,
        here.listen(Topic.CANCEL, Topic.WORK) as both,
    ):
        await there.submit(task(), "t1")
        for listener in (work, event, both):
            assert await listener.wait(LONG)
        assert not await cancel.wait(SHORT)
        assert not await work.wait(SHORT)


async def test_each_kind_of_change_wakes_its_listeners(stores):
    """Cancel of a running task, record, log, release, and the sweep of a claim."""
    here, there = await stores.open(), await stores.open()
    lease = await claimed(there)
    async with here.listen(Topic.EVENT) as event, here.listen(Topic.WORK) as work, here.listen(Topic.CANCEL) as cancel:
        await there.record(lease, Change(state=S.RUNNING))
        assert await event.wait(LONG)
        await there.append_log(lease, 0, "x")
        assert await event.wait(LONG)
        await there.record(lease, Change(state=S.QUEUED))
        assert await work.wait(LONG)
        assert await event.wait(LONG)
        await there.claim("node-1", 1, TERMS, LIMIT)
        assert await event.wait(LONG)
        assert not await cancel.wait(SHORT)
        await there.cancel("t1")
        assert await cancel.wait(LONG)


async def test_a_held_or_waiting_task_wakes_no_worker(stores):
    """There is nothing to claim yet."""
    here, there = await stores.open(), await stores.open()
    async with here.listen(Topic.WORK) as work:
        await there.submit(task(), "t1", hold_s=60)
        lease = await claimed(there, "t2")
        await there.record(lease, Change(state=S.RETRY_WAIT, retry_in_s=60))
        assert not await work.wait(SHORT)


async def test_a_wake_before_the_wait_is_kept(stores):
    """Looking, and waiting only then, misses nothing; many wake-ups may merge into one."""
    here, there = await stores.open(), await stores.open()
    async with here.listen(Topic.EVENT) as first:
        await there.submit(task(), "t1")
        assert await first.wait(LONG)
        await there.submit(task(), "t2")
        await there.submit(task(), "t3")
        assert await here.load("t3") is not None
        assert await first.wait(LONG)


async def test_who_is_woken_finds_the_change(stores):
    """The wake-up comes after the commit: the reader that it wakes sees the state."""
    here, there = await stores.open(), await stores.open()
    async with here.listen(Topic.WORK) as work:
        for n in range(20):
            submission = asyncio.create_task(there.submit(task(), f"t{n}"))
            async with asyncio.timeout(LONG):
                while not await here.claim("node-1", 1, TERMS, LIMIT):
                    await work.wait(LONG)
            await submission


async def test_a_refused_write_wakes_nobody(stores):
    """What was rolled back did not happen."""
    here, there = await stores.open(), await stores.open()
    lease = await claimed(there)
    async with here.listen(Topic.EVENT) as event:
        with pytest.raises(ValueError, match="cannot go"):
            await there.record(lease, Change(state=S.COMPLETE))
        assert not await event.wait(SHORT)


async def test_a_flood_of_events_hides_no_cancel(tmp_path):
    """When the socket was full, the one wake-up that matters may have been dropped: everybody looks."""
    wakes = SocketWakes(tmp_path)
    sender = WakeSender(tmp_path)
    async with wakes.listen([Topic.CANCEL]) as cancel:
        for _ in range(2000):
            sender.send([Topic.EVENT])
        sender.send([Topic.CANCEL])
        assert await cancel.wait(LONG)
    sender.close()


_CHILD = """
import asyncio, sys
from infra.state_store import Topic, open_state_store
from tests.conformance.state_store_tools import task

async def main():
    store = await open_state_store(sys.argv[1])
    async with store.listen(Topic.WORK) as work:
        print("ready", flush=True)
        woken = await work.wait(20)
    print("woken" if woken else "slept", flush=True)
    await store.submit(task(), "t2")
    await store.close()

asyncio.run(main())
"""


async def test_processes_wake_each_other(store, database):
    """A real other process hears of our submission, and we of its."""
    root = Path(__file__).parents[2]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD, database.url, cwd=root, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    await store.submit(task(), "t1")
    async with store.listen(Topic.WORK) as work:
        assert await child.stdout.readline() == b"woken\n"
        assert await work.wait(LONG)
    assert await store.load("t2") is not None
    assert await child.wait() == 0


@pytest.mark.docker
@pytest.mark.parametrize("scheme", ["postgresql+asyncpg"], indirect=True)
async def test_a_broken_wake_connection_comes_back(stores, database):
    """After the server closed every connection the listener is woken again, by itself."""
    here, there = await stores.open(), await stores.open()
    async with here.listen(Topic.WORK) as work:
        await database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert await work.wait(LONG)  # it is back, and says that something may have been missed
        await there.submit(task(), "t1")  # on connections that the server has closed
        assert await work.wait(LONG)


def test_a_socket_of_a_dead_process_is_removed(tmp_path):
    """Whoever notices it first removes it; nobody is disturbed."""
    directory = wake_directory(tmp_path / "x.db")
    directory.mkdir()
    dead, alive = directory / "1-dead.sock", directory / "2-alive.sock"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as here,
    ):
        gone.bind(str(dead))
        gone.close()
        here.bind(str(alive))
        here.settimeout(LONG)
        sender = WakeSender(directory)
        sender.send([Topic.WORK, Topic.EVENT])
        assert here.recv(16) == b"we"
        sender.close()
    assert not dead.exists()
    assert alive.exists()


def test_a_full_socket_does_not_hold_up_the_writer(tmp_path):
    """A listener that does not read loses wake-ups; the writer goes on."""
    directory = wake_directory(tmp_path / "x.db")
    directory.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as here:
        here.bind(str(directory / "1-slow.sock"))
        sender = WakeSender(directory)
        for _ in range(2000):
            sender.send([Topic.EVENT])
        sender.close()
        assert here.recv(16) == b"e"


def test_a_long_path_has_a_short_directory(tmp_path):
    """Socket paths are short; a database in a deep folder gets a directory of its own, the same for every process."""
    deep = tmp_path / ("d" * 100) / "x.db"
    deep.parent.mkdir()
    directory = wake_directory(deep)
    assert directory == wake_directory(tmp_path / ("d" * 100) / ".." / ("d" * 100) / "x.db")
    assert directory != wake_directory(tmp_path / ("d" * 100) / "y.db")
    assert len(os.fsencode(directory)) < 80


@pytest.mark.parametrize("scheme", ["sqlite+aiosqlite"], indirect=True)
async def test_sockets_are_gone_when_nobody_listens(stores, database):
    """No listener, no socket; a new listener has a new one."""
    store, other = await stores.open(), await stores.open()
    directory = wake_directory(Path(database.url.partition("://")[2][1:]))
    for n in range(2):
        async with store.listen(Topic.WORK), store.listen(Topic.EVENT) as event:
            assert len(list(directory.iterdir())) == 1
            await other.submit(task(), f"t{n}")
            assert await event.wait(LONG)
        assert not list(directory.iterdir())
