"""``sisyphus worker``: one node in the foreground."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from infra.identity import new_id
from infra.log import get_logger, setup_logging
from infra.object_store import ObjectStores
from infra.runtime import open_runtime
from infra.settings import Settings, host_name, load_settings
from infra.state_store import open_state_store
from schemas.paths import Remote, Scheme
from worker.node import Node
from worker.ports import Ports

log = get_logger(__name__)


def worker(
    data: Annotated[Path | None, typer.Option(help="Data directory of the embedded system.")] = None,
    slots: Annotated[int | None, typer.Option(help="Tasks that run at the same time.", min=1)] = None,
    node_id: Annotated[
        str | None, typer.Option("--node", help="Name of this node; default: host and a number.")
    ] = None,
    queue: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Worker class: run only tasks of this queue.")
    ] = None,
) -> None:
    """Run one worker node: take tasks, run them in containers, put the outputs back.

    Ctrl-C drains: running tasks finish, no new ones are taken. A second Ctrl-C stops at once; other nodes go on.

    Examples:
        sisyphus worker --data /srv/sisyphus --slots 4

        sisyphus worker --queue gpu

        SISYPHUS_BROKER=amqp://user:pw@host/ SISYPHUS_DATABASE=postgresql+asyncpg://… sisyphus worker
    """
    settings = load_settings(data=data, slots=slots, node_id=node_id, queue=queue)
    setup_logging(settings.log_level, settings.log_format)
    asyncio.run(run_node(settings))


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
