"""Whether somebody is there to run a task, and what to say where nobody is."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.cluster import Cluster
from infra.commands.options import again
from schemas.record import TaskRecord


async def has_nodes(cluster: Cluster) -> bool:
    """Whether some node is alive and takes work."""
    ttl_s = cluster.settings.lease.ttl_s
    return any(node.seen_s < ttl_s and not node.draining for node in await cluster.store.nodes())


async def warn_without_nodes(cluster: Cluster, record: TaskRecord, data: Path | None) -> None:
    """Say so where a task waits and nobody is there to run it."""
    if not record.is_terminal and not await has_nodes(cluster):
        sys.stderr.write(f"no node is running: the task waits in the queue; start one with: {again('up', data)}\n")
