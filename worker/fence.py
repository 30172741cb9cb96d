"""Removing what a dead node left running: ``python -m worker.fence NODE``, started by the node's watchdog."""

from __future__ import annotations

import asyncio
import sys

from infra.errors import SisyphusError
from infra.log import get_logger, setup_logging
from infra.runtime import open_runtime
from infra.settings import load_settings

log = get_logger(__name__)


async def fence(node_id: str) -> int:
    """Destroy every container of the node; the number that was found."""
    runtime = await open_runtime(load_settings())
    try:
        found = await runtime.orphans(node_id)
        for orphan in found:
            await runtime.destroy(orphan)
    finally:
        await runtime.close()
    return len(found)


if __name__ == "__main__":
    setup_logging()
    try:
        log.warning("node_fenced", node=sys.argv[1], containers=asyncio.run(fence(sys.argv[1])))
    except SisyphusError as error:
        log.error("fence_failed", node=sys.argv[1], error=str(error), consequence="another node's sweep removes them")
        sys.exit(1)
