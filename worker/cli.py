"""``sisyphus worker``: one node in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def worker(
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Directory of the system; default SISYPHUS_DATA, else ./.data."),
    ] = None,
    slots: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=256, help="Tasks that run at the same time; default 2.")
    ] = None,
    node_id: Annotated[
        str | None,
        typer.Option("--node", metavar="NAME", help="Name of this node; default: the host's and some letters."),
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
      SISYPHUS_BROKER=amqp://me:pw@host/ SISYPHUS_DATABASE=postgresql+asyncpg://me:pw@host/db sisyphus worker
    """
    import asyncio

    from infra.log import setup_logging
    from infra.settings import load_settings, warn_of_unknown_settings
    from worker.start import run_node

    settings = load_settings(data=data, slots=slots, node_id=node_id, queue=queue)
    setup_logging(settings.log_level, settings.log_format)
    warn_of_unknown_settings()
    asyncio.run(run_node(settings))
