"""Commands that leave traps for the node that runs them, on both runtimes, through a real node process."""

import asyncio
import shutil
import signal
import subprocess

import pytest
import pytest_asyncio

from infra.errors import ObjectMissingError
from schemas.event import EventType
from schemas.failure import Cause
from schemas.lease import LeaseTerms
from schemas.paths import Remote
from schemas.state import TaskState
from tests.acceptance.invariants import check
from tests.acceptance.nodes import embedded, shell
from tests.conftest import need

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(
    params=["bwrap", pytest.param("docker", marks=pytest.mark.docker)], scope="module", loop_scope="module"
)
async def engine(request, tmp_path_factory):
    """A system with one node, which every test of this file must leave alive."""
    if request.param == "docker":
        answers = shutil.which("docker") and not subprocess.run(["docker", "version"], capture_output=True).returncode
        need(answers, "no Docker engine answers")
    else:
        need(shutil.which("bwrap"), "bubblewrap is not installed")
    async with embedded(tmp_path_factory.mktemp("faults"), f"{request.param}://", LeaseTerms()) as system:
        await system.start(1)
        yield system
        assert system.nodes["n1"].poll() is None, system.log("n1")


async def run(system, **document):
    record = await system.wait(await system.submit(**document))
    return (await check(system.cluster, [record.id]))[0]


@pytest.fixture
def secret(tmp_path_factory):
    """A directory of the node's machine with a file in it that is nobody's business."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "file").write_text("of the node")
    return folder


async def test_a_link_in_place_of_a_directory_gives_no_file_of_the_node_away(engine, secret):
    """What lies behind a link out of the task's tree is not stored as its output."""
    record = await run(
        engine,
        commands=[shell(f"ln -s {secret} /out/sub")],
        volumes=["/out/"],
        outputs={"sisyphus:stolen/file": "/out/sub/file"},
    )
    assert record.failure is not None
    assert record.failure.cause is Cause.INVALID
    with pytest.raises(ObjectMissingError):
        await engine.cluster.read_text(Remote.parse("sisyphus:stolen/file"))


@pytest.mark.parametrize(("link", "stream"), [("/w/sub", "/w/sub/file"), ("/w/file", "/w/file")])
async def test_stdout_is_not_written_through_a_link(engine, secret, link, stream):
    """The node writes a command's output into the task's own tree or not at all."""
    target = secret if link == "/w/sub" else secret / "file"
    record = await run(
        engine,
        commands=[shell(f"ln -s {target} {link}"), shell("echo evil", stdout=stream)],
        volumes=["/w/"],
    )
    assert record.failure is not None
    assert record.failure.cause is Cause.INVALID
    assert (secret / "file").read_text() == "of the node"


async def test_stdin_is_not_read_through_a_link(engine, secret):
    """The node feeds a command from the task's own tree or not at all."""
    record = await run(
        engine,
        commands=[shell(f"ln -s {secret}/file /w/in"), {"command": ["cat"], "stdin": "/w/in"}],
        volumes=["/w/"],
    )
    assert record.failure is not None
    assert record.failure.cause is Cause.INVALID
    assert "of the node" not in "".join([c.text async for c in engine.cluster.log(record.id)])


@pytest.mark.parametrize("side", ["stdin", "stdout"])
async def test_a_pipe_that_nobody_serves_does_not_stop_the_node(engine, side):
    """A FIFO in place of a file is refused; other tasks go on meanwhile."""
    record = await run(
        engine, commands=[shell("mkfifo /w/p"), {"command": ["true"], side: "/w/p"}], volumes=["/w/"], timeout_s=20
    )
    assert record.failure is not None
    assert record.failure.cause is Cause.INVALID
    assert (await run(engine, commands=[shell("true")])).state is TaskState.COMPLETE


async def test_success_at_the_second_attempt_is_a_success(engine):
    """A task without outputs whose first attempt failed and was tried again ends complete."""
    record = await run(
        engine, commands=[shell("test $SISYPHUS_ATTEMPT = 2 || exit 75")], retry_exit_codes=[75], max_attempts=2
    )
    assert (record.state, record.epoch, record.failure) == (TaskState.COMPLETE, 2, None)


async def test_a_read_only_tree_does_not_stay_on_the_nodes_disk(engine):
    """Directories without write permission, such as a module cache, are removed with the attempt."""
    record = await run(
        engine, commands=[shell("mkdir -p /w/a/b; echo x > /w/a/b/c; chmod -R a-w /w/a")], volumes=["/w/"]
    )
    assert record.state is TaskState.COMPLETE
    left = engine.data / "work" / record.id / "1"
    async with asyncio.timeout(30):
        while left.exists():  # removed after the task has ended, by nobody who tells
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_two_clusters_on_one_machine_leave_each_other_alone(engine, tmp_path):
    """A node of another cluster with the same name is killed and fenced: our running task does not notice."""
    runtime = engine.cluster.settings.runtime
    task_id = await engine.submit(commands=[shell("sleep 12; echo whole > /out/x")], outputs={"sisyphus:2/x": "/out/x"})
    await engine.until(task_id, EventType.CONTAINER)
    async with embedded(tmp_path, runtime) as other:
        await other.start(1)
        theirs = await other.submit(commands=[shell("sleep 60")])
        await other.until(theirs, EventType.CONTAINER)
        other.signal("n1", signal.SIGKILL)
        await other.start(1)
        await other.until(theirs, EventType.CLAIMED, number=2)
        record = await engine.wait(task_id)
        assert (record.state, record.epoch) == (TaskState.COMPLETE, 1), record.failure
        await other.cluster.cancel(theirs)
        assert (await other.wait(theirs)).state is TaskState.CANCELED
