"""What the commands about tasks that were submitted do: status, watch, logs, cancel."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from infra.cluster import Cluster
from infra.commands.ending import ExitCode
from infra.commands.options import again, print_json, with_cluster
from infra.commands.units import legible
from schemas.failure import RefusalError
from schemas.ids import checked_id
from schemas.record import TaskRecord
from schemas.state import TaskState

#: Characters of a running task's log that `status` shows the end of.
_TAIL_CHARS = 4000


def overview(states: Sequence[TaskState], limit: int, *, as_json: bool, data: Path | None) -> int:
    """Print recent tasks and the nodes."""

    async def work(cluster: Cluster) -> int:
        records = await cluster.store.find(states=states, limit=limit)
        nodes = await cluster.store.nodes()
        if as_json:
            from infra.views import summary

            print_json({"tasks": [summary(x) for x in records], "nodes": nodes})
            return ExitCode.COMPLETE
        from infra.commands.render import TaskTable, node_table, show

        show(TaskTable(records), "", node_table(nodes, cluster.settings.lease.ttl_s, again("up", data)))
        return ExitCode.COMPLETE

    return with_cluster(data, work)


def show_task(task: str, *, as_json: bool, data: Path | None) -> int:
    """Print one task with its steps, outputs, failure and the end of its log."""

    async def work(cluster: Cluster) -> int:
        record = await cluster.status(task)
        if as_json:
            _print_record(record)
            return ExitCode.COMPLETE
        from infra.commands.render import show, task_block

        show(task_block(record, await _tail(cluster, record)))
        return ExitCode.COMPLETE

    return with_cluster(data, work)


def watch(task: str, *, as_json: bool, data: Path | None) -> int:
    """Show what happens to a task until it ends; the exit code tells how it ended."""

    async def work(cluster: Cluster) -> int:
        from infra.commands.watching import watch_to_the_end

        return await watch_to_the_end(cluster, await cluster.status(task), as_json=as_json, data=data)

    return with_cluster(data, work)


def print_log(task: str, *, follow: bool, as_json: bool, data: Path | None) -> int:
    """Print what the commands of a task print, with `follow` until it ends."""

    async def work(cluster: Cluster) -> int:
        epoch = 0
        async for chunk in cluster.log(task, follow=follow):
            if as_json:
                print_json({"epoch": chunk.epoch, "offset": chunk.offset, "text": chunk.text})
                continue
            if epoch and chunk.epoch != epoch:
                sys.stdout.flush()
                sys.stderr.write(f"--- attempt {chunk.epoch} ---\n")
            epoch = chunk.epoch
            sys.stdout.write(chunk.text)
            sys.stdout.flush()
        return ExitCode.COMPLETE

    return with_cluster(data, work)


def stop_task(task: str, reason: str, *, as_json: bool, data: Path | None) -> int:
    """Ask for a stop, and say what comes of it.

    Raises:
        RefusalError: no task can have this id.
    """
    try:
        checked_id(task)
    except ValueError as error:
        raise RefusalError("task_id", f"{task!r} is no id of a task: {error}") from None

    async def work(cluster: Cluster) -> int:
        record = await cluster.cancel(task, reason)
        if not as_json:
            typer.echo(_canceled(task, record))
        elif record is None:
            print_json({"id": task, "state": None, "canceled_on_arrival": True})
        else:
            _print_record(record)
        return ExitCode.COMPLETE

    return with_cluster(data, work)


def _print_record(record: TaskRecord) -> None:
    from infra.views import view

    print_json(view(record))


async def _tail(cluster: Cluster, record: TaskRecord) -> str:
    text = ""
    async for chunk in cluster.log(record.id):
        text = (text + chunk.text)[-_TAIL_CHARS:] if chunk.epoch == record.epoch else ""
    return text


def _canceled(task: str, record: TaskRecord | None) -> str:
    if record is None:
        return f"there is no task {task} yet; if it arrives, it will not be run"
    name = legible(record.document.name)
    if record.state is TaskState.CANCELED:
        return f"{name} is canceled"
    if record.is_terminal:
        return f"{name} has ended already: {record.state.value}"
    if record.committed:
        return f"{name} is storing its last outputs; it is too late to cancel it"
    return f"{name} is being stopped"
