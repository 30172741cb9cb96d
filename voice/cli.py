"""``sisyphus voice serve`` and ``sisyphus voice say``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.commands.options import Data, finish
from infra.commands.usage import Command, new_app

if TYPE_CHECKING:
    from infra.settings import Settings

voice = new_app(
    name="voice",
    help="""Serve spoken calls, or speak a WAV file to the system.

    Examples:
      sisyphus voice serve --port 9000
      sisyphus voice say request.wav --out reply.wav
    """,
)


@voice.command(cls=Command)
def serve(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on; off loopback SISYPHUS_TOKEN is needed.")
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="Port, default 8080; 0 takes any free one.")] = None,
    fd: Annotated[int | None, typer.Option(hidden=True, help="A socket that is already bound.")] = None,
    data: Data = None,
) -> None:
    """Serve the page and calls over WebRTC and WebSocket.

    SIGTERM and Ctrl-C end it; running tasks go on. `sisyphus up` does this too, together with all else.

    Examples:
      sisyphus voice serve
      sisyphus voice serve --port 9000 --data ~/sisyphus
      SISYPHUS_TOKEN=$(openssl rand -hex 24) sisyphus voice serve --host 0.0.0.0
    """
    import asyncio
    import socket

    from infra.door import serve as serve_door
    from infra.log import setup_logging
    from infra.settings import load_settings

    settings = load_settings(data=data, host=host, port=port)
    setup_logging(settings.log_level, settings.log_format)
    listening = socket.socket(fileno=fd) if fd is not None else None
    asyncio.run(serve_door(settings, ["voice"], listening))


@voice.command(cls=Command)
def say(
    request: Annotated[Path, typer.Argument(metavar="REQUEST.wav", help="What is said: 16-bit PCM, any rate.")],
    out: Annotated[Path, typer.Option("--out", metavar="REPLY.wav", help="Takes what the system says.")],
    transcript: Annotated[
        Path | None, typer.Option(metavar="T.jsonl", help="Takes one JSON line per event: t, type, text, task, …")
    ] = None,
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on with this session; default: a new one.")
    ] = None,
    deadline: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="Seconds after which it is given up.")
    ] = 600.0,
    data: Data = None,
) -> None:
    """Speak a WAV file to the running system, in real time, until its tasks have ended and been spoken.

    The exit code is that of the tasks: 0 complete, 1 a command failed, 3 a system error, 4 canceled.

    Examples:
      sisyphus voice say request.wav --out reply.wav
      sisyphus voice say request.wav --out reply.wav --transcript turns.jsonl --deadline 60
    """
    import asyncio

    from infra.log import setup_logging
    from infra.settings import load_settings
    from voice.vendor_logs import tame_vendors

    settings = load_settings(data=data)
    setup_logging("debug" if settings.log_level.lower() == "debug" else "error", "text")
    tame_vendors(settings.log_level)
    finish(asyncio.run(_say(settings, request, out, transcript, session, deadline)))


async def _say(
    settings: Settings, request: Path, out: Path, transcript: Path | None, session: str | None, deadline: float
) -> int:
    from infra.cluster import open_cluster
    from infra.commands.ending import OF_STATE
    from voice.say import say as say_file

    kinds: set[str] = set()

    def on_event(event: dict[str, Any]) -> None:
        kinds.add(str(event["type"]))
        _print_event(event)

    async with open_cluster(settings) as cluster:
        spoken = await say_file(
            cluster, request, out, session=session, transcript=transcript, deadline_s=deadline, on_event=on_event
        )
    if "heard" not in kinds:
        # What was not understood is not shown: it may never have been said.
        found = "no request was understood" if "say" in kinds else "no words were heard"
        sys.stderr.write(f"{found} in {request}\n")
    typer.echo(f"reply: {out}, {spoken.reply_s:.1f} s of speech")
    return max((int(OF_STATE[record.state]) for record in spoken.records if record.is_terminal), default=0)


def _print_event(event: dict[str, Any]) -> None:
    who = {"heard": "you", "say": "bot"}.get(str(event["type"]))
    if who is not None:
        sys.stdout.write(f"{event['t']:7.2f} s  {who}: {event['text']}\n")
        sys.stdout.flush()
