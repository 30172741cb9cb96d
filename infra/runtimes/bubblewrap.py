"""Runtime: bubblewrap sandboxes, for machines without a container engine. The host's /usr stands in for every image.

Nothing outlives its node by accident: a sandbox dies with the node, and what a stopped node leaves running is found by
the marker in its environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

from infra.errors import ContainerError, RuntimeUnavailableError
from infra.log import get_logger
from infra.runtime import LABEL_NODE, Container, ContainerSpec, Image, Orphan
from infra.runtimes import processes, sandbox_layout
from infra.runtimes.cgroups import CgroupBase, NoCgroupsError, detect
from infra.runtimes.processes import ProcessHandle
from infra.runtimes.sandbox import Launch, Sandbox
from infra.runtimes.sandbox_layout import Features
from infra.settings import Settings

#: The variable of bwrap's own environment that says whose sandbox it is; commands never see it.
MARKER = "SISYPHUS_SANDBOX"
#: Seconds that the trial sandbox may take.
TRIAL_S = 20.0
#: bwrap before this lacks options without which the sandbox would be another (--clearenv, --perms).
OLDEST = (0, 5)

_log = get_logger(__name__)


class BubblewrapRuntime:
    """Sandboxes by the `bwrap` program. `limits` says how memory, pids and CPU are held."""

    name = "bubblewrap"
    honours_image = False

    def __init__(self, bwrap: str, settings: Settings) -> None:
        """See `open_runtime`."""
        uid, gid = sandbox_layout.inner_ids()
        self._bwrap = bwrap
        self._features = Features(uid=uid, gid=gid)
        self._etc = settings.data / "bubblewrap" / "etc"
        self._executor = ThreadPoolExecutor(2, "bubblewrap")
        self._cgroups: CgroupBase | None = None
        self._is_ready = False
        self.limits = "unknown before the first use"

    async def probe(self) -> None:
        """See `infra.runtime.Runtime.probe`."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._look)
        try:
            await self._try_true()
        except ContainerError as first:
            # Root may isolate without a user namespace, where the kernel's owner has switched those off.
            if os.getuid() != 0:
                raise _refused(first) from first
            self._features = replace(self._features, user_namespace=False)
            try:
                await self._try_true()
            except ContainerError:
                raise _refused(first) from first

    def _look(self) -> None:
        """Find out what the program and the kernel offer, and write the small /etc. Done once."""
        if self._is_ready:
            return
        version = _version(self._bwrap)
        if version < OLDEST:
            found = ".".join(map(str, version))
            raise RuntimeUnavailableError(f"bubblewrap {found} is too old; install 0.5 or newer")
        self._features = replace(self._features, size=version >= (0, 7), disable_userns=version >= (0, 8))
        sandbox_layout.write_etc(self._etc, self._features)
        try:
            self._cgroups = detect()
            self._cgroups.sweep()
            self.limits = f"cgroup v{self._cgroups.version}"
        except (NoCgroupsError, OSError) as error:
            self.limits = "rlimits only: memory per process, no CPU limit, no out-of-memory verdict"
            if os.geteuid() == 0:
                self.limits += ", no limit of processes for root"
            _log.warning("bubblewrap_without_cgroups", limits=self.limits, reason=str(error))
        self._is_ready = True

    async def _try_true(self) -> None:
        try:
            async with asyncio.timeout(TRIAL_S):
                container = await self.start(ContainerSpec(image="", argv=["true"]))
                try:
                    status = await container.wait()
                finally:
                    await container.remove()
        except TimeoutError as error:
            raise ContainerError(f"`true` did not end within {TRIAL_S:.0f} s") from error
        if not status.is_success:
            raise ContainerError(f"`true` ended with code {status.code}")

    async def prepare(self, image: str) -> Image:
        """Any image is the host's /usr; nothing is fetched and nothing can be missing."""
        return Image(image, "")

    async def has_path(self, image: Image, path: str) -> bool:
        """See `infra.runtime.Runtime.has_path`; one look at the host."""
        return sandbox_layout.image_has(path)

    async def start(self, spec: ContainerSpec) -> Container:
        """See `infra.runtime.Runtime.start`."""
        if not self._is_ready:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._look)
        sandbox_layout.check_program(spec)
        for mount in spec.mounts:
            if not mount.local.exists():
                raise ContainerError(f"{mount.local}, to be shown at {mount.internal}, does not exist on the node")
        name = uuid.uuid4().hex
        launch = Launch(
            id=name,
            bwrap=self._bwrap,
            arguments=sandbox_layout.arguments(spec, self._features, self._etc),
            argv=spec.argv,
            marker={MARKER: json.dumps({"id": name, "labels": dict(spec.labels)})},
            stdin=spec.stdin,
            resources=spec.resources,
            cgroup=self._cgroups.group(name) if self._cgroups else None,
        )
        sandbox = Sandbox(launch, self._executor)
        starting = asyncio.create_task(sandbox.start())
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A half-started sandbox cannot be let go of: its start takes milliseconds, then it is removed.
            with contextlib.suppress(ContainerError):
                await starting
            await sandbox.remove()
            raise
        return sandbox

    async def orphans(self, node_id: str | None = None) -> Sequence[Orphan]:
        """See `infra.runtime.Runtime.orphans`: those of this machine whose processes this user may see."""
        found = await asyncio.get_running_loop().run_in_executor(self._executor, lambda: list(_marked()))
        return [o for _, o in found if node_id is None or o.labels.get(LABEL_NODE) == node_id]

    async def destroy(self, orphan: Orphan) -> None:
        """See `infra.runtime.Runtime.destroy`."""
        loop = asyncio.get_running_loop()
        for handle in await loop.run_in_executor(self._executor, _take_hold, orphan.id):
            try:
                handle.send(signal.SIGKILL)
                await handle.ended()
            finally:
                handle.close()
        if self._cgroups:
            await loop.run_in_executor(self._executor, self._cgroups.group(orphan.id).remove)

    async def close(self) -> None:
        """See `infra.runtime.Runtime.close`."""
        self._executor.shutdown(wait=False)


def _marked() -> Iterator[tuple[int, Orphan]]:
    """The bwrap processes beside us that carry the marker, and what it says."""
    for pid in processes.pids():
        text = processes.environment(pid, MARKER)
        # A command may set the variable too, but it cannot leave its pid namespace.
        if text is None or not processes.shares_our_pid_namespace(pid):
            continue
        with contextlib.suppress(ValueError, KeyError, TypeError):
            said = json.loads(text)
            yield pid, Orphan(str(said["id"]), dict(said["labels"]))


def _take_hold(name: str) -> list[ProcessHandle]:
    """Handles of a sandbox: its first process, whose end is the end of all, then bwrap."""
    handles: list[ProcessHandle] = []
    for pid, orphan in _marked():
        if orphan.id == name:
            for number in (*processes.children(pid), pid):
                with contextlib.suppress(ProcessLookupError):
                    handles.append(ProcessHandle(number))
    return handles


def _version(bwrap: str) -> tuple[int, ...]:
    try:
        done = subprocess.run([bwrap, "--version"], capture_output=True, text=True, timeout=TRIAL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeUnavailableError(f"{bwrap} cannot be run: {error}") from error
    numbers = re.search(r"(\d+)\.(\d+)", done.stdout)
    if numbers is None:
        raise RuntimeUnavailableError(f"{bwrap} --version says {(done.stdout or done.stderr).strip()!r}")
    return tuple(int(n) for n in numbers.groups())


def _refused(error: ContainerError) -> RuntimeUnavailableError:
    return RuntimeUnavailableError(
        f"bubblewrap is installed but may not isolate here ({error}). It needs user namespaces: as root set"
        " `sysctl kernel.unprivileged_userns_clone=1` and `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
        " (where they exist) and see that user.max_user_namespaces is not 0; inside a Docker container start that"
        " container with --privileged, or with a seccomp profile that allows unshare, clone and mount"
    )


def open_runtime(url: str, settings: Settings) -> BubblewrapRuntime:
    """``bwrap://`` finds the program on PATH, ``bwrap:///path/to/bwrap`` names it.

    Raises:
        RuntimeUnavailableError: it is not installed.
    """
    wanted = urlsplit(url).path or "bwrap"
    program = shutil.which(wanted)
    if program is None:
        raise RuntimeUnavailableError(
            f"{wanted} is not installed; as root: apt-get install bubblewrap (Fedora: dnf install bubblewrap)"
        )
    return BubblewrapRuntime(program, settings)
