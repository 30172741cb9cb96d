"""Whether somebody is there to run a task, and what to say where nobody is."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.cluster import Cluster
from infra.commands.options import again
from schemas.record import TaskRecord


async def classes_with_nodes(cluster: Cluster) -> set[str]:
    """The worker classes of which some node is alive and takes work."""
    ttl_s = cluster.settings.lease.ttl_s
    return {node.queue for node in await cluster.store.nodes() if node.seen_s < ttl_s and not node.draining}


async def warn_without_nodes(cluster: Cluster, record: TaskRecord, data: Path | None) -> None:
    """Say so where a task waits and nobody is there to run it."""
    if record.is_terminal or record.queue in (there := await classes_with_nodes(cluster)):
        return
    if there or record.queue != cluster.settings.worker_class:
        start = again(f"worker --queue {record.queue}", data)
        sys.stderr.write(f"no node of the class {record.queue} is running: the task waits; start one with: {start}\n")
    else:
        sys.stderr.write(f"no node is running: the task waits in the queue; start one with: {again('up', data)}\n")
