"""What a task experiences, on both runtimes, through real node processes."""

import asyncio
import shutil
import subprocess

import pytest
import pytest_asyncio

from infra.errors import ObjectMissingError
from schemas.event import EventType
from schemas.failure import Cause, DocumentError
from schemas.lease import LeaseTerms
from schemas.legacy import parse_task
from schemas.paths import Remote
from schemas.state import TaskState
from schemas.todo import ItemState
from tests.acceptance.invariants import check
from tests.acceptance.nodes import embedded, shell
from tests.conftest import need

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(
    params=["bwrap", pytest.param("docker", marks=pytest.mark.docker)], scope="module", loop_scope="module"
)
async def engine(request, tmp_path_factory):
    """A system with one node, shared by the tests of this file: their tasks have nothing in common."""
    if request.param == "docker":
        answers = shutil.which("docker") and not subprocess.run(["docker", "version"], capture_output=True).returncode
        need(answers, "no Docker engine answers")
    else:
        need(shutil.which("bwrap"), "bubblewrap is not installed")
    async with embedded(
        tmp_path_factory.mktemp("engine"), f"{request.param}://", LeaseTerms(), SISYPHUS_SECRETS__API="hunter22secret"
    ) as system:
        await system.start(1)
        yield system


async def put(system, remote: str, text: str | bytes) -> None:
    source = system.data / "source"
    source.write_bytes(text.encode() if isinstance(text, str) else text)
    await system.cluster.put(source, Remote.parse(remote))


async def read(system, remote: str) -> str:
    return await system.cluster.read_text(Remote.parse(remote))


async def run(system, **document):
    record = await system.wait(await system.submit(**document))
    return (await check(system.cluster, [record.id]))[0]


async def test_inputs_and_outputs_of_every_kind(engine):
    """Files, directories, streams and captures come in and go out, with odd names."""
    await put(engine, "sisyphus:in/a b,c:ü'\".txt", "one two")
    await put(engine, "sisyphus:dir/x", "x")
    await put(engine, "sisyphus:dir/sub/y", "yy")
    record = await run(
        engine,
        inputs={"sisyphus:in/a b,c:ü'\".txt": "/in/a b,c:ü'\".txt", "sisyphus:dir/": "/in/dir/"},
        outputs={
            "sisyphus:out/n": "/out/deep/n",
            "sisyphus:out/tree/": "/tree/",
            "sisyphus:out/top": "/top.txt",
            "sisyphus:out/said": ">",
            "sisyphus:out/log": ">>",
        },
        commands=[
            {"command": ["wc", "-w"], "stdin": "/in/a b,c:ü'\".txt", "stdout": "/out/deep/n"},
            shell("mkdir -p /tree/s; cp -r /in/dir/* /tree/s; echo top > /top.txt; echo said; echo warned >&2"),
        ],
    )
    assert record.state is TaskState.COMPLETE, record.failure
    assert (await read(engine, "sisyphus:out/n")).strip() == "2"
    assert await read(engine, "sisyphus:out/tree/s/sub/y") == "yy"
    assert await read(engine, "sisyphus:out/top") == "top\n"
    assert sorted((await read(engine, "sisyphus:out/said")).split()) == ["said", "warned"]
    log = await read(engine, "sisyphus:out/log")
    assert log.startswith("{")
    assert log.rstrip().endswith("complete")
    assert {x.state for x in record.todos} == {ItemState.COMPLETED}


async def test_the_originals_document(engine):
    """A document of the original system, as it published it, runs unchanged."""
    await put(engine, "sisyphus:data/now", "hello\n")
    task = parse_task(
        {
            "image": "alpine",
            "command": ["md5sum", "/run/in.txt"],
            "inputs": [["sisyphus:data/now", "/run/in.txt"]],
            "outputs": [["sisyphus:data/later", ">"]],
            "timeout": None,
        }
    )
    record = await engine.wait((await engine.cluster.submit(task)).record.id)
    assert record.state is TaskState.COMPLETE, record.failure
    assert await read(engine, "sisyphus:data/later") == "b1946ac92492d2347c6235b4d2611184  /run/in.txt\n"


async def test_a_failing_command_says_why(engine):
    """Exit code and last line are in the failure; `>` is not stored, `>>` is, with the result."""
    record = await run(
        engine,
        commands=[shell("echo fine"), shell("echo broken >&2; exit 7")],
        outputs={"sisyphus:f/said": ">", "sisyphus:f/log": ">>", "sisyphus:f/file": "/out/x"},
    )
    assert record.state is TaskState.EXECUTOR_ERROR
    failure = record.failure
    assert failure is not None
    assert (failure.cause, failure.exit_code, failure.item) == (Cause.EXIT, 7, "command:1")
    assert failure.message == "exit code 7: broken"
    assert failure.log_tail.split() == ["fine", "broken"]
    log = await read(engine, "sisyphus:f/log")
    assert "broken" in log
    assert log.rstrip().endswith("exit code 7: broken")
    with pytest.raises(ObjectMissingError):
        await read(engine, "sisyphus:f/said")


@pytest.mark.parametrize(
    ("document", "cause", "words"),
    [
        ({"commands": [shell("true")], "outputs": {"sisyphus:m/x": "/out/x"}}, Cause.OUTPUT_MISSING, "never wrote"),
        ({"commands": [shell("true")], "outputs": {"sisyphus:m/y": "/y"}}, Cause.OUTPUT_MISSING, "never wrote"),
        ({"commands": [shell("true")], "inputs": {"sisyphus:no/such": "/in/x"}}, Cause.INPUT_MISSING, "no/such"),
        ({"commands": [shell("true")], "inputs": {"sisyphus:no/dir/": "/in/"}}, Cause.INPUT_MISSING, "no/dir"),
        ({"commands": [shell("sleep 60")], "timeout_s": 0.5}, Cause.TIMEOUT, "0.5 s"),
        ({"commands": [{"command": ["no-such-program"]}]}, Cause.EXIT, "no-such-program"),
        (
            {"commands": [shell("ln -s /etc/passwd /out/x")], "outputs": {"sisyphus:m/x": "/out/x"}},
            Cause.INVALID,
            "link",
        ),
        ({"commands": [shell("mkfifo /out/x")], "outputs": {"sisyphus:m/d/": "/out/"}}, Cause.INVALID, "neither"),
        ({"commands": [shell("true")], "secrets": {"T": "unknown"}}, Cause.INVALID, "unknown"),
        ({"commands": [shell("true")], "resources": {"network": "bridge"}}, Cause.INVALID, "network"),
        (
            {
                "commands": [shell("for n in 1 2 3; do head -c 6000000 /dev/zero > /out/$n; done; sleep 30")],
                "outputs": {"sisyphus:m/d/": "/out/"},
                "resources": {"disk_mb": 8},
            },
            Cause.DISK_FULL,
            "disk_mb",
        ),
        (
            {
                "commands": [shell("head -c 200000000 /dev/zero | tail -c 150000000 | wc -c")],
                "resources": {"memory_mb": 32},
            },
            Cause.OUT_OF_MEMORY,
            "memory_mb",
        ),
    ],
)
async def test_failures_have_a_cause_and_words(engine, document, cause, words):
    """Whatever goes wrong, the record says which cause it was and what to look at."""
    record = await run(engine, **document)
    if cause is Cause.OUT_OF_MEMORY:
        need("bubblewrap_without_cgroups" not in engine.log("n1"), "bwrap: control groups that this user may make")
    assert record.failure is not None
    assert (record.failure.cause, words in record.failure.message) == (cause, True), record.failure
    assert record.state in {TaskState.EXECUTOR_ERROR, TaskState.SYSTEM_ERROR}


async def test_a_directory_inside_anothers_parent_exists(engine):
    """An output directory beside a file output is there before the first command, as is a nested volume."""
    record = await run(
        engine,
        commands=[shell("echo d > /out/d/x; echo a > /out/a; echo v > /out/d/v/y")],
        volumes=["/out/d/v/"],
        outputs={"sisyphus:n/a": "/out/a", "sisyphus:n/d/": "/out/d/"},
    )
    assert record.state is TaskState.COMPLETE, record.failure
    assert await read(engine, "sisyphus:n/d/x") == "d\n"


async def test_an_id_belongs_to_one_document(engine):
    """The same document again is the same task; another document under its id is refused, not silently dropped."""
    first = await engine.submit(id="mine", commands=[shell("true")])
    assert await engine.submit(id="mine", commands=[shell("true")]) == first
    with pytest.raises(DocumentError, match="already the id of another document"):
        await engine.submit(id="mine", commands=[shell("false")])
    await engine.wait(first)


async def test_an_empty_output_is_an_output(engine):
    """A file that was written with nothing in it is stored; only one that was never written is missing."""
    record = await run(
        engine, commands=[shell(": > /out/x; : > /y")], outputs={"sisyphus:e/x": "/out/x", "sisyphus:e/y": "/y"}
    )
    assert record.state is TaskState.COMPLETE, record.failure
    assert {x.size_bytes for x in record.outputs} == {0}


async def test_retry_only_when_asked(engine):
    """An exit code that the document names is tried again, within its attempts."""
    record = await run(engine, commands=[shell("exit 75")], retry_exit_codes=[75], max_attempts=2)
    assert (record.state, record.epoch, record.attempts) == (TaskState.EXECUTOR_ERROR, 2, 2)


async def test_progress_result_and_secrets(engine):
    """Milestones are events in order, a one-line output is the result, and no secret is seen anywhere."""
    record = await run(
        engine,
        commands=[
            shell(
                "echo ::progress value=10::first; echo ::notice::the token is $TOKEN; sleep 0.5;"
                "echo ::progress value=60::second; echo 42 > /out/r"
            )
        ],
        outputs={"sisyphus:p/r": "/out/r"},
        secrets={"TOKEN": "API"},
    )
    assert (record.state, record.result) == (TaskState.COMPLETE, "42")
    events = [e async for e in engine.cluster.follow(record.id)]
    told = [e.data["message"] for e in events if e.type in {EventType.PROGRESS, EventType.NOTICE}]
    assert told == ["first", "the token is ***", "second"]
    log = "".join([c.text async for c in engine.cluster.log(record.id)])
    stored = await read(engine, f"sisyphus:.sisyphus/logs/{record.id}/1.log")
    assert "first" in log
    assert "hunter22" not in record.model_dump_json() + str(events) + log + stored


async def test_milestones_come_one_by_one(engine):
    """Each milestone is stored when it is said, not together with a later one or with the end."""
    said = [f"::progress value={n}::m{n}" for n in (10, 30, 50, 70, 90)]
    record = await run(engine, commands=[shell("; sleep 0.8; ".join(f"echo {line}" for line in said))])
    times = [e.at async for e in engine.cluster.follow(record.id) if e.type is EventType.PROGRESS]
    assert len(set(times)) == len(said)


async def test_live_log_is_followed(engine):
    """A follower sees output while the command runs, not only at its end."""
    task_id = await engine.submit(commands=[shell("echo early; sleep 30")])
    async with asyncio.timeout(20):
        async for chunk in engine.cluster.log(task_id, follow=True):
            assert chunk.text == "early\n"
            break
    assert (await engine.cluster.status(task_id)).state is TaskState.RUNNING
    await engine.cluster.cancel(task_id)
    assert (await engine.wait(task_id)).state is TaskState.CANCELED


async def test_cancel_at_every_stage(engine):
    """Before it exists, while it waits, while it runs: a cancel wins, and nothing is left."""
    await engine.cluster.cancel("early-bird")
    task_id = await engine.submit(id="early-bird", commands=[shell("true")])
    assert (await engine.wait(task_id)).state is TaskState.CANCELED
    blockers = [await engine.submit(commands=[shell("sleep 30")]) for _ in range(2)]
    for blocker in blockers:
        await engine.until(blocker, EventType.CONTAINER)
    waiting = await engine.submit(commands=[shell("true")])
    await engine.cluster.cancel(waiting)
    assert (await engine.wait(waiting)).state is TaskState.CANCELED
    for blocker in blockers:
        await engine.cluster.cancel(blocker)
        assert (await engine.wait(blocker)).state is TaskState.CANCELED
    await asyncio.sleep(0.5)
    await check(engine.cluster, [task_id, waiting, *blockers])


async def test_a_flood_of_output_is_bounded(engine):
    """A command that prints without end fills neither memory nor database, and still completes."""
    record = await run(engine, commands=[shell("yes line | head -c 30000000")])
    assert record.state is TaskState.COMPLETE, record.failure
    info = await engine.cluster.objects.at(where := Remote.parse(f"sisyphus:.sisyphus/logs/{record.id}/1.log")).stat(
        where
    )
    assert info is not None
    assert info.size_bytes <= 17 * 1024 * 1024


async def test_image_entrypoint_and_writable_places(engine):
    """The root is read-only, /tmp and the outputs are writable, volumes are shared by the commands."""
    record = await run(
        engine,
        commands=[
            shell("echo a > /tmp/a && echo v > /vol/v; touch /usr/x 2>/dev/null && exit 9; true"),
            shell("cat /vol/v > /out/v; test ! -e /tmp/a"),
        ],
        volumes=["/vol/"],
        outputs={"sisyphus:w/v": "/out/v"},
    )
    assert record.state is TaskState.COMPLETE, record.failure
