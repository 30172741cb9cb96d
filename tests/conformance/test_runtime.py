"""One behaviour for every container runtime: each adapter of the registry must pass it all.

Only commands that busybox and a host's /usr share are used, so that the same lines run in ``alpine:3`` and in a sandbox.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.errors import CommandNotFoundError, ContainerError, ImageError
from infra.runtime import LABEL_NODE, RUNTIMES, ContainerSpec, ExitStatus, Mount, Runtime
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


@pytest.fixture(params=sorted(RUNTIMES))
async def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Runtime]:
    async with usable_runtime(str(request.param), tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("code", [0, 1, 7, 137, 255])
async def test_exit_code_is_the_commands_own(runtime: Runtime, code: int) -> None:
    """Whatever code the command exits with arrives, and only 0 is a success; 137 alone is no OOM verdict."""
    done = await shell(runtime, f"exit {code}")
    assert done.status == ExitStatus(code, out_of_memory=False)
    assert done.status.is_success == (code == 0)


async def test_streams_are_kept_apart_and_in_order(runtime: Runtime) -> None:
    """Stdout and stderr arrive separately, each in the order of writing, without a newline added at the end."""
    done = await shell(
        runtime, "i=0; while [ $i -lt 500 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done; printf end"
    )
    assert done.out == b"".join(b"out %d\n" % i for i in range(500)) + b"end"
    assert done.err == b"".join(b"err %d\n" % i for i in range(500))


async def test_large_output_arrives_whole(runtime: Runtime) -> None:
    """Twenty megabytes pass through without loss."""
    done = await shell(runtime, "head -c 20000000 /dev/zero | tr '\\000' x; echo; echo the end")
    assert len(done.out) == 20_000_000 + len(b"\nthe end\n")
    assert done.out.endswith(b"xxx\nthe end\n")
    assert done.out.count(b"x") == 20_000_000


async def test_binary_output_is_not_touched(runtime: Runtime, tmp_path: Path) -> None:
    """Every byte value passes as it is."""
    data = bytes(range(256)) * 300
    (tmp_path / "bytes").write_bytes(data)
    done = await run(runtime, "cat", "/in/bytes", mounts=[Mount(tmp_path / "bytes", "/in/bytes", read_only=True)])
    assert done.out == data


async def test_first_output_is_not_lost(runtime: Runtime) -> None:
    """What a command prints at once and ends is there every time."""
    assert [(await run(runtime, "echo", "hi")).out for _ in range(5)] == [b"hi\n"] * 5


async def test_output_is_seen_while_the_command_runs(runtime: Runtime) -> None:
    """Output arrives before the command ends."""
    container = await runtime.start(ContainerSpec(IMAGE, ["/bin/sh", "-c", "echo early; sleep 1000"]))
    async with asyncio.timeout(60):
        await until(container, b"early")
    await container.remove()


async def test_unread_output_holds_the_command_and_wait_survives_a_kill(runtime: Runtime) -> None:
    """Nobody reads an endless output: the container can still be killed and waited for."""
    container = await runtime.start(ContainerSpec(IMAGE, ["/bin/sh", "-c", "while :; do echo flood; done"]))
    async with asyncio.timeout(60):
        await until(container, b"flood")
        await container.kill()
        assert (await container.wait()).code == KILLED
        await container.remove()


async def test_kill_ends_a_shell_that_ignores_sigterm_with_its_children(runtime: Runtime) -> None:
    """After the grace everything is killed, children in the background included."""
    seconds = unique_seconds()
    script = f"trap '' TERM; sleep {seconds} & sleep {seconds} & echo ready; while :; do sleep {seconds}; done"
    container = await runtime.start(ContainerSpec(IMAGE, ["/bin/sh", "-c", script]))
    async with asyncio.timeout(60):
        await until(container, b"ready")
        assert processes_with(f"sleep {seconds}")
        await container.kill(grace_s=0.3)
        assert (await container.wait()) == ExitStatus(KILLED)
    assert processes_with(f"sleep {seconds}") == []
    await container.remove()


async def test_background_children_do_not_outlive_the_command(runtime: Runtime) -> None:
    """A command that ends takes with it what it left in the background, and its output ends."""
    seconds = unique_seconds()
    async with asyncio.timeout(60):
        done = await shell(runtime, f"sleep {seconds} & echo left one; exit 0")
    assert done.status.is_success
    assert processes_with(f"sleep {seconds}") == []


async def test_sigterm_lets_a_command_end_by_itself(runtime: Runtime) -> None:
    """Within the grace a command may clean up, and its own exit code counts."""
    script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 1; done"
    container = await runtime.start(ContainerSpec(IMAGE, ["/bin/sh", "-c", script]))
    async with asyncio.timeout(60):
        await until(container, b"ready")
        await container.kill(grace_s=30)
        assert (await container.wait()).code == 3
    await container.remove()


async def test_kill_and_remove_are_idempotent(runtime: Runtime) -> None:
    """Both may be called twice, in any order, before and after the end."""
    container = await runtime.start(ContainerSpec(IMAGE, ["sleep", "1000"]))
    await container.kill()
    await container.kill()
    assert (await container.wait()).code == KILLED
    assert (await container.wait()).code == KILLED
    await container.kill(grace_s=1)
    await container.remove()
    await container.remove()
    await container.kill()


async def test_remove_kills_first(runtime: Runtime) -> None:
    """A running container is killed by its removal."""
    seconds = unique_seconds()
    container = await runtime.start(ContainerSpec(IMAGE, ["/bin/sh", "-c", f"echo ready; sleep {seconds}; true"]))
    await until(container, b"ready")
    await container.remove()
    assert processes_with(f"sleep {seconds}") == []


async def test_outputs_belong_to_the_node(runtime: Runtime, tmp_path: Path) -> None:
    """What a command writes into an output directory is the node's own file."""
    script = "mkdir -p /out/deep/er && echo hi > /out/deep/er/file && chmod 600 /out/deep/er/file"
    done = await shell(runtime, script, mounts=[Mount(tmp_path, "/out", read_only=False)])
    assert done.status.is_success, done.err
    file = tmp_path / "deep/er/file"
    assert file.read_text() == "hi\n"
    assert (file.stat().st_uid, file.stat().st_gid) == (os.getuid(), os.getgid())


async def test_single_files_are_mounted(runtime: Runtime, tmp_path: Path) -> None:
    """A file input and a file output stand at their internal paths, the directories above them made as needed."""
    (tmp_path / "in").write_text("from outside\n")
    (tmp_path / "out").touch()
    mounts = [
        Mount(tmp_path / "in", "/some/where/in.txt", read_only=True),
        Mount(tmp_path / "out", "/else/where/out.txt", read_only=False),
    ]
    done = await shell(runtime, "cat /some/where/in.txt > /else/where/out.txt", mounts=mounts)
    assert done.status.is_success, done.err
    assert (tmp_path / "out").read_text() == "from outside\n"


async def test_a_mount_inside_a_mount(runtime: Runtime, tmp_path: Path) -> None:
    """A file input may lie inside an output directory, in whatever order they are named."""
    (tmp_path / "in").write_text("inner\n")
    (tmp_path / "out").mkdir()
    mounts = [
        Mount(tmp_path / "in", "/out/given/in.txt", read_only=True),
        Mount(tmp_path / "out", "/out", read_only=False),
    ]
    done = await shell(runtime, "cat /out/given/in.txt | tee /out/copy", mounts=mounts)
    assert done.out == b"inner\n"
    assert (tmp_path / "out/copy").read_text() == "inner\n"


@pytest.mark.parametrize("internal", ["/usr/share/sisyphus-test/in.txt", "/etc/sisyphus.conf", "/bin/sisyphus-in"])
async def test_every_internal_path_can_exist(runtime: Runtime, tmp_path: Path, internal: str) -> None:
    """A mount may stand where the image has a directory of its own, which keeps what it had."""
    (tmp_path / "in").write_text("there\n")
    done = await shell(
        runtime, f"cat {internal}; ls /bin/sh", mounts=[Mount(tmp_path / "in", internal, read_only=True)]
    )
    assert done.out == b"there\n/bin/sh\n", done.err


ODD_NAMES = ["a b", "c:d", "e,f", "quo\"te'", "ünï-漢字", "new\nline", "-dash", "back\\slash", "$HOME", "*", "#%;&|"]


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_file_names(runtime: Runtime, tmp_path: Path, name: str) -> None:
    """Any character may stand in a local and in an internal path."""
    local = tmp_path / f"dir {name}" / name
    local.parent.mkdir()
    local.write_text(name)
    (local.parent / "out").mkdir()
    mounts = [
        Mount(local, f"/in/{name}", read_only=True),
        Mount(local.parent / "out", f"/out/{name}", read_only=False),
    ]
    done = await run(runtime, "cp", f"/in/{name}", f"/out/{name}/copy", mounts=mounts)
    assert done.status.is_success, done.err
    assert (local.parent / "out/copy").read_text() == name


async def test_a_linked_file_is_mounted_as_its_target(runtime: Runtime, tmp_path: Path) -> None:
    """A symbolic link as a mount's source shows the file that it points to."""
    (tmp_path / "target").write_text("real\n")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    done = await run(runtime, "cat", "/in.txt", mounts=[Mount(tmp_path / "link", "/in.txt", read_only=True)])
    assert done.out == b"real\n"


async def test_a_missing_mount_source_is_an_error(runtime: Runtime, tmp_path: Path) -> None:
    """A local path that does not exist is refused; no empty directory takes its place."""
    with pytest.raises(ContainerError):
        await run(runtime, "true", mounts=[Mount(tmp_path / "gone", "/in", read_only=True)])
    assert not (tmp_path / "gone").exists()


async def test_workdir(runtime: Runtime, tmp_path: Path) -> None:
    """The command starts in its workdir, and a relative program is found from there."""
    (tmp_path / "tool").write_text("#!/bin/sh\necho run in $(pwd)\n")
    (tmp_path / "tool").chmod(0o755)
    done = await run(runtime, "./tool", workdir="/work/here", mounts=[Mount(tmp_path, "/work/here", read_only=True)])
    assert done.out == b"run in /work/here\n"


async def test_stdin_from_a_file(runtime: Runtime, tmp_path: Path) -> None:
    """A file is fed to the command, whole and to its end."""
    data = secrets.token_bytes(1_000_000)
    (tmp_path / "stdin").write_bytes(data)
    done = await run(runtime, "cat", stdin=tmp_path / "stdin")
    assert done.out == data


async def test_stdin_that_nobody_reads(runtime: Runtime, tmp_path: Path) -> None:
    """A command may end without reading what it is fed."""
    (tmp_path / "stdin").write_bytes(bytes(4_000_000))
    async with asyncio.timeout(60):
        assert (await run(runtime, "true", stdin=tmp_path / "stdin")).status.is_success


async def test_stdin_is_empty_by_default(runtime: Runtime) -> None:
    """Without stdin a command that reads it sees its end at once."""
    async with asyncio.timeout(60):
        assert (await run(runtime, "cat")).out == b""


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program", "./relative", "/etc/passwd"])
async def test_a_missing_program(runtime: Runtime, program: str) -> None:
    """A program that does not exist or is no program is told from one that fails, and nothing is left behind."""
    node = f"test-{secrets.token_hex(4)}"
    with pytest.raises(CommandNotFoundError, match=program):
        await run(runtime, program, labels={LABEL_NODE: node})
    assert await runtime.orphans(node) == []


async def test_a_program_that_exits_like_a_missing_one(runtime: Runtime) -> None:
    """Code 127 and a shell's message are the command's own failure."""
    done = await shell(runtime, "no-such-program; exit 127")
    assert done.status.code == 127


async def test_a_missing_image(runtime: Runtime) -> None:
    """An image that cannot be had is named in the error, also to everybody who waits for the same pull."""
    need_image = runtime.honours_image
    if not need_image:
        assert (await runtime.prepare("no-such-image:1")).digest == ""
        return
    waiting = [runtime.prepare("localhost:1/no-such-image:1") for _ in range(3)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(r).__mro__.count(ImageError) for r in results] == [1, 1, 1]
    assert all("no-such-image" in str(r) for r in results)
    with pytest.raises(ImageError, match="no-such-image"):
        await runtime.start(ContainerSpec("localhost:1/no-such-image:1", ["true"]))


async def test_a_present_image_is_not_pulled(runtime: Runtime) -> None:
    """`prepare` gives a stable digest where the runtime has images."""
    image = await runtime.prepare(IMAGE)
    assert image == await runtime.prepare(IMAGE)
    assert image.digest.startswith("sha256:") == runtime.honours_image


async def test_paths_of_the_image(runtime: Runtime) -> None:
    """What the image has is known, also below a linked directory, and what it has not."""
    image = await runtime.prepare(IMAGE)
    looked_for = ["/bin/sh", "/bin", "/tmp", "/no/such/path", "/bin/no-such-program"]
    for _ in range(2):
        assert [await runtime.has_path(image, path) for path in looked_for] == [True, True, True, False, False]


async def test_concurrent_containers_do_not_mix(runtime: Runtime) -> None:
    """Eight containers at once, each with its own output and code."""
    done = await asyncio.gather(*(shell(runtime, f"echo {i}; sleep 1; exit {i}") for i in range(8)))
    assert [(d.out, d.status.code) for d in done] == [(b"%d\n" % i, i) for i in range(8)]
