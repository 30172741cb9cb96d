"""Options that several commands share, spelled once, and what every command does with them.

What reaches the cluster is loaded when a command does: its help needs none of it.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.cluster import Cluster
    from infra.object_client import ObjectClient
    from infra.settings import Settings

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Directory of the system; default SISYPHUS_DATA, else ./.data."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Watch it until it ends; the exit code tells how.")]
TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="Id of the task, as `sisyphus status` lists it.")]


def client_settings(data: Path | None) -> Settings:
    """Settings of a command that only looks or asks: its log is silent but for warnings."""
    from infra.log import setup_logging
    from infra.settings import load_settings

    settings = load_settings(data=data)
    setup_logging("debug" if settings.log_level.lower() == "debug" else "warning", "text")
    return settings


def with_cluster(data: Path | None, work: Callable[[Cluster], Awaitable[int]], *, submits: bool = False) -> int:
    """Connect, do `work`, disconnect; its exit code."""
    import asyncio

    from infra.cluster import open_cluster

    settings = client_settings(data)

    async def session() -> int:
        async with open_cluster(settings, submits=submits) as cluster:
            return await work(cluster)

    return asyncio.run(session())


def with_objects(data: Path | None, work: Callable[[ObjectClient], Awaitable[int]]) -> int:
    """Do `work` with the object stores alone, without the database; its exit code."""
    import asyncio

    from infra.object_client import open_objects

    settings = client_settings(data)

    async def session() -> int:
        async with open_objects(settings) as objects:
            return await work(objects)

    return asyncio.run(session())


def finish(code: int) -> None:
    """End the command with `code`."""
    if code:
        raise typer.Exit(code)


def again(command: str, data: Path | None) -> str:
    """A command line that can be pasted: `command` against the same system."""
    program = "sisyphus"
    if Path(sys.argv[0]).name == program and which(program) is None:
        program = shlex.quote(os.path.relpath(sys.argv[0]))
    return f"{program} {command}" + (f" --data {shlex.quote(str(data))}" if data is not None else "")


def print_json(value: object) -> None:
    """One JSON document on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=_plain) + "\n")
    sys.stdout.flush()


def _plain(value: object) -> object:
    from pydantic import BaseModel

    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
