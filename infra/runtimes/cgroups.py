"""Control groups, version 1 or 2, for sandboxes that have no engine to do it: one group per sandbox.

A group is made under the node's own one where that is allowed, so that limits set on the node hold for its
sandboxes too. Where no group can be made, `detect` says why and the caller falls back to rlimits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.task import Resources

#: Groups of ours carry this prefix; empty ones older than the age were left by a node that died.
PREFIX, STALE_S = "sisyphus-", 60.0
#: Microseconds over which CPU time is measured; the kernel's default.
CPU_PERIOD_US = 100_000
#: Seconds that a group may still look busy after its last process ended, and the pause between two looks.
REMOVE_FOR_S, REMOVE_PAUSE_S = 2.0, 0.005
#: The leaf that takes the node's own processes, since a v2 group with limited children must hold none itself.
NODE_LEAF = "sisyphus.node"


class NoCgroupsError(Exception):
    """No control group can be made here; the message says why."""


@dataclass(frozen=True, slots=True)
class CgroupBase:
    """Where groups are made: controller -> directory (one and the same directory in version 2)."""

    version: int
    directories: Mapping[str, Path]

    def group(self, name: str) -> Cgroup:
        """The group of one sandbox; nothing is made yet."""
        return Cgroup(self.version, {key: base / f"{PREFIX}{name}" for key, base in self.directories.items()})

    def sweep(self, now: float | None = None) -> None:
        """Remove groups that dead nodes left empty; one that holds processes cannot be removed by mistake."""
        oldest = (time.time() if now is None else now) - STALE_S
        for base in set(self.directories.values()):
            for path in base.glob(f"{PREFIX}*"):
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < oldest:
                        path.rmdir()


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The control group of one sandbox. Every method blocks for some microseconds to milliseconds."""

    version: int
    directories: Mapping[str, Path]

    def enter(self, pid: int, resources: Resources) -> None:
        """Make the group, set its limits and move a process into it.

        Raises:
            OSError: the kernel refused; nothing is left behind.
        """
        try:
            for path in set(self.directories.values()):
                path.mkdir()
            for controller, name, value in limits(self.version, resources):
                self._write(controller, name, value)
            for path in set(self.directories.values()):
                (path / "cgroup.procs").write_text(str(pid))
        except OSError:
            self.remove()
            raise

    def _write(self, controller: str, name: str, value: str) -> None:
        directory = self.directories.get(controller)
        if directory is None:
            return
        try:
            (directory / name).write_text(value)
        except OSError as error:
            # Kernels without swap accounting or CPU bandwidth control lack the file, and a parent with a tighter CPU
            # quota makes a wider one EINVAL (the tighter holds anyway). Memory and pids are never optional.
            optional = {"memory.memsw.limit_in_bytes", "memory.swap.max", "cpu.cfs_quota_us", "cpu.max"}
            if name not in optional or error.errno not in {errno.ENOENT, errno.EINVAL, errno.EACCES}:
                raise

    @property
    def has_oom_kill(self) -> bool:
        """Whether the kernel killed any process of the group for lack of memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        with contextlib.suppress(OSError, ValueError):
            for line in (self.directories["memory"] / name).read_text().splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value) > 0
        return False

    def remove(self) -> None:
        """Remove the group. Idempotent; a group that stays busy is left to the sweep."""
        until = time.monotonic() + REMOVE_FOR_S
        for path in set(self.directories.values()):
            while True:
                try:
                    path.rmdir()
                except OSError as error:
                    if error.errno == errno.EBUSY and time.monotonic() < until:
                        time.sleep(REMOVE_PAUSE_S)
                        continue
                break


def limits(version: int, resources: Resources) -> list[tuple[str, str, str]]:
    """The files to write: (controller, file, value). Swap is not granted on top of memory."""
    memory = str(resources.memory_mb << 20)
    quota = int(min(resources.cpus, available_cpus()) * CPU_PERIOD_US)
    if version == 1:
        return [
            ("memory", "memory.limit_in_bytes", memory),
            ("memory", "memory.memsw.limit_in_bytes", memory),
            ("pids", "pids.max", str(resources.pids)),
            ("cpu", "cpu.cfs_quota_us", str(max(1000, quota))),
        ]
    return [
        ("memory", "memory.max", memory),
        ("memory", "memory.swap.max", "0"),
        ("pids", "pids.max", str(resources.pids)),
        ("cpu", "cpu.max", f"{max(1000, quota)} {CPU_PERIOD_US}"),
    ]


def available_cpus() -> int:
    """The CPUs that this process may use; a larger limit is clamped to it."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class _Mounted:
    version: int
    controllers: frozenset[str]
    point: Path
    root: str


def _mounted(mountinfo: str) -> Iterator[_Mounted]:
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) > 4 and len(kind) > 2 and kind[0] in {"cgroup", "cgroup2"}:
            version = 1 if kind[0] == "cgroup" else 2
            point = Path(fields[4].encode().decode("unicode_escape"))
            yield _Mounted(version, frozenset(kind[2].split(",")), point, fields[3])


def _own_groups(text: str) -> dict[str, str]:
    """Controller ("" for version 2) -> the path of this process's group."""
    own: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    return own


def _candidates(mounted: _Mounted, own: str) -> list[Path]:
    """The node's own group first, then the top of what is mounted."""
    inside = own.removeprefix(mounted.root.rstrip("/")).lstrip("/")
    return [path for path in (mounted.point / inside, mounted.point) if path.is_dir()]


def detect(proc: Path = Path("/proc/self")) -> CgroupBase:
    """Find where groups can be made, by making one.

    Raises:
        NoCgroupsError: nowhere, and why.
    """
    mounts = list(_mounted((proc / "mountinfo").read_text()))
    own = _own_groups((proc / "cgroup").read_text())
    reasons: list[str] = []
    bases: dict[str, Path] = {}
    for controller in ("memory", "pids", "cpu"):
        hierarchy = next((m for m in mounts if m.version == 1 and controller in m.controllers), None)
        if hierarchy is None:
            continue
        try:
            bases[controller] = _usable_v1(_candidates(hierarchy, own.get(controller, "/")))
        except OSError as error:
            reasons.append(f"{controller}: {error}")
    if {"memory", "pids"} <= bases.keys():
        return CgroupBase(1, bases)
    for hierarchy in (m for m in mounts if m.version == 2):
        for base in dict.fromkeys([hierarchy.point, *_candidates(hierarchy, own.get("", "/"))]):
            try:
                return _usable_v2(base)
            except OSError as error:
                reasons.append(str(error))
    raise NoCgroupsError("; ".join(reasons) or "no control group file system is mounted")


def _usable_v1(candidates: list[Path]) -> Path:
    failure: OSError = FileNotFoundError("the hierarchy is not mounted")
    for base in candidates:
        try:
            _try_group(base)
        except OSError as error:
            failure = error
        else:
            return base
    raise failure


def _usable_v2(base: Path) -> CgroupBase:
    """Let `base` hand memory, pids and cpu to its children.

    Raises:
        OSError: it may not, or it lacks memory or pids.
    """
    offered = set((base / "cgroup.controllers").read_text().split()) & {"memory", "pids", "cpu"}
    if not {"memory", "pids"} <= offered:
        raise FileNotFoundError(f"{base} has no memory and pids controllers")
    wanted = " ".join(f"+{controller}" for controller in sorted(offered))
    try:
        (base / "cgroup.subtree_control").write_text(wanted)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        _move_to_leaf(base)
        (base / "cgroup.subtree_control").write_text(wanted)
    _try_group(base)
    return CgroupBase(2, dict.fromkeys(sorted(offered), base))


def _move_to_leaf(base: Path) -> None:
    """Move processes out of the way: all of them at the top of a container's own tree, else only if they are ours."""
    pids = [int(pid) for pid in (base / "cgroup.procs").read_text().split()]
    if not base.is_mount() and set(pids) != {os.getpid()}:
        raise PermissionError(errno.EBUSY, "other processes share the node's control group", str(base))
    leaf = base / NODE_LEAF
    leaf.mkdir(exist_ok=True)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            (leaf / "cgroup.procs").write_text(str(pid))


def _try_group(base: Path) -> None:
    trial = base / f"{PREFIX}trial-{os.getpid()}"
    trial.mkdir()
    trial.rmdir()
