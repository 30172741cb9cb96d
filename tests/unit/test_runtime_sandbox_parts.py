"""The parts of the bubblewrap runtime that start nothing: layout, program look-up, control groups, pipes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from infra.errors import CommandNotFoundError
from infra.runtime import ContainerSpec, Mount, Stream
from infra.runtimes import cgroups, processes
from infra.runtimes.cgroups import CgroupBase, NoCgroupsError
from infra.runtimes.pipes import CHUNK_BYTES, CHUNKS_WAITING, OutputPipes
from infra.runtimes.sandbox_layout import Features, arguments, check_program, image_has, write_etc
from schemas.task import Resources


def options(spec: ContainerSpec, **features: Any) -> str:
    """The options as one line, each word between bars."""
    return "|".join(["", *arguments(spec, Features(**features), Path("/etc-made")), ""])


def test_a_sandbox_is_shut_by_default() -> None:
    """Every namespace is its own, no capability is left, and neither root nor /proc can be written."""
    line = options(ContainerSpec("i", ["true"]))
    for part in ("|--unshare-all|", "|--die-with-parent|", "|--new-session|", "|--cap-drop|ALL|", "|--clearenv|"):
        assert part in line
    assert "|--remount-ro|/|" in line
    assert "|--proc|/proc|--remount-ro|/proc|" in line
    assert "--share-net" not in line
    assert "resolv.conf" not in line


def test_the_network_brings_names_with_it() -> None:
    """Where the network is granted, names can be resolved."""
    line = options(ContainerSpec("i", ["true"], resources=Resources(network="bridge")))
    assert "|--share-net|" in line
    assert "/etc/resolv.conf" in line


def test_older_bwrap_gets_no_option_that_it_lacks() -> None:
    """What came with 0.7 and 0.8 is left out for older ones."""
    line = options(ContainerSpec("i", ["true"]), size=False, disable_userns=False, user_namespace=False)
    assert not any(o in line for o in ("--size", "--disable-userns", "--unshare-user", "--uid"))


def test_outer_mounts_come_before_inner_ones() -> None:
    """A mount inside another mount must be made after it."""
    mounts = [Mount(Path("/l/1"), "/a/b/c", read_only=True), Mount(Path("/l/2"), "/a", read_only=False)]
    line = options(ContainerSpec("i", ["true"], mounts))
    assert line.index("|--bind|/l/2|/a|") < line.index("|--ro-bind|/l/1|/a/b/c|")


def test_room_is_made_below_usr_only_where_needed() -> None:
    """For a mount at a new place below /usr the directories on the way are rebuilt, all others bound whole."""
    plain = options(ContainerSpec("i", ["true"]))
    assert "|--ro-bind|/usr|/usr|" in plain
    line = options(ContainerSpec("i", ["true"], [Mount(Path("/l"), "/usr/share/new-one/f", read_only=True)]))
    assert "|--ro-bind|/usr|/usr|" not in line
    assert "|--dir|/usr|" in line
    assert "|--dir|/usr/share|" in line
    assert "|--ro-bind|/usr/bin|/usr/bin|" in line


def test_documents_may_change_the_default_environment() -> None:
    """PATH, HOME and LANG are there unless the document says otherwise."""
    line = options(ContainerSpec("i", ["true"], env={"HOME": "/out"}))
    assert "|--setenv|HOME|/out|" in line
    assert "|--setenv|LANG|C.UTF-8|" in line


def spec_for(program: str, tmp_path: Path, **more: Any) -> ContainerSpec:
    return ContainerSpec("i", [program], [Mount(tmp_path, "/in", read_only=True)], **more)


def test_programs_are_looked_up_as_the_sandbox_sees_them(tmp_path: Path) -> None:
    """By PATH in the sandbox, by an internal path, or relative to the workdir; never on the node's own PATH."""
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    for program in ("sh", "/bin/sh", "/usr/bin/env", "/in/tool"):
        check_program(spec_for(program, tmp_path))
    check_program(spec_for("./tool", tmp_path, workdir="/in"))
    check_program(spec_for("tool", tmp_path, env={"PATH": "/nowhere:/in"}))


@pytest.mark.parametrize("program", ["tool", "/in/gone", "./tool", "/in", "/in/text", "", "/usr/bin", "/proc/self/exe"])
def test_what_cannot_be_executed_is_refused(tmp_path: Path, program: str) -> None:
    """Missing programs, directories and files without the executable bit."""
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "text").write_text("x")
    with pytest.raises(CommandNotFoundError):
        check_program(spec_for(program, tmp_path))


def test_the_nodes_own_files_are_no_programs(tmp_path: Path) -> None:
    """An executable of the host outside /usr does not exist inside."""
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    with pytest.raises(CommandNotFoundError):
        check_program(ContainerSpec("i", [str(program)]))


def test_paths_of_the_image() -> None:
    """The image is /usr with what points to it, and the small private root."""
    assert all(image_has(p) for p in ("/usr/bin/env", "/bin/sh", "/bin", "/etc", "/etc/passwd", "/tmp", "/home/", "/"))
    assert not any(image_has(p) for p in ("/etc/shadow", "/root/.ssh", "/work", "/home/user", "/usr/no/such"))


def test_limits_of_both_versions() -> None:
    """Memory without swap, processes and CPU time, in each version's own files; CPUs clamped to the machine's."""
    wanted = Resources(memory_mb=10, pids=7, cpus=0.5)
    first = {name: value for _, name, value in cgroups.limits(1, wanted)}
    assert first["memory.limit_in_bytes"] == first["memory.memsw.limit_in_bytes"] == str(10 << 20)
    assert (first["pids.max"], first["cpu.cfs_quota_us"]) == ("7", "50000")
    second = {name: value for _, name, value in cgroups.limits(2, wanted)}
    assert (second["memory.max"], second["memory.swap.max"], second["pids.max"]) == (str(10 << 20), "0", "7")
    assert second["cpu.max"] == "50000 100000"
    most = {name: value for _, name, value in cgroups.limits(2, Resources(cpus=1000))}
    assert most["cpu.max"] == f"{len(os.sched_getaffinity(0)) * 100_000} 100000"


@pytest.mark.parametrize(("version", "file"), [(1, "memory.oom_control"), (2, "memory.events")])
def test_oom_verdict_of_both_versions(tmp_path: Path, version: int, file: str) -> None:
    """The kernel's count of kills is the verdict; groups that are gone have none."""
    group = CgroupBase(version, {"memory": tmp_path}).group("x")
    assert not group.has_oom_kill
    folder = tmp_path / "sisyphus-x"
    folder.mkdir()
    (folder / file).write_text("oom_kill_disable 0\nunder_oom 0\noom 3\noom_kill 0\n")
    assert not group.has_oom_kill
    (folder / file).write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert group.has_oom_kill


def _proc(folder: Path, mountinfo: str, own: str) -> Path:
    folder.mkdir()
    (folder / "mountinfo").write_text(mountinfo)
    (folder / "cgroup").write_text(own)
    return folder


def test_version_1_prefers_the_nodes_own_group(tmp_path: Path) -> None:
    """A limit set on the node holds for its sandboxes, because their groups lie below its own."""
    lines = ""
    for controller in ("memory", "pids", "cpu"):
        (tmp_path / controller / "node").mkdir(parents=True)
        kinds = "cpu,cpuacct" if controller == "cpu" else controller
        lines += f"1 2 0:3 / {tmp_path}/{controller} rw,relatime - cgroup cgroup rw,{kinds}\n"
    proc = _proc(tmp_path / "proc", lines, "4:memory:/node\n3:pids:/\n2:cpu,cpuacct:/node\n0::/\n")
    found = cgroups.detect(proc)
    assert found.version == 1
    assert found.directories["memory"] == tmp_path / "memory/node"
    assert found.directories["pids"] == tmp_path / "pids"
    assert found.directories["cpu"] == tmp_path / "cpu/node"


def test_version_2_hands_controllers_down(tmp_path: Path) -> None:
    """The controllers are switched on for the children of the top."""
    top = tmp_path / "cgroup"
    top.mkdir()
    (top / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (top / "cgroup.subtree_control").touch()
    proc = _proc(tmp_path / "proc", f"1 2 0:3 / {top} rw - cgroup2 cgroup2 rw\n", "0::/\n")
    found = cgroups.detect(proc)
    assert (found.version, set(found.directories)) == (2, {"memory", "pids", "cpu"})
    assert (top / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_without_controllers_the_reason_is_given(tmp_path: Path) -> None:
    """A hierarchy without memory and pids is of no use."""
    (tmp_path / "cgroup").mkdir()
    (tmp_path / "cgroup/cgroup.controllers").write_text("hugetlb\n")
    line = f"1 2 0:3 / {tmp_path}/cgroup rw - cgroup2 cgroup2 rw\n"
    with pytest.raises(NoCgroupsError, match="memory and pids"):
        cgroups.detect(_proc(tmp_path / "proc", line, "0::/\n"))
    with pytest.raises(NoCgroupsError, match="mounted"):
        cgroups.detect(_proc(tmp_path / "bare", "", ""))


def test_only_old_empty_groups_are_swept(tmp_path: Path) -> None:
    """A group that another node has just made is left alone."""
    base = CgroupBase(2, {"memory": tmp_path})
    (tmp_path / "sisyphus-dead").mkdir()
    (tmp_path / "other").mkdir()
    base.sweep()
    assert (tmp_path / "sisyphus-dead").exists()
    base.sweep(now=(tmp_path / "sisyphus-dead").stat().st_mtime + cgroups.STALE_S + 1)
    assert [p.name for p in tmp_path.iterdir()] == ["other"]


async def test_unread_output_stays_in_the_pipe() -> None:
    """Reading stops when nobody takes what was read, so that a flood is held by the pipe and not by memory."""
    reading, writing = os.pipe()
    pipes = OutputPipes({reading: Stream.STDOUT})
    os.set_blocking(writing, False)
    limit, written = (CHUNKS_WAITING + 4) * CHUNK_BYTES, 0
    taken = pipes.chunks()
    for _ in range(1000):
        try:
            written += os.write(writing, bytes(CHUNK_BYTES))
        except BlockingIOError:
            pipes.read_rest()
            if written > limit:
                break
    assert written <= limit
    os.close(writing)
    assert sum([len(data) async for _, data in taken]) == written
    pipes.close()


def test_processes_are_told_by_what_cannot_be_forged() -> None:
    """Our own process has our namespace and our parent; one that does not exist has neither."""
    assert processes.shares_our_pid_namespace(os.getpid())
    assert not processes.shares_our_pid_namespace(2**22 + 1)
    assert os.getpid() in processes.children(os.getppid())
    assert processes.environment(2**22 + 1, "PATH") is None


def test_the_first_containers_of_a_node_may_start_at_the_same_time(tmp_path: Path) -> None:
    """Several threads write the same small /etc: each finds it whole, none trips over another's draft."""
    together = Barrier(8)

    def write(folder: Path) -> str:
        together.wait()
        write_etc(folder, Features())
        return (folder / "nsswitch.conf").read_text()

    with ThreadPoolExecutor(8) as threads:
        for number in range(40):
            found = set(threads.map(write, [tmp_path / str(number)] * 8))
            assert found == {"passwd: files\ngroup: files\nhosts: files dns\n"}
            assert len(list((tmp_path / str(number)).iterdir())) == 4, "no draft is left"
