"""What an attempt makes of ports that fail, commands that leave traps, and a disk that is full."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from infra.errors import ContainerError, StateStoreError, StorageError
from infra.runtime import Stream
from infra.state_store import Change, Topic
from schemas.event import EventType, NewEvent
from schemas.failure import Cause
from schemas.paths import Remote
from schemas.state import TaskState
from tests.doubles.engine_ports import DOCUMENTS, TERMS, bench
from worker.attempt import Attempt, Stop, log_remote
from worker.journal import Journal
from worker.log_tail import LogSpool


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

    def check(self, remote):
        self._objects.check(remote)


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


def fill_disk(system, epoch=1):
    """The attempt's log lies on a full disk."""
    root = system.ports().settings.work_root / "t" / str(epoch)
    root.mkdir(parents=True)
    (root / "log").symlink_to("/dev/full")


async def test_a_full_disk_ends_the_attempt_at_once_and_it_is_tried_again(tmp_path):
    """Output that cannot be kept does not leave the command waiting for a reader until its time is over."""
    async with bench(tmp_path) as system:
        await system.submit(commands=[{"command": ["babble", "100000"]}])
        fill_disk(system)
        async with asyncio.timeout(20):
            record = await run_once(system, system.ports())
        assert record.state is TaskState.RETRY_WAIT
        assert record.failure.cause is Cause.INFRASTRUCTURE
        assert "No space left" in record.failure.message
        assert not system.runtime.running
        assert not (tmp_path / "work/t/1").exists()


@pytest.mark.parametrize(("command", "state"), [("print", TaskState.COMPLETE), ("exit", TaskState.EXECUTOR_ERROR)])
async def test_a_log_that_does_not_fit_on_the_disk_is_no_verdict(tmp_path, command, state):
    """The last bytes of a log fail to be written: a line in the node's log, and the task ends as it did."""
    async with bench(tmp_path) as system:
        commands = [["print", "hello\n"], ["exit", "3"]] if command == "exit" else [["print", "hello\n"]]
        await system.submit(commands=[{"command": c} for c in commands])
        fill_disk(system)
        assert (await run_once(system, system.ports())).state is state
        assert not (tmp_path / "work/t/1").exists()


async def test_output_that_broke_off_is_no_success(tmp_path):
    """A command whose stdout is an output did not succeed if the stream broke, whatever its exit code says."""
    document = {"commands": [{"command": ["print", "x\n"], "stdout": "/o/x"}], "outputs": {"sisyphus:x": "/o/x"}}
    async with bench(tmp_path) as system:
        await system.submit(**document)
        system.runtime.breaks = ContainerError("the daemon went away")
        record = await run_once(system, system.ports())
        assert record.state is TaskState.RETRY_WAIT
        assert record.failure.cause is Cause.INFRASTRUCTURE
        await system.submit("u", commands=[{"command": ["print", "x\n"]}])
        claims = await system.store.claim("a", 2, TERMS, 3)
        (claim,) = [c for c in claims if c.lease.task_id == "u"]
        await Attempt(system.ports(), claim).run()
        assert (await system.store.load("u")).state is TaskState.COMPLETE


async def test_secrets_of_several_lines_are_blotted_out(tmp_path):
    """A key that is printed line by line is in no log, however the reads fall."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"
    spool = LogSpool(tmp_path / "log", 10_000, print, [key])
    for line in key.splitlines(keepends=True):
        spool.feed(Stream.STDOUT, line.encode())
    spool.close()
    assert "MIIEvQ" not in spool.tail + spool.path.read_text()
    assert "kqhkiG" not in spool.tail + spool.path.read_text()


async def test_progress_goes_on_after_a_flood(tmp_path):
    """Beyond the bound only the latest milestone is kept; it and the end of the command are still told, in order."""
    async with bench(tmp_path) as system:
        await system.submit(commands=[{"command": ["hang"]}])
        claim = await system.claim()
        journal = Journal(system.store, claim.lease, claim.record)
        for n in range(1000):
            journal.note(NewEvent(type=EventType.PROGRESS, data={"percent": n / 10, "message": f"row {n}"}))
        journal.note(NewEvent(type=EventType.EXIT, data={"item": "command:0", "exit_code": 0}))
        record = await journal.write(Change())
        assert (record.percent, record.message) == (99.9, "row 999")
        events = await system.store.events("t")
        assert events[-1].type is EventType.EXIT
        assert events[-2].data["message"] == "row 999"
        assert len(events) < 80


async def test_a_slow_object_store_does_not_hold_up_a_cancel(tmp_path):
    """The state is canceled before the log is stored; the container is gone before that."""
    async with bench(tmp_path) as system:
        await system.submit(commands=[{"command": ["babble", "10"]}])
        store = FlakyObjects(system.objects).at(Remote.parse("sisyphus:x"))
        storing, let = asyncio.Event(), asyncio.Event()

        class Slow:
            def at(self, remote):
                return self

            async def store(self, source, remote, on_bytes=None):
                storing.set()
                await let.wait()
                return await store.store(source, remote)

        attempt = Attempt(system.ports(objects=Slow()), await system.claim())
        running = asyncio.create_task(attempt.run())
        async with asyncio.timeout(20), system.store.listen(Topic.EVENT) as listener:
            while not await system.store.log("t"):
                await listener.wait(0.2)
            await system.store.cancel("t", "enough")
            attempt.stop(Stop.CANCELED)
            await storing.wait()
        assert (await system.store.load("t")).state is TaskState.CANCELED
        assert not system.runtime.running
        let.set()
        await running
        assert await system.objects.at(log := log_remote("sisyphus", "t", 1)).stat(log) is not None


def test_a_tree_without_permissions_is_removed():
    """Commands leave read-only and closed directories behind; links in them are not followed."""
    script = (
        "import os, sys; from pathlib import Path; from worker.staging import remove_tree\n"
        "outside, tree = Path(sys.argv[1]), Path(sys.argv[1], 'tree')\n"
        "os.getuid() == 0 and (outside.chmod(0o777), os.setgid(65534), os.setuid(65534))\n"
        "(tree / 'a/b').mkdir(parents=True); (tree / 'a/b/c').touch(); (tree / 'z/y').mkdir(parents=True)\n"
        "(outside / 'kept').mkdir(0o500); (tree / 'link').symlink_to(outside / 'kept')\n"
        "[p.chmod(m) for p, m in ((tree / 'a/b', 0o555), (tree / 'a', 0o555), (tree / 'z/y', 0), (tree / 'z', 0))]\n"
        "remove_tree(tree)\n"
        "assert not tree.exists() and (outside / 'kept').stat().st_mode & 0o777 == 0o500\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", script, folder], check=True, cwd=Path(__file__).parents[2])


async def test_two_outputs_for_one_key_are_refused(tmp_path):
    """A file that a directory output holds too would be stored twice under one key, in any order."""
    async with bench(tmp_path) as system:
        record = await escape(
            system,
            commands=[{"command": ["append", "/a/y", "one"]}, {"command": ["append", "/b/z", "two"]}],
            outputs={"sisyphus:x/": "/a/", "sisyphus:x/y": "/b/z"},
        )
        assert record.failure is not None
        assert record.failure.cause is Cause.INVALID
        assert "sisyphus:x/y" in record.failure.message
