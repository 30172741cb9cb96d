"""Commands about tasks: submit, run, status, watch, logs, cancel, templates.

All of them speak to the cluster through `infra.cluster`; none needs a running node.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from infra.cluster import Cluster
from infra.commands import render
from infra.commands.ending import OF_STATE, ExitCode
from infra.commands.options import (
    AsJson,
    Data,
    TaskArgument,
    Wait,
    again,
    client_settings,
    finish,
    print_json,
    with_cluster,
)
from infra.commands.watching import warn_without_nodes, watch_task
from infra.errors import ConfigurationError
from infra.identity import new_id
from infra.template_catalog import load_catalog
from infra.views import summary, view
from schemas.failure import DocumentError, Problem
from schemas.legacy import MAX_DOCUMENT_BYTES, parse_json, parse_task
from schemas.record import TaskRecord
from schemas.state import TaskState
from schemas.task import TaskDocument

#: Characters of a running task's log that `status` shows the end of.
_TAIL_CHARS = 4000


def submit(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A task document in JSON; - reads standard input.")],
    wait: Wait = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Submit a task document: it is checked, stored durably, and run by the next free node.

    Without a running system it waits in the queue. Submitting a document that has an id twice runs it once.

    Examples:
      sisyphus submit task.json --wait
      echo '{"image": "alpine:3", "commands": [{"command": ["echo", "hello"]}]}' | sisyphus submit - --wait
      id=$(sisyphus submit task.json --json | jq -r .id)
    """
    task = parse_json(_read(file))
    finish(with_cluster(data, lambda cluster: _submit(cluster, task, wait=wait, as_json=as_json, data=data)))


def run(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Name, as `sisyphus templates` lists it.")],
    values: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Its parameters.")] = None,
    wait: Wait = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Run a template: the task document is made from it and from the values.

    Examples:
      sisyphus templates
      sisyphus run count-words source=sisyphus:reports/annual-report.txt --wait
      sisyphus run slow-audit source=sisyphus:reports/annual-report.txt pause=2 --wait
    """
    settings = client_settings(data)
    chosen = load_catalog(*settings.templates).get(template)
    task = parse_task(chosen.render(_pairs(values or []), new_id()))
    finish(with_cluster(data, lambda cluster: _submit(cluster, task, wait=wait, as_json=as_json, data=data)))


def status(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Id of a task; without it, all.")] = None,
    state: Annotated[
        list[TaskState] | None,
        typer.Option("--state", metavar="STATE", help="Only this state; repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many tasks.")] = 20,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """What is going on: recent tasks and nodes, or one task with its steps, outputs, failure and log.

    Examples:
      sisyphus status
      sisyphus status --state running --state queued
      sisyphus status 0k2v8p1x… --json
    """

    async def work(cluster: Cluster) -> int:
        if task is None:
            return await _overview(cluster, state or [], limit, as_json=as_json, start=again("up", data))
        record = await cluster.status(task)
        if as_json:
            print_json(view(record))
        else:
            render.show(render.task_block(record, await _tail(cluster, record)))
        return ExitCode.COMPLETE

    finish(with_cluster(data, work))


def watch(task: TaskArgument, as_json: AsJson = False, data: Data = None) -> None:
    """Follow a task until it ends: its progress, milestones and steps as they complete.

    Ctrl-C stops the watching, not the task. The exit code tells how the task ended.

    Examples:
      sisyphus watch 0k2v8p1x…
      sisyphus watch 0k2v8p1x… --json        one JSON line per event
    """

    async def work(cluster: Cluster) -> int:
        record = await watch_task(cluster, await cluster.status(task), as_json=as_json, data=data)
        if not as_json:
            render.show(render.ending_block(record))
        return OF_STATE[record.state]

    finish(with_cluster(data, work))


def logs(
    task: TaskArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the task ends.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """What the commands of a task print.

    Examples:
      sisyphus logs 0k2v8p1x…
      sisyphus logs 0k2v8p1x… -f | grep warning
    """

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

    finish(with_cluster(data, work))


def cancel(
    task: TaskArgument,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the task.")] = "canceled by the user",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Stop a task, wherever it is: queued, starting, running or storing its outputs.

    Examples:
      sisyphus cancel 0k2v8p1x…
      sisyphus cancel 0k2v8p1x… --reason "wrong input"
    """

    async def work(cluster: Cluster) -> int:
        record = await cluster.cancel(task, reason)
        if as_json:
            print_json(view(record) if record else {"id": task, "state": None, "canceled_on_arrival": True})
        else:
            typer.echo(_canceled(task, record))
        return ExitCode.COMPLETE

    finish(with_cluster(data, work))


def templates(
    name: Annotated[str | None, typer.Argument(metavar="TEMPLATE", help="Only this one.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """What can be asked for: every template with its parameters and one way to say it.

    Examples:
      sisyphus templates
      sisyphus templates count-words --json
    """
    catalog = load_catalog(*client_settings(data).templates)
    chosen = [catalog.get(name)] if name else list(catalog)
    if as_json:
        print_json(chosen)
        return
    for template in chosen:
        render.show(render.template_block(template))


def _read(file: str) -> bytes:
    """The document's bytes, never more than one too many.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    if file == "-":
        return sys.stdin.buffer.read(MAX_DOCUMENT_BYTES + 1)
    try:
        with Path(file).open("rb") as stream:
            return stream.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None


def _pairs(values: list[str]) -> dict[str, object]:
    pairs: dict[str, object] = {}
    problems: list[Problem] = []
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key:
            problems.append(Problem(code="pair", field="values", message=f"{text!r} is not of the form key=value"))
        elif key in pairs:
            problems.append(Problem(code="pair_twice", field=f"parameters.{key}", message=f"{key} is given twice"))
        pairs[key] = value
    if problems:
        raise DocumentError(problems)
    return pairs


async def _submit(cluster: Cluster, task: TaskDocument, *, wait: bool, as_json: bool, data: Path | None) -> int:
    submission = await cluster.submit(task)
    record = submission.record
    if not wait:
        if as_json:
            print_json(view(record))
            return ExitCode.COMPLETE
        what = "accepted" if submission.created else f"known already, {record.state.value}"
        typer.echo(f"{record.id}  {record.document.name}: {what}")
        typer.echo(f"  watch it: {again(f'watch {record.id}', data)}")
        await warn_without_nodes(cluster, record, data)
        return ExitCode.COMPLETE
    if as_json:
        record = await cluster.wait(record.id)
        print_json(view(record))
    else:
        record = await watch_task(cluster, record, as_json=False, data=data)
        render.show(render.ending_block(record))
    return OF_STATE[record.state]


async def _overview(cluster: Cluster, states: list[TaskState], limit: int, *, as_json: bool, start: str) -> int:
    records = await cluster.store.find(states=states, limit=limit)
    nodes = await cluster.store.nodes()
    if as_json:
        print_json({"tasks": [summary(x) for x in records], "nodes": nodes})
        return ExitCode.COMPLETE
    render.show(render.task_table(records), "", render.node_table(nodes, cluster.settings.lease.ttl_s, start))
    return ExitCode.COMPLETE


async def _tail(cluster: Cluster, record: TaskRecord) -> str:
    text = ""
    async for chunk in cluster.log(record.id):
        text = (text + chunk.text)[-_TAIL_CHARS:] if chunk.epoch == record.epoch else ""
    return text


def _canceled(task: str, record: TaskRecord | None) -> str:
    if record is None:
        return f"there is no task {task} yet; if it arrives, it will not be run"
    if record.state is TaskState.CANCELED:
        return f"{record.document.name} is canceled"
    if record.is_terminal:
        return f"{record.document.name} has ended already: {record.state.value}"
    if record.committed:
        return f"{record.document.name} is storing its last outputs; it is too late to cancel it"
    return f"{record.document.name} is being stopped"
