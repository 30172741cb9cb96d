"""What a container may use, see and leave behind: limits, network, privileges, orphans; the same for every runtime."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.errors import ContainerError
from infra.runtime import LABEL_EPOCH, LABEL_NODE, LABEL_TASK, RUNTIMES, ContainerSpec, ExitStatus, Mount, Runtime
from schemas.task import Resources
from tests.conformance.runtime_kit import (
    IMAGE,
    KILLED,
    open_by_scheme,
    processes_with,
    run,
    scheme_of,
    shell,
    unique_seconds,
    until,
    usable_runtime,
)
from tests.conftest import need


@pytest.fixture(params=sorted(RUNTIMES))
async def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Runtime]:
    async with usable_runtime(str(request.param), tmp_path) as opened:
        yield opened


def _need_groups(runtime: Runtime) -> None:
    limits = getattr(runtime, "limits", "cgroup")
    need(limits.startswith("cgroup"), f"{runtime.name}: {limits}")


async def test_out_of_memory_of_the_command(runtime: Runtime) -> None:
    """A command that is killed for memory ends with that verdict."""
    await run(runtime, "true")
    _need_groups(runtime)
    done = await run(runtime, "tail", "/dev/zero", resources=Resources(memory_mb=32))
    assert done.status == ExitStatus(KILLED, out_of_memory=True)


async def test_out_of_memory_of_a_child(runtime: Runtime) -> None:
    """A child killed for memory is a failure, even where the shell above it goes on and exits with 0."""
    await run(runtime, "true")
    _need_groups(runtime)
    done = await shell(runtime, "tail /dev/zero; echo went on; exit 0", resources=Resources(memory_mb=32))
    assert done.out == b"went on\n"
    assert done.status == ExitStatus(0, out_of_memory=True)
    assert not done.status.is_success


async def test_number_of_processes_is_limited(runtime: Runtime) -> None:
    """A fork bomb is held at the limit."""
    await run(runtime, "true")
    if os.geteuid() == 0:  # rlimits on the number of processes do not bind root
        _need_groups(runtime)
    script = "i=0; while [ $i -lt 60 ]; do sleep 20 & i=$((i+1)); done; echo all forked"
    async with asyncio.timeout(60):
        done = await shell(runtime, script, resources=Resources(pids=16))
    assert done.status.code != 0
    assert b"all forked" not in done.out


async def test_cpus_beyond_the_hosts_are_clamped(runtime: Runtime) -> None:
    """A document may ask for more CPUs than there are."""
    assert (await run(runtime, "true", resources=Resources(cpus=1000))).status.is_success


async def test_one_file_cannot_pass_the_disk_limit(runtime: Runtime, tmp_path: Path) -> None:
    """Writing beyond `disk_mb` fails and leaves no more than that."""
    mounts = [Mount(tmp_path, "/out", read_only=False)]
    done = await shell(runtime, "head -c 3000000 /dev/zero > /out/big", mounts=mounts, resources=Resources(disk_mb=1))
    assert not done.status.is_success
    assert (tmp_path / "big").stat().st_size <= 1 << 20


async def test_tmp_is_bounded(runtime: Runtime) -> None:
    """Many files in /tmp together cannot pass `disk_mb`."""
    script = "for i in 1 2 3 4; do head -c 700000 /dev/zero > /tmp/$i || exit 9; done"
    done = await shell(runtime, script, resources=Resources(disk_mb=1))
    assert done.status.code == 9


_CALL = (
    "for h in 127.0.0.1 172.17.0.1; do if command -v nc >/dev/null; then echo {word} | nc -w 3 $h {port};"
    ' else bash -c "echo {word} > /dev/tcp/$h/{port}"; fi; done; true'
)


@contextlib.asynccontextmanager
async def _listener() -> AsyncIterator[tuple[int, list[bytes], asyncio.Event]]:
    heard: list[bytes] = []
    called = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        called.set()
        writer.close()

    async with await asyncio.start_server(answer, "0.0.0.0", 0) as server:
        yield server.sockets[0].getsockname()[1], heard, called


async def test_no_network_unless_asked(runtime: Runtime) -> None:
    """By default nothing of this machine can be reached, and loopback is the only interface."""
    async with _listener() as (port, heard, _):
        done = await shell(runtime, _CALL.format(word="hello", port=port) + "; cat /proc/net/dev")
    interfaces = [line.split(b":")[0].strip() for line in done.out.splitlines() if b":" in line]
    assert interfaces == [b"lo"]
    assert heard == []


async def test_network_when_asked(runtime: Runtime) -> None:
    """With `bridge` this machine can be reached."""
    async with _listener() as (port, heard, called), asyncio.timeout(60):
        await shell(runtime, _CALL.format(word="hello", port=port), resources=Resources(network="bridge"))
        await called.wait()
    assert b"hello\n" in heard


async def test_inputs_are_read_only(runtime: Runtime, tmp_path: Path) -> None:
    """A command cannot change, add or remove its inputs."""
    (tmp_path / "data.txt").write_text("kept")
    script = "echo x > /in/data.txt; echo x > /in/new; rm -f /in/data.txt; cat /in/data.txt"
    done = await shell(runtime, script, mounts=[Mount(tmp_path, "/in", read_only=True)])
    assert done.out == b"kept"
    assert [p.name for p in tmp_path.iterdir() if p.name != "data"] == ["data.txt"]


async def test_environment_is_the_documents_own(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables arrive whatever they hold; the node's own are not seen."""
    monkeypatch.setenv("SISYPHUS_SECRETS__X", "of the node")
    env = {"GREETING": "hello 'you'\n$HOME", "EMPTY": "", "LD_PRELOAD": ""}
    done = await shell(runtime, 'printf "%s|%s|" "$GREETING" "${EMPTY-unset}"; env', env=env)
    assert done.out.startswith(b"hello 'you'\n$HOME||")
    assert b"of the node" not in done.out
    assert b"PATH=" in done.out


async def test_a_secret_is_not_on_any_command_line(runtime: Runtime) -> None:
    """Values of the environment cannot be read by others of the machine from the list of processes."""
    secret = secrets.token_hex(16)
    spec = ContainerSpec(IMAGE, ["/bin/sh", "-c", "echo ready; sleep 1000; true"], env={"KEY": secret})
    container = await runtime.start(spec)
    await until(container, b"ready")
    assert processes_with(secret) == []
    await container.remove()


async def test_root_is_read_only_and_tmp_is_not(runtime: Runtime) -> None:
    """Nothing can be written outside /tmp and the outputs; in /tmp programs can be made and run."""
    script = (
        "for f in /new /etc/new /usr/new /bin/new /home/new; do echo x 2>/dev/null > $f && echo wrote $f; done;"
        " printf '#!/bin/sh\\necho ran\\n' > /tmp/tool && chmod +x /tmp/tool && /tmp/tool"
    )
    done = await shell(runtime, script)
    assert done.out == b"ran\n"


async def test_root_can_be_asked_to_be_writable(runtime: Runtime) -> None:
    """With `read_only_root: false` the root can be written, and it is gone with the container."""
    need(os.getuid() == 0 or not runtime.honours_image, "the image's root belongs to root")
    resources = Resources(read_only_root=False)
    assert (await shell(runtime, "echo x > /new && cat /new", resources=resources)).out == b"x\n"
    assert (await shell(runtime, "ls /new", resources=resources)).status.code != 0


async def test_no_privileges(runtime: Runtime) -> None:
    """No capability is left, none can be gained, and the kernel's settings cannot be written, not even by root's node."""
    script = (
        "grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs)' /proc/self/status | tr -d ' \\t';"
        " f=/proc/sys/vm/swappiness; cat $f > /tmp/v; cat /tmp/v > $f && echo wrote; ulimit -c"
    )
    done = await shell(runtime, script)
    none = b"0" * 16
    assert done.out.split() == [b"CapPrm:" + none, b"CapEff:" + none, b"CapBnd:" + none, b"NoNewPrivs:1", b"0"]


async def test_a_canceled_start_leaves_nothing(runtime: Runtime) -> None:
    """Whenever a start is canceled, no container stays."""
    node = f"test-{secrets.token_hex(4)}"
    spec = ContainerSpec(IMAGE, ["sleep", "1000"], labels={LABEL_NODE: node})
    for turns in (1, 2, 5):
        starting = asyncio.create_task(runtime.start(spec))
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert await runtime.orphans(node) == []


async def test_orphans_are_found_by_label_and_destroyed(runtime: Runtime, tmp_path: Path) -> None:
    """Another process of the node finds a container by its labels, and ends it with all that it runs."""
    seconds, node = unique_seconds(), f"test-{secrets.token_hex(4)}"
    labels = {LABEL_TASK: "t1", LABEL_EPOCH: "3", LABEL_NODE: node}
    argv = ["/bin/sh", "-c", f"sleep {seconds} & echo ready; sleep {seconds}; true"]
    container = await runtime.start(ContainerSpec(IMAGE, argv, labels=labels))
    await until(container, b"ready")
    other = open_by_scheme(scheme_of(runtime), tmp_path / "data")
    found = await other.orphans(node)
    # An image may bring labels of its own beside ours.
    assert [labels.items() <= o.labels.items() for o in found] == [True]
    assert any(labels.items() <= o.labels.items() for o in await other.orphans())
    assert await other.orphans("another-node") == []
    await other.destroy(found[0])
    await other.destroy(found[0])
    assert await other.orphans(node) == []
    assert processes_with(f"sleep {seconds}") == []
    with contextlib.suppress(ContainerError):
        assert (await container.wait()).code == KILLED
    await container.remove()
    await other.close()


_NODE = """
import asyncio, sys
from pathlib import Path
from infra.registry import resolve
from infra.runtime import RUNTIMES, ContainerSpec
from infra.settings import Settings

async def main(scheme, data, node, seconds):
    runtime = resolve(RUNTIMES, scheme + "://", "runtime")(scheme + "://", Settings(data=Path(data)))
    spec = ContainerSpec("alpine:3", ["/bin/sh", "-c", f"echo up; sleep {seconds}; true"], labels={"sisyphus.node": node})
    container = await runtime.start(spec)
    async for _, data in container.output():
        print(data.decode(), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_what_a_killed_node_leaves_can_be_swept(runtime: Runtime, tmp_path: Path) -> None:
    """After kill -9 of the node nothing of its containers runs on, at the latest once its orphans are destroyed."""
    seconds, node = unique_seconds(), f"test-{secrets.token_hex(4)}"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _NODE,
        *(scheme_of(runtime), str(tmp_path / "data"), node, seconds),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert (await process.stdout.readline()).strip() == b"up"
        process.kill()
        await process.wait()
    for orphan in await runtime.orphans(node):
        await runtime.destroy(orphan)
    async with asyncio.timeout(20):
        while processes_with(f"sleep {seconds}"):  # the kernel ends a sandbox with its node, a moment later
            await asyncio.sleep(0.02)
    assert await runtime.orphans(node) == []


async def test_probe_really_runs_something(runtime: Runtime) -> None:
    """A usable runtime passes its own probe, twice."""
    await runtime.probe()
    await runtime.probe()
