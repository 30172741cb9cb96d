"""The body of Docker's create request for one container: limits, hardening, mounts. Pure.

Everything that a document does not ask for is shut: network, capabilities, new privileges, the root file system.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.runtime import ContainerSpec
from schemas.task import Resources

TMP = "/tmp"  # noqa: S108
#: How Docker counts memory and CPUs.
MEBIBYTE, NANO = 1 << 20, 1_000_000_000


def create_body(spec: ContainerSpec, cpus: int, source: Callable[[Path], str]) -> dict[str, Any]:
    """The JSON of ``POST /containers/create``.

    Args:
        spec: the container.
        cpus: the engine's CPUs; it refuses a larger limit.
        source: turns a local path into the same file's path for the Docker daemon.
    """
    body: dict[str, Any] = {
        "Image": spec.image,
        "Cmd": list(spec.argv),
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": dict(spec.labels),
        "User": f"{os.getuid()}:{os.getgid()}",
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "HostConfig": _host_config(spec, cpus, source),
    }
    if spec.workdir is not None:
        body["WorkingDir"] = spec.workdir
    if spec.stdin is not None:
        body.update(OpenStdin=True, StdinOnce=True, AttachStdin=True)
    return body


def _host_config(spec: ContainerSpec, cpus: int, source: Callable[[Path], str]) -> dict[str, Any]:
    wanted = spec.resources
    size = wanted.disk_mb * MEBIBYTE
    config: dict[str, Any] = {
        "NetworkMode": wanted.network,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "ReadonlyRootfs": wanted.read_only_root,
        "PidsLimit": wanted.pids,
        "Memory": wanted.memory_mb * MEBIBYTE,
        "MemorySwap": wanted.memory_mb * MEBIBYTE,
        "NanoCpus": int(min(wanted.cpus, cpus) * NANO),
        "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}, {"Name": "fsize", "Soft": size, "Hard": size}],
        # Output is read while it is produced; a copy in the daemon would only fill its disk.
        "LogConfig": {"Type": "none"},
        # Mounts, not "source:target" strings: any character may stand in a path, and a missing source is an error.
        "Mounts": [
            {"Type": "bind", "Source": source(m.local), "Target": m.internal, "ReadOnly": m.read_only}
            for m in spec.mounts
        ],
    }
    if wanted.read_only_root and all(m.internal != TMP for m in spec.mounts):
        config["Tmpfs"] = {TMP: f"rw,exec,nosuid,nodev,mode=1777,size={_tmp_bytes(wanted)}"}
    return config


def _tmp_bytes(wanted: Resources) -> int:
    return wanted.disk_mb * MEBIBYTE
