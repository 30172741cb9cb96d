"""Where the node's files lie for the Docker daemon, when the node itself runs in a container of that daemon. Pure.

Handing the daemon a path that only the node's container has would mount nothing, or another file of that name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.errors import ContainerError

#: Docker mounts these files from a directory that is named after the container.
_OWN_ID = re.compile(r"/containers/([0-9a-f]{64})/\S+ /etc/(?:hostname|hosts|resolv\.conf) ")


@dataclass(frozen=True, slots=True)
class MountMap:
    """Directory of the node -> the same directory for the daemon. Empty outside containers: paths are the same."""

    prefixes: Mapping[Path, str] = field(default_factory=dict[Path, str])

    def source(self, local: Path) -> str:
        """The daemon's path of a local file, links resolved.

        Raises:
            ContainerError: the daemon cannot see it.
        """
        real = Path(os.path.realpath(local))
        if not self.prefixes:
            return str(real)
        for prefix in sorted(self.prefixes, key=lambda p: -len(p.parts)):
            if real.is_relative_to(prefix):
                return os.path.normpath(Path(self.prefixes[prefix], real.relative_to(prefix)))
        raise ContainerError(
            f"{real} lies inside the node's own container, where the Docker daemon cannot see it; mount the node's data"
            " directory from the host or a volume, or set SISYPHUS_DOCKER_HOST_DIR"
        )


def own_container_id(mountinfo: str) -> str | None:
    """The id of the container that this process runs in, if Docker made it."""
    found = _OWN_ID.search(mountinfo)
    return found.group(1) if found else None


def map_of_mounts(mounts: Sequence[Mapping[str, Any]]) -> MountMap:
    """The map that a container's inspected `Mounts` give: binds and volumes alike."""
    return MountMap({Path(m["Destination"]): str(m["Source"]) for m in mounts if m.get("Source")})
