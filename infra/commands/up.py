"""``sisyphus up``: the whole system on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.commands.options import finish


def up(
    nodes: Annotated[int, typer.Option("--nodes", metavar="N", min=0, max=64, help="How many worker nodes.")] = 2,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", help="Port of page and API, default 8080; 0 takes a free one."),
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Address; others than loopback need SISYPHUS_TOKEN.")
    ] = None,
    no_voice: Annotated[bool, typer.Option("--no-voice", help="Leave the speaking page out.")] = False,
    examples: Annotated[
        Path | None, typer.Option("--examples", metavar="DIR", help="Put these files into the store, each once.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Where everything lives; default SISYPHUS_DATA, else ./.data."),
    ] = None,
) -> None:
    """Start the whole system on this machine: page, API, worker nodes, storage and database.

    Ctrl-C lets running tasks finish; a second Ctrl-C stops at once, and nothing is lost: they go on at the next start.

    Examples:
      sisyphus up
      sisyphus up --nodes 4 --port 9000 --data ~/sisyphus
      SISYPHUS_TOKEN=$(openssl rand -hex 24) sisyphus up --host 0.0.0.0
    """
    from infra.commands.system import run_system

    finish(run_system(nodes, port=port, host=host, is_speaking=not no_voice, examples=examples, data=data))
