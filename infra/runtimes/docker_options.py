"""The body of Docker's create request for one container: limits, hardening, mounts. Pure.

Everything that a document does not ask for is shut: network, capabilities, new privileges, the root file system.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.runtime import ContainerSpec
from schemas.task import Resources

TMP = "/tmp"  # noqa: S108
#: How Docker counts memory and CPUs.
MEBIBYTE, NANO = 1 << 20, 1_000_000_000


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What is asked of an engine once: its architecture in Docker's words, its CPUs, whether it runs without root."""

    architecture: str = ""
    cpus: int = 1
    is_rootless: bool = False

    @property
    def user(self) -> str:
        """The user that makes a container's files the node's own; a rootless engine shows its owner as root inside."""
        return "0:0" if self.is_rootless else f"{os.getuid()}:{os.getgid()}"


def create_body(spec: ContainerSpec, facts: EngineFacts, source: Callable[[Path], str]) -> dict[str, Any]:
    """The JSON of ``POST /containers/create``.

    Args:
        spec: the container.
        facts: the engine's; it refuses a larger limit than its CPUs.
        source: turns a local path into the same file's path for the Docker daemon.
    """
    body: dict[str, Any] = {
        "Image": spec.image,
        "Cmd": list(spec.argv),
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": dict(spec.labels),
        "User": facts.user,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "HostConfig": _host_config(spec, facts.cpus, source),
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
