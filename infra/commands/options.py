"""Options that several commands share, spelled once; and `Session`, which runs a command against the cluster."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from shutil import which
from typing import Annotated

import typer
from pydantic import BaseModel

from infra.cluster import Cluster, open_cluster
from infra.log import setup_logging
from infra.settings import Settings, load_settings

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Directory of the system; default SISYPHUS_DATA, else ./.data."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Watch it until it ends; the exit code tells how.")]
TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="Id of the task, as `sisyphus status` lists it.")]


def client_settings(data: Path | None) -> Settings:
    """Settings of a command that only looks or asks: its log is silent but for warnings."""
    settings = load_settings(data=data)
    setup_logging("debug" if settings.log_level.lower() == "debug" else "error", "text")
    return settings


def with_cluster(data: Path | None, work: Callable[[Cluster], Awaitable[int]]) -> int:
    """Connect, do `work`, disconnect; its exit code."""
    settings = client_settings(data)

    async def session() -> int:
        async with open_cluster(settings) as cluster:
            return await work(cluster)

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
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
