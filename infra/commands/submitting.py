"""From a file or a template to a task in the queue: what `submit`, `run` and `templates` do."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path

import typer

from infra.cluster import Cluster
from infra.commands.ending import OF_STATE, ExitCode
from infra.commands.options import again, client_settings, print_json, with_cluster
from infra.commands.units import legible
from infra.commands.without_nodes import warn_without_nodes
from infra.errors import ConfigurationError
from infra.identity import new_id
from schemas.failure import DocumentError, Problem
from schemas.legacy import MAX_DOCUMENT_BYTES, parse_json, parse_task
from schemas.task import TaskDocument


def submit_document(file: str, *, wait: bool, as_json: bool, data: Path | None) -> int:
    """Submit the document in `file`; the exit code.

    Raises:
        ConfigurationError: the file cannot be read.
        DocumentError: it is no task document.
    """
    text = _read(file)
    try:
        task = parse_json(text)
    except DocumentError as error:
        raise DocumentError(error.problems, "standard input" if file == "-" else file) from None
    _warn_of_typing_errors(task)
    return _submit(task, wait=wait, as_json=as_json, data=data)


def _warn_of_typing_errors(task: TaskDocument) -> None:
    """Unknown keys are kept for their producers, so one that looks like a known key is worth a word."""
    for key in task.model_extra or ():
        if near := get_close_matches(key, TaskDocument.model_fields, n=1, cutoff=0.75):
            sys.stderr.write(f"note: {key!r} is not a key of a task document and has no effect; {near[0]!r} is one\n")


def run_template(name: str, values: list[str], *, wait: bool, as_json: bool, data: Path | None) -> int:
    """Submit the document that a template makes of ``key=value`` pairs; the exit code.

    Raises:
        DocumentError: there is no such template, or it does not take these values.
    """
    from infra.template_catalog import load_catalog

    settings = client_settings(data)
    chosen = load_catalog(*settings.templates).get(name)
    task = parse_task(chosen.render(_pairs(values), new_id()))
    return _submit(task, wait=wait, as_json=as_json, data=data)


def show_templates(name: str | None, *, as_json: bool, data: Path | None) -> None:
    """Print one template, or all."""
    from infra.template_catalog import load_catalog

    catalog = load_catalog(*client_settings(data).templates)
    chosen = [catalog.get(name)] if name else list(catalog)
    if as_json:
        print_json(chosen)
        return
    from infra.commands.render import show, template_block

    for template in chosen:
        show(template_block(template))


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


def _submit(task: TaskDocument, *, wait: bool, as_json: bool, data: Path | None) -> int:
    async def work(cluster: Cluster) -> int:
        submission = await cluster.submit(task)
        record = submission.record
        if wait and not as_json:
            from infra.commands.watching import watch_to_the_end

            return await watch_to_the_end(cluster, record, as_json=False, data=data)
        await warn_without_nodes(cluster, record, data)
        if wait:
            record = await cluster.wait(record.id)
        if as_json:
            from infra.views import view

            print_json(view(record))
        else:
            what = "accepted" if submission.created else f"known already, {record.state.value}"
            typer.echo(f"{record.id}  {legible(record.document.name)}: {what}")
            typer.echo(f"  watch it: {again(f'watch {record.id}', data)}")
        return OF_STATE[record.state] if wait else ExitCode.COMPLETE

    return with_cluster(data, work, submits=True)
