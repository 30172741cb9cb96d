"""Installs the task API on the shared HTTP application. It is a thin face: every route goes through `infra.cluster`."""

from __future__ import annotations

from fastapi import FastAPI

from infra.door import Door
from infra.template_catalog import load_catalog
from orchestrator.api import events, nodes, tasks, templates
from orchestrator.api.streams import Streams


def install(app: FastAPI, door: Door) -> None:
    """Add the routes below ``/v1``.

    Raises:
        DocumentError: a template file is broken; the process does not start with half a catalogue.
    """
    app.state.catalog = load_catalog(*door.settings.templates)
    app.state.streams = Streams(door.stopping)
    for part in (tasks, events, templates, nodes):
        app.include_router(part.router, prefix="/v1")
