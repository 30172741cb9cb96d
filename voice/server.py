"""The voice front end's entry on the shared HTTP door (group ``sisyphus.doors``)."""

from __future__ import annotations

from fastapi import FastAPI

from infra.door import Door
from voice.services.memory import keep_one_heap
from voice.vendor_logs import tame_vendors


def install(app: FastAPI, door: Door) -> None:
    """Add the page and the calls to the shared application."""
    # Before there are threads: one that has a heap already keeps it.
    keep_one_heap()
    tame_vendors(door.settings.log_level)
    # Loads Pipecat, which must find its log in order.
    from voice.routes import install_routes

    install_routes(app, door)
