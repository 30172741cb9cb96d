"""Opens what a node needs, and runs the node until it is drained."""

from __future__ import annotations

import asyncio
import signal

from infra.identity import new_id
from infra.log import get_logger
from infra.object_store import ObjectStores
from infra.runtime import open_runtime
from infra.settings import Settings, host_name
from infra.state_store import open_state_store
from schemas.paths import Remote, Scheme
from worker.node import Node
from worker.ports import Ports

log = get_logger(__name__)


async def run_node(settings: Settings) -> None:
    """Run a node until it is drained.

    Raises:
        RuntimeUnavailableError: nothing can run containers here.
        StateStoreError: the database does not answer.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    runtime = await open_runtime(settings)
    if not runtime.honours_image:
        log.warning("images_not_honoured", runtime=runtime.name, consequence="commands run on this machine's /usr")
    store = await open_state_store(settings.database_url)
    objects = ObjectStores(settings)
    # Opening a store may import a large vendor package: not on the loop, and not in the first task.
    await asyncio.to_thread(objects.at, Remote(Scheme.BUCKET, settings.default_bucket, ""))
    ports = Ports(settings, settings.node_id or f"{host_name()}-{new_id()[-6:]}", store, objects, runtime)
    node = Node(ports)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, node.drain)
    try:
        await node.run()
    finally:
        await objects.close()
        await store.close()
        await runtime.close()
