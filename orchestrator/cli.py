"""``sisyphus door``: the HTTP API in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def door(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on; off loopback SISYPHUS_TOKEN is needed.")
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="Port, default 8080; 0 takes any free one.")] = None,
    doors: Annotated[str, typer.Option(metavar="NAMES", help="What to serve, between commas: tasks, voice.")] = "tasks",
    fd: Annotated[int | None, typer.Option(hidden=True, help="A socket that is already bound.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Directory of the system; default SISYPHUS_DATA, else ./.data."),
    ] = None,
) -> None:
    """Serve the HTTP API: /v1/tasks, events as server-sent events, /openapi.json.

    SIGTERM and Ctrl-C end it; open requests get a few seconds.

    Examples:
      sisyphus door
      SISYPHUS_TOKEN=$(openssl rand -hex 24) sisyphus door --host 0.0.0.0 --port 8080
      sisyphus door --doors tasks,voice
    """
    import asyncio
    import socket

    from infra.door import serve
    from infra.log import setup_logging
    from infra.settings import load_settings

    settings = load_settings(data=data, host=host, port=port)
    setup_logging(settings.log_level, settings.log_format)
    listening = socket.socket(fileno=fd) if fd is not None else None
    names = [name.strip() for name in doors.split(",") if name.strip()]
    asyncio.run(serve(settings, names, listening))
