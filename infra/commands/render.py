"""Tasks, nodes and templates as tables and blocks of text for people."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from infra.commands.units import age, duration, legible, size
from infra.commands.words import ITEM_MARK, STATE_STYLE, state_text
from schemas.failure import Failure
from schemas.record import NodeRecord, TaskRecord
from schemas.state import TaskState
from schemas.template import Template

#: Longest log tail that `status` shows, in lines.
_TAIL_LINES = 12
#: A line that a command prints to report progress.
_REPORT = re.compile(r"::(progress|notice)\b.*::")
#: Columns below which a list of tasks leaves their age out.
_NARROW = 72
#: Columns of a line that no terminal shows: nothing is wrapped or cut.
_PIPE_WIDTH = 10_000


def show(*parts: RenderableType) -> None:
    """Print for people; a pipe gets no colours and whole lines without padding, so that they can be searched."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    console = Console(highlight=False, width=_PIPE_WIDTH)
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    sys.stdout.flush()


def _grid(*heads: str, yielding: Collection[str] = ()) -> Table:
    """A table without lines. Where the terminal is narrow, the `yielding` columns are wrapped and no others."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold dim")
    for head in heads:
        table.add_column(head, no_wrap=head not in yielding, overflow="fold" if head in yielding else "ellipsis")
    return table


def _cut(text: str) -> Text:
    """Text that is cut instead: one line, as long as the terminal lets it be."""
    return Text(legible(text), no_wrap=True, overflow="ellipsis")


class TaskTable:
    """Recent tasks, newest first, one line each. Ids are never cut: they are there to be copied."""

    def __init__(self, records: Sequence[TaskRecord]) -> None:
        self._records = records

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self._records:
            yield Text("no tasks yet")
            return
        now = datetime.now(UTC)
        is_narrow = options.max_width < _NARROW
        heads = ("task", "name", "state", "done", *(() if is_narrow else ("age",)), "what")
        table = _grid(*heads, yielding=("name", "what"))
        for record in self._records:
            said = record.result or (record.failure.message if record.failure else record.message) or ""
            row = [record.id, _cut(record.document.name), state_text(record.state), f"{record.progress:.0f} %"]
            row += [] if is_narrow else [age(record.created_at, now)]
            table.add_row(*row, _cut(said.partition("\n")[0]))
        yield table


def node_table(nodes: Sequence[NodeRecord], ttl_s: float, start: str) -> RenderableType:
    """Nodes and what they do; `start` is the command that starts some."""
    alive = [node for node in nodes if node.seen_s < ttl_s]
    if not alive:
        return Text(f"no node is running; start some with: {start}", style="yellow")
    table = _grid("node", "queue", "runtime", "busy", "seen")
    for node in alive:
        busy = f"{node.busy} of {node.slots}" + (", draining" if node.draining else "")
        table.add_row(node.id, node.queue, node.runtime, busy, f"{node.seen_s:.0f} s ago")
    return table


def task_block(record: TaskRecord, log_tail: str) -> RenderableType:
    """One task in detail."""
    task = record.document
    style = STATE_STYLE.get(record.state, "cyan")
    head = Text.assemble((legible(task.name), "bold"), f"  {record.id}  ", (record.state.value, f"bold {style}"))
    facts = [f"workflow {task.workflow}", f"queue {record.queue}", f"image {task.image}", f"priority {task.priority}"]
    if record.node:
        facts.append(f"node {record.node}")
    about = Text(legible(" · ".join(facts)), style="dim")
    parts: list[RenderableType] = [head, about, Text(_times(record), style="dim")]
    if not record.is_terminal:
        said = f": {legible(record.message)}" if record.message else ""
        wish = ", cancel requested" if record.cancel_requested else ""
        parts.append(Text(f"{record.progress:.0f} %{said}{wish}"))
    if record.result:
        parts.append(Text.assemble("result  ", (legible(record.result), "bold green")))
    parts.append(Padding(todo_block(record), (1, 0, 0, 0)))
    if record.outputs:
        parts.append(Padding(output_block(record), (1, 0, 0, 0)))
    if record.failure:
        parts.append(Padding(failure_block(record.failure), (1, 0, 0, 0)))
    tail = record.failure.log_tail if record.failure and record.failure.log_tail else log_tail
    if lines := _said(tail):
        parts.append(Padding(_tail_block(lines), (1, 0, 0, 0)))
    return Group(*parts)


def _times(record: TaskRecord) -> str:
    now = datetime.now(UTC)
    words = [f"accepted {record.created_at.astimezone():%Y-%m-%d %H:%M:%S} ({age(record.created_at, now)})"]
    if record.started_at:
        words.append(f"started after {duration(record.started_at - record.created_at)}")
        end = record.finished_at or now
        words.append(f"{'took' if record.finished_at else 'running for'} {duration(end - record.started_at)}")
    if record.epoch > 1 or record.nodes_lost:
        lost = f", {record.nodes_lost} lost with their node" if record.nodes_lost else ""
        words.append(f"attempt {record.epoch} ({record.attempts} of {record.document.max_attempts} failed{lost})")
    return " · ".join(words)


def todo_block(record: TaskRecord) -> RenderableType:
    """The TODO list, one mark per item."""
    lines: list[RenderableType] = []
    for item in record.todos:
        mark, style = ITEM_MARK[item.state]
        lines.append(Text.assemble((f"  {mark} ", style), (legible(item.title), "" if style != "dim" else "dim")))
    return Group(*lines)


def output_block(record: TaskRecord) -> RenderableType:
    """What was stored, and where."""
    table = _grid("output", "size", "sha256", yielding=("output",))
    for output in record.outputs:
        table.add_row(Text(legible(str(output.remote))), size(output.size_bytes), output.sha256[:12])
    return table


def failure_block(failure: Failure) -> RenderableType:
    """Why it failed."""
    is_said = f"exit code {failure.exit_code}" in failure.message or failure.exit_code is None
    code = "" if is_said else f", exit code {failure.exit_code}"
    where = f" at {failure.item}" if failure.item else ""
    return Text.assemble((legible(failure.message), "red"), (f"  ({failure.cause.value}{where}{code})", "dim"))


def _said(log: str) -> list[str]:
    """The last lines of a log, without those that only report progress: they were shown as progress."""
    return [line for line in log.rstrip().splitlines() if not _REPORT.match(line)][-_TAIL_LINES:]


def _tail_block(lines: Sequence[str]) -> RenderableType:
    return Group(Text("last lines of its log:", style="dim"), *(Text(f"  {legible(line)}") for line in lines))


def ending_block(record: TaskRecord) -> RenderableType:
    """How a watched task ended: one line, then what it stored or why it failed."""
    style = STATE_STYLE.get(record.state, "cyan")
    mark = "✓" if record.state is TaskState.COMPLETE else "✗"
    took = f" in {duration(record.finished_at - record.created_at)}" if record.finished_at else ""
    result = f": {legible(record.result)}" if record.result else ""
    parts: list[RenderableType] = [Text.assemble((f"{mark} {record.state.value}", f"bold {style}"), f"{took}{result}")]
    if record.outputs:
        parts.append(output_block(record))
    if record.failure:
        parts.append(failure_block(record.failure))
        if lines := _said(record.failure.log_tail):
            parts.append(_tail_block(lines))
    return Group(*parts)


def template_block(template: Template) -> RenderableType:
    """One template with its parameters and an example."""
    head = Text.assemble((template.name, "bold"), f"  {template.sentence}")
    table = _grid("name", "type", "description", yielding=("description",))
    for name, parameter in template.parameters.items():
        kind = ", ".join(parameter.choices) or parameter.type.value
        default = "" if parameter.is_required else f" (default {parameter.default})"
        table.add_row(f"{name}=", Text(kind, style="cyan"), Text(f"{parameter.description}{default}", style="dim"))
    table.show_header = False
    say = Text(f'say: "{template.example}"', style="dim")
    return Group(head, Padding(Group(table, say), (0, 0, 1, 4)))
