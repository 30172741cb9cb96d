"""What only the bubblewrap runtime promises: its fallback, its explanations, and what it leaves on the machine."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.errors import CommandNotFoundError, RuntimeUnavailableError
from infra.runtime import LABEL_NODE, ContainerSpec, Mount
from infra.runtimes import bubblewrap
from infra.runtimes.bubblewrap import MARKER, BubblewrapRuntime, open_runtime
from infra.runtimes.cgroups import PREFIX, NoCgroupsError, detect
from infra.settings import Settings
from schemas.task import Resources
from tests.conformance.runtime_kit import (
    IMAGE,
    KILLED,
    processes_with,
    run,
    shell,
    unique_seconds,
    until,
    usable_runtime,
)


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[BubblewrapRuntime]:
    async with usable_runtime("bwrap", tmp_path) as opened:
        assert isinstance(opened, BubblewrapRuntime)
        yield opened


async def test_a_stopped_node_leaves_orphans_that_another_ends(runtime: BubblewrapRuntime, tmp_path: Path) -> None:
    """A node that hangs keeps its sandboxes: they are found by label and ended without it."""
    seconds, node = unique_seconds(), f"test-{secrets.token_hex(4)}"
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom infra.runtime import ContainerSpec\n"
        "from infra.runtimes.bubblewrap import open_runtime\nfrom infra.settings import Settings\n"
        "async def main(data, node, seconds):\n"
        "    runtime = open_runtime('bwrap://', Settings(data=Path(data)))\n"
        "    argv = ['/bin/sh', '-c', f'echo up; sleep {seconds}; true']\n"
        "    container = await runtime.start(ContainerSpec('', argv, labels={'sisyphus.node': node}))\n"
        "    async for _, data in container.output():\n        print(data.decode(), flush=True)\n"
        "asyncio.run(main(*sys.argv[1:]))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        *(str(tmp_path / "data"), node, seconds),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert (await process.stdout.readline()).strip() == b"up"
            process.send_signal(signal.SIGSTOP)
            found = await runtime.orphans(node)
            assert [o.labels[LABEL_NODE] for o in found] == [node]
            assert processes_with(f"sleep {seconds}")
            await runtime.destroy(found[0])
            assert processes_with(f"sleep {seconds}") == []
            assert await runtime.orphans(node) == []
    finally:
        process.kill()
        await process.wait()


async def test_a_command_cannot_pretend_to_be_a_sandbox(runtime: BubblewrapRuntime) -> None:
    """The marker set by a command inside is not taken for one of ours."""
    node = f"test-{secrets.token_hex(4)}"
    forged = json.dumps({"id": "forged", "labels": {LABEL_NODE: node}})
    spec = ContainerSpec(IMAGE, ["/bin/sh", "-c", "echo ready; sleep 1000; true"], env={MARKER: forged})
    container = await runtime.start(spec)
    await until(container, b"ready")
    assert await runtime.orphans(node) == []
    await container.remove()


async def test_no_control_group_stays(runtime: BubblewrapRuntime) -> None:
    """However a sandbox ends, its control groups are removed."""
    await run(runtime, "true")
    await run(runtime, "false")
    container = await runtime.start(ContainerSpec(IMAGE, ["sleep", "1000"]))
    name = container.id
    await container.kill()
    assert (await container.wait()).code == KILLED
    await container.remove()
    with pytest.raises(CommandNotFoundError):
        await run(runtime, "no-such-program")
    try:
        bases = set(detect().directories.values())
    except NoCgroupsError:
        bases = set[Path]()
    assert [base for base in bases if (base / f"{PREFIX}{name}").exists()] == []


async def test_without_control_groups_rlimits_hold(runtime: BubblewrapRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no control group can be made, memory per process is still limited, and the runtime says what is missing."""

    def none() -> None:
        raise NoCgroupsError("none here")

    monkeypatch.setattr(bubblewrap, "detect", none)
    await runtime.probe()
    assert "rlimits only" in runtime.limits
    done = await run(runtime, "tail", "/dev/zero", resources=Resources(memory_mb=64))
    assert not done.status.is_success
    assert not done.status.out_of_memory
    assert (await shell(runtime, "ulimit -v; exit 5", resources=Resources(memory_mb=64))).out == b"65536\n"


async def test_a_script_without_its_interpreter_is_a_missing_program(
    runtime: BubblewrapRuntime, tmp_path: Path
) -> None:
    """What only the kernel can tell about a program is told when the container is waited for."""
    (tmp_path / "tool").write_text("#!/no/such/interpreter\n")
    (tmp_path / "tool").chmod(0o755)
    mounts = [Mount(tmp_path / "tool", "/tool", read_only=True)]
    with pytest.raises(CommandNotFoundError, match="/tool"):
        await run(runtime, "/tool", mounts=mounts)


async def test_an_argument_that_the_kernel_refuses(runtime: BubblewrapRuntime) -> None:
    """An argument beyond the kernel's limit is a permanent error that says so; the longest possible one works."""
    assert (await run(runtime, "true", "x" * 131_071)).status.is_success
    with pytest.raises(CommandNotFoundError, match="longer than the kernel takes"):
        await run(runtime, "true", "x" * 131_072)


async def test_a_large_environment_passes(runtime: BubblewrapRuntime) -> None:
    """Many large variables arrive although together they would not fit on a command line of bwrap."""
    env = {f"V{i}": "x" * 10_000 for i in range(20)}
    assert (await shell(runtime, 'printf "%s" "$V0$V19" | wc -c', env=env)).out.strip() == b"20000"


async def test_commands_see_a_plain_user(runtime: BubblewrapRuntime) -> None:
    """Whoever runs the node, a command sees a named user that is not root, and a home that it may write."""
    done = await shell(runtime, "id -u; id -un; cd && pwd && touch x")
    assert done.status.is_success
    uid, name, home = done.out.split()
    assert int(uid) == (os.getuid() or 1000)
    assert (name, home) == (b"sisyphus", b"/tmp")


async def test_nothing_of_the_hosts_own_files_is_seen(runtime: BubblewrapRuntime, tmp_path: Path) -> None:
    """The host's home, data and most of /etc do not exist inside."""
    (tmp_path / "private").touch()
    done = await shell(runtime, f"ls {tmp_path}/private /etc/shadow /etc/hostname /sys /root/.ssh; ls /home")
    assert done.out == b""


def _fake_bwrap(folder: Path, version: str) -> Path:
    program = folder / "bwrap"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo bubblewrap {version} && exit\n'
        "echo 'bwrap: No permissions to create new namespace' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    return program


async def test_a_refused_bwrap_is_explained(tmp_path: Path) -> None:
    """An installed bwrap that may not isolate fails the probe with its own words and what to change."""
    runtime = open_runtime(f"bwrap://{_fake_bwrap(tmp_path, '0.8.0')}", Settings(data=tmp_path / "data"))
    with pytest.raises(RuntimeUnavailableError, match="No permissions to create new namespace") as caught:
        await runtime.probe()
    assert "kernel.unprivileged_userns_clone" in str(caught.value)
    assert "--privileged" in str(caught.value)
    await runtime.close()


async def test_an_old_bwrap_is_refused(tmp_path: Path) -> None:
    """A bwrap without the options that the sandbox needs is refused by its version."""
    runtime = open_runtime(f"bwrap://{_fake_bwrap(tmp_path, '0.4.1')}", Settings(data=tmp_path / "data"))
    with pytest.raises(RuntimeUnavailableError, match="too old"):
        await runtime.probe()
    await runtime.close()


def test_a_missing_bwrap_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeUnavailableError, match="apt-get install bubblewrap"):
        open_runtime("bwrap://", Settings(data=tmp_path))
