"""Following one task on a terminal: a live bar for people, plain lines for pipes, JSON lines for programs.

Everything shown comes from the task's durable events, so that a watcher may come late, leave and return.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from infra.cluster import Cluster
from infra.commands.ending import OF_STATE, ExitCode
from infra.commands.options import again, print_json
from infra.commands.render import ending_block, show
from infra.commands.units import duration, legible
from infra.commands.without_nodes import warn_without_nodes
from infra.commands.words import STATE_STYLE, event_line
from schemas.event import Event, EventType
from schemas.record import TaskRecord
from schemas.state import TaskState
from schemas.todo import ItemState

#: Columns from which on there is room for a long bar and for a message beside it.
_WIDE = 80


class Face(Protocol):
    """Where events are shown."""

    def show(self, event: Event) -> None:
        """Show one event, in the order of `seq`."""
        ...


async def watch_to_the_end(cluster: Cluster, record: TaskRecord, *, as_json: bool, data: Path | None) -> ExitCode:
    """Show a task until it has ended, then what came of it; the exit code that tells how it ended."""
    ended = await _watch(cluster, record, as_json=as_json, data=data)
    if not as_json:
        show(ending_block(ended))
    return OF_STATE[ended.state]


async def _watch(cluster: Cluster, record: TaskRecord, *, as_json: bool, data: Path | None) -> TaskRecord:
    """Show every event of a task until it has ended; its final record.

    An interrupt only ends the watching: it says how to go on, and the task goes on.
    """
    await warn_without_nodes(cluster, record, data)
    try:
        with _face(record, as_json=as_json) as face:
            async for event in cluster.follow(record.id):
                face.show(event)
    except asyncio.CancelledError:
        sys.stderr.write(
            f"\nno longer watching; the task goes on.\n  go on watching: {again(f'watch {record.id}', data)}\n"
            f"  stop it:        {again(f'cancel {record.id}', data)}\n"
        )
        raise
    return await cluster.status(record.id)


@contextmanager
def _face(record: TaskRecord, *, as_json: bool) -> Generator[Face]:
    console = Console(highlight=False)
    if as_json:
        yield JsonFace()
    elif console.is_terminal:
        with LiveFace(record, console) as face:
            yield face
    else:
        yield PlainFace()


class JsonFace:
    """One JSON line per event."""

    def show(self, event: Event) -> None:
        """Print the event as it is stored."""
        print_json(event)


class PlainFace:
    """One line per event, with the time since the first."""

    def __init__(self) -> None:
        self._start: datetime | None = None

    def show(self, event: Event) -> None:
        """Print the event if it says something to people."""
        self._start = self._start or event.at
        if (line := event_line(event)) is not None:
            sys.stdout.write(f"{duration(event.at - self._start):>10}  {legible(line)}\n")
            sys.stdout.flush()


class _MessageColumn(ProgressColumn):
    """The latest milestone; where the terminal is narrow it is cut, and nothing else."""

    def render(self, task: Task) -> Text:
        """One line of it."""
        return Text(legible(task.fields["message"]), style="dim", no_wrap=True, overflow="ellipsis")


class LiveFace:
    """A bar with state, percent, elapsed time and the latest milestone; finished steps scroll by above it."""

    def __init__(self, record: TaskRecord, console: Console) -> None:
        self._items = {item.key: ItemState.PENDING for item in record.todos}
        self._state = TaskState.QUEUED
        self._reported = False
        self._progress = Progress(
            TextColumn("{task.fields[state]}"),
            BarColumn(bar_width=32 if console.width >= _WIDE else 12),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            _MessageColumn(table_column=Column(no_wrap=False)),
            console=console,
            transient=True,
        )
        console.print(Text.assemble((legible(record.document.name), "bold"), f"  {record.id}"))
        self._bar = self._progress.add_task("", total=100.0, state="queued", message="")
        # Who comes late sees how long the task has taken, not for how long it was watched.
        age_s = (datetime.now(UTC) - record.created_at).total_seconds()
        self._progress.tasks[0].start_time = self._progress.get_time() - max(age_s, 0.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Bring the bar up to date with one event."""
        data = event.data
        match event.type:
            case EventType.STATE:
                self._state = TaskState(str(data["to"]))
            case EventType.TODO:
                self._todo(str(data["item"]), str(data.get("title") or data["item"]), ItemState(str(data["state"])))
            case EventType.REOPENED:
                keys = data.get("items")
                for key in keys if isinstance(keys, list) else []:
                    self._items[str(key)] = ItemState.PENDING
                self._say(event_line(event), "yellow")
            case EventType.PROGRESS if isinstance(percent := data.get("percent"), int | float):
                self._reported = True
                self._progress.update(self._bar, completed=float(percent))
            case EventType.RETRY | EventType.CANCEL_REQUESTED:
                self._say(event_line(event), "yellow")
            case _:
                pass
        if message := data.get("message"):
            self._progress.update(self._bar, message=str(message))
        style = STATE_STYLE.get(self._state, "cyan")
        self._progress.update(self._bar, state=f"[{style}]{self._state.value}[/]")

    def _todo(self, key: str, title: str, state: ItemState) -> None:
        self._items[key] = state
        if state is ItemState.COMPLETED:
            self._say(f"✓ {title}", "green")
        elif state is ItemState.FAILED:
            self._say(f"✗ {title}", "red")
        if not self._reported:
            done = sum(x is ItemState.COMPLETED for x in self._items.values())
            self._progress.update(self._bar, completed=100.0 * done / len(self._items))

    def _say(self, line: str | None, style: str) -> None:
        if line:
            self._progress.console.print(Text(f"  {legible(line)}", style=style))
