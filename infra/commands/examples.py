"""Example data for a new system: each file is offered to the store once in the life of a data directory.

What was offered is remembered, so an example that somebody deleted or replaced stays as they left it.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from infra.cluster import Cluster
from infra.errors import ConfigurationError
from infra.template_catalog import shipped_folder
from schemas.paths import Remote, Scheme

_OFFERED = "examples.json"


def examples_folder(given: Path | None) -> Path | None:
    """The folder that was asked for, else ``examples/data`` beside the templates of a checkout, else None.

    Raises:
        ConfigurationError: the folder that was asked for does not exist.
    """
    if given is not None:
        if not given.is_dir():
            raise ConfigurationError(f"--examples {given}: there is no such directory")
        return given
    beside = shipped_folder().parent / "examples" / "data"
    return beside if beside.is_dir() else None


async def offer_examples(cluster: Cluster, folder: Path) -> int:
    """Copy the files of `folder` to ``<default bucket>:<relative path>``; how many were copied.

    Nothing that is in the store is overwritten, and nothing is copied twice.
    """
    memory = cluster.settings.data / "run" / _OFFERED
    offered = await asyncio.to_thread(_remembered, memory)
    files = await asyncio.to_thread(lambda: sorted(path for path in folder.rglob("*") if path.is_file()))
    copied = 0
    for path in files:
        remote = Remote(Scheme.BUCKET, cluster.settings.default_bucket, path.relative_to(folder).as_posix())
        if str(remote) in offered:
            continue
        if await cluster.objects.at(remote).stat(remote) is None:
            await cluster.put(path, remote)
            copied += 1
        offered.add(str(remote))
    await asyncio.to_thread(_remember, memory, offered)
    return copied


def _remembered(memory: Path) -> set[str]:
    try:
        return set(json.loads(memory.read_text()))
    except (FileNotFoundError, ValueError):
        return set()


def _remember(memory: Path, offered: set[str]) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    part = memory.with_suffix(".part")
    part.write_text(json.dumps(sorted(offered), indent=0))
    part.replace(memory)
