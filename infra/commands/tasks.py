"""Commands about tasks, as they are typed: submit, run, status, watch, logs, cancel, templates.

What they do is loaded when it is done, so that help needs little more than typer.
"""

from __future__ import annotations

from typing import Annotated

import typer

from infra.commands.options import AsJson, Data, TaskArgument, Wait, finish
from schemas.state import TaskState


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
    from infra.commands.submitting import submit_document

    finish(submit_document(file, wait=wait, as_json=as_json, data=data))


def run(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Name, as `sisyphus templates` lists it.")],
    values: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Its parameters.")] = None,
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
    from infra.commands.submitting import run_template

    finish(run_template(template, values or [], wait=wait, as_json=as_json, data=data))


def status(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Id of a task; without it, all.")] = None,
    state: Annotated[
        list[TaskState] | None,
        typer.Option("--state", metavar="STATE", help="Only this state; repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="How many tasks.")] = 20,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """What is going on: recent tasks and nodes, or one task with its steps, outputs, failure and log.

    Examples:
      sisyphus status
      sisyphus status --state running --state queued
      sisyphus status 0k2v8p1x… --json
    """
    from infra.commands.task_actions import overview, show_task

    if task is None:
        finish(overview(state or [], limit, as_json=as_json, data=data))
    else:
        finish(show_task(task, as_json=as_json, data=data))


def watch(task: TaskArgument, as_json: AsJson = False, data: Data = None) -> None:
    """Follow a task until it ends: its progress, milestones and steps as they complete.

    Ctrl-C stops the watching, not the task. The exit code tells how the task ended.

    Examples:
      sisyphus watch 0k2v8p1x…
      sisyphus watch 0k2v8p1x… --json        one JSON line per event
    """
    from infra.commands import task_actions

    finish(task_actions.watch(task, as_json=as_json, data=data))


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
    from infra.commands.task_actions import print_log

    finish(print_log(task, follow=follow, as_json=as_json, data=data))


def cancel(
    task: TaskArgument,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Kept with the task.")
    ] = "canceled by the user",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Stop a task, wherever it is: queued, starting, running or storing its outputs.

    Examples:
      sisyphus cancel 0k2v8p1x…
      sisyphus cancel 0k2v8p1x… --reason "wrong input"
    """
    from infra.commands.task_actions import stop_task

    finish(stop_task(task, reason, as_json=as_json, data=data))


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
    from infra.commands.submitting import show_templates

    show_templates(name, as_json=as_json, data=data)
