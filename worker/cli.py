"""``sisyphus worker``: one node in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def worker(
    data: Annotated[Path | None, typer.Option(help="Data directory of the embedded system.")] = None,
    slots: Annotated[int | None, typer.Option(help="Tasks that run at the same time.", min=1)] = None,
    node_id: Annotated[
        str | None, typer.Option("--node", help="Name of this node; default: host and a number.")
    ] = None,
) -> None:
    """Run one worker node: take tasks, run them in containers, put the outputs back.

    Ctrl-C drains: running tasks finish, no new ones are taken. A second Ctrl-C stops at once; other nodes go on.

    Examples:
        sisyphus worker --data /srv/sisyphus --slots 4

        SISYPHUS_BROKER=amqp://user:pw@host/ SISYPHUS_DATABASE=postgresql+asyncpg://… sisyphus worker
    """
    import asyncio

    from infra.log import setup_logging
    from infra.settings import load_settings
    from worker.start import run_node

    settings = load_settings(data=data, slots=slots, node_id=node_id)
    setup_logging(settings.log_level, settings.log_format)
    asyncio.run(run_node(settings))
