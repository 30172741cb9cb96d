"""The whole system on one machine, as child processes of this one.

N worker nodes and one door; they meet in the state store alone, exactly as on a cluster, so killing any of them is
no special case. This process holds the listening socket, so a door that restarts refuses nobody in between.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from infra.cluster import open_cluster
from infra.commands.ending import ExitCode
from infra.commands.examples import examples_folder, offer_examples
from infra.commands.options import again
from infra.commands.run_files import announce, sole_system
from infra.commands.supervisor import ChildSpec, Supervisor
from infra.errors import SisyphusError
from infra.listening import check_exposure, open_socket, url_of
from infra.log import get_logger, setup_logging
from infra.settings import Settings, child_environment, load_settings, warn_of_unknown_settings
from infra.template_catalog import load_catalog, shipped_folder

log = get_logger(__name__)

#: Seconds within which the door and every node must have come up.
_START_S = 120.0


class StartError(SisyphusError):
    """A part of the system ended before the system was up."""


def run_system(
    nodes: int, *, port: int | None, host: str | None, is_speaking: bool, examples: Path | None, data: Path | None
) -> int:
    """Run the system until it is stopped; the exit code.

    Raises:
        ModuleNotFoundError: the packages of the door are not installed.
        ConfigurationError: the address cannot be had, another system holds the data, or no token where one is needed.
        StartError: a part ended before the system was up.
    """
    if find_spec("uvicorn") is None:  # what the door needs is loaded by the door; without it nothing is started
        raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
    settings = load_settings(data=data, port=port, host=host)
    setup_logging(settings.log_level, settings.log_format)
    warn_of_unknown_settings()
    check_exposure(settings)
    folder = examples_folder(examples)
    with sole_system(settings.data), open_socket(settings.host, settings.port) as listening:
        system = System(settings, listening, nodes, is_speaking=is_speaking and has_voice(), data=data)
        return asyncio.run(system.run(folder))


def has_voice() -> bool:
    """Whether the packages of the speaking page are installed."""
    return find_spec("pipecat") is not None and find_spec("voice.server") is not None


class System:
    """One embedded system, from its first child to its last."""

    def __init__(
        self, settings: Settings, listening: socket.socket, nodes: int, *, is_speaking: bool, data: Path | None
    ) -> None:
        self._settings, self._listening, self._nodes = settings, listening, nodes
        self._is_speaking = is_speaking
        self._data = data  # as it was typed, for hints that can be pasted
        self._url = url_of(settings, listening)
        self._console = Console(highlight=False)
        self._former: set[str] = set()

    async def run(self, examples: Path | None) -> int:
        """Prepare the store, run the children, and end when they have; the exit code."""
        async with open_cluster(self._settings) as cluster:
            if examples is not None and (copied := await offer_examples(cluster, examples)):
                log.info("examples_stored", files=copied, bucket=self._settings.default_bucket)
            self._former = {node.id for node in await cluster.store.nodes()}
        self._listening.listen(128)
        supervisor = Supervisor(self._children(), child_environment(self._settings))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, supervisor)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(supervisor.run())
                group.create_task(self._welcome(supervisor))
        except* StartError as errors:
            raise errors.exceptions[0] from None
        return ExitCode.COMPLETE

    def _children(self) -> Sequence[ChildSpec]:
        workers = [ChildSpec(f"node {number}", ["worker"]) for number in range(1, self._nodes + 1)]
        fd = self._listening.fileno()
        where = ["--host", self._settings.host, "--port", str(self._settings.port), "--fd", str(fd)]
        doors = "tasks,voice" if self._is_speaking else "tasks"
        return [*workers, ChildSpec("door", ["door", "--doors", doors, *where], [fd], is_last=True)]

    def _stop(self, supervisor: Supervisor) -> None:
        is_first = not supervisor.is_stopping
        supervisor.request_stop()  # before anything is said: the terminal may be gone
        if is_first:
            self._console.print("stopping: running tasks may finish; press Ctrl-C again to stop at once")

    async def _welcome(self, supervisor: Supervisor) -> None:
        """Wait until the door answers and every node has reported, then say where everything is.

        Raises:
            StartError: a part ended, or took too long.
        """
        alive: list[dict[str, Any]] | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_S):
                while not supervisor.is_stopping and not supervisor.crashes:
                    alive = await asyncio.to_thread(self._nodes_alive)
                    if alive is not None and len(alive) >= self._nodes:
                        announce(self._settings.data, self._url)
                        self._console.print(self._banner(alive))
                        return
                    await asyncio.sleep(0.1)
        if supervisor.is_stopping:
            return
        if supervisor.crashes:
            name, code = supervisor.crashes[0]
            raise StartError(f"{name} ended with exit code {code} while starting; the lines above say why")
        what = "the door" if alive is None else f"{self._nodes - len(alive)} of {self._nodes} nodes"
        raise StartError(f"{what} did not come up within {_START_S:.0f} s")

    def _nodes_alive(self) -> list[dict[str, Any]] | None:
        """The nodes of this start as the door reports them; None while it does not answer."""
        token = self._settings.token
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        try:
            with urlopen(Request(f"{self._url}/v1/nodes", headers=headers), timeout=5) as answer:  # noqa: S310 - ours
                nodes: list[dict[str, Any]] = json.load(answer)["nodes"]
        except (URLError, OSError, ValueError):
            return None
        return [node for node in nodes if node["id"] not in self._former]

    def _banner(self, alive: Sequence[dict[str, Any]]) -> Panel:
        runtimes = ", ".join(sorted({str(node["runtime"]) for node in alive})) or "none"
        slots = sum(int(node["slots"]) for node in alive)
        rows = {
            "page" if self._is_speaking else "API": f"[bold]{self._url}[/]",
            "nodes": f"{len(alive)}, {slots} tasks at the same time, runtime {runtimes}",
            "data": escape(str(self._settings.data)),
        }
        if self._is_speaking and (template := load_catalog(*self._settings.templates).templates.get("count-words")):
            rows["say"] = escape(f'"{template.example}", with a click on the page')
        rows["try"] = f"[cyan]{escape(self._hint())}[/]"
        rows["see"] = f"[cyan]{escape(again('status', self._data))}[/]"
        rows["stop"] = "Ctrl-C: running tasks finish first"
        if self._settings.token:
            rows["token"] = "needed on every request: Authorization: Bearer $SISYPHUS_TOKEN"  # noqa: S105 - a hint
        grid = Table.grid(padding=(0, 2))
        for name, value in rows.items():
            grid.add_row(f"[dim]{name}[/]", Text.from_markup(value, overflow="fold"))
        return Panel(grid, title="Sisyphus is running", title_align="left", expand=False, padding=(0, 1))

    def _hint(self) -> str:
        """A command that works at once with what is there."""
        tasks = shipped_folder().parent / "examples" / "tasks"
        first = next(iter(sorted(tasks.glob("*.json"))), None)
        if first is None:
            return again("templates", self._data)
        shown = os.path.relpath(first) if first.is_relative_to(Path.cwd()) else str(first)
        return again(f"submit {shlex.quote(shown)} --wait", self._data)
