"""Removing what a dead node left running: ``python -m worker.fence NODE BOOT``, started by the node's watchdog."""

from __future__ import annotations

import asyncio
import sys

from infra.errors import ContainerError, SisyphusError
from infra.log import get_logger, setup_logging
from infra.runtime import LABEL_BOOT, Runtime, open_runtime
from infra.settings import load_settings

log = get_logger(__name__)

#: Seconds between tries.
PAUSES_S = (0.5, 1.0, 2.0, 4.0)


async def fence(runtime: Runtime, node_id: str, boot_id: str) -> int:
    """Destroy every container of that start of the node; the number that was found.

    Raises:
        ContainerError: some are left; the others are gone.
    """
    found = [x for x in await runtime.orphans(node_id) if x.labels.get(LABEL_BOOT) == boot_id]
    outcomes = await asyncio.gather(*(runtime.destroy(x) for x in found), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return len(found)


async def run(node_id: str, boot_id: str) -> int:
    """`fence`, tried again while the runtime does not answer."""
    runtime = await open_runtime(load_settings())
    try:
        for pause_s in PAUSES_S:
            try:
                return await fence(runtime, node_id, boot_id)
            except ContainerError as error:
                log.warning("fence_not_complete", node=node_id, error=str(error), consequence="tried again")
                await asyncio.sleep(pause_s)
        return await fence(runtime, node_id, boot_id)
    finally:
        await runtime.close()


if __name__ == "__main__":
    setup_logging()
    try:
        log.warning("node_fenced", node=sys.argv[1], containers=asyncio.run(run(*sys.argv[1:3])))
    except SisyphusError as error:
        log.error("fence_failed", node=sys.argv[1], error=str(error), consequence="another node's sweep removes them")
        sys.exit(1)
