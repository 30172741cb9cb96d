"""The HTTP door: one FastAPI application on which each role installs its routes, and the process that serves it.

Owns what must hold for every route whoever installed it: who may come in, how errors look, how large a request may
be. Roles are found by name (entry-point group ``sisyphus.doors``), so that this floor knows none of them.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from infra.cluster import Cluster, open_cluster
from infra.door_guard import Guard
from infra.door_problems import install_problems
from infra.errors import ConfigurationError, StateStoreError
from infra.listening import check_exposure, open_socket, url_of
from infra.log import get_logger
from infra.settings import Settings

log = get_logger(__name__)

#: Name -> (installer, extra that brings its packages); mirrors the entry-point group ``sisyphus.doors``.
DOORS: dict[str, tuple[str, str]] = {
    "tasks": ("orchestrator.server:install", "server"),
    "voice": ("voice.server:install", "voice"),
}
#: Seconds that open requests and streams may take to end after a stop was asked for.
_GRACE_S = 5
#: Connections at the same time; beyond it clients get 503 at once instead of a queue without bound.
_MAX_CONNECTIONS = 512

_LANDING = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sisyphus</title>
<body><h1>Sisyphus is running</h1>
<p>This process serves the HTTP API: <code>POST /v1/tasks</code> takes a task document, and
<a href="openapi.json">openapi.json</a> describes everything. The voice page is not installed here.</p></body></html>"""


@dataclass
class Door:
    """What an installer gets: the settings, the cluster once the process is up, and places to hook in.

    Attributes:
        public: paths that anybody may GET; one that ends in ``/`` stands for everything below it.
        during: context managers that are open while the process serves, entered in order after the cluster.
        stopping: set when a stop was asked for; long streams end on it.
    """

    settings: Settings
    public: set[str] = field(default_factory=lambda: {"/", "/healthz", "/favicon.ico", "/favicon.svg", "/assets/"})
    during: list[Callable[[], AbstractAsyncContextManager[object]]] = field(
        default_factory=list[Callable[[], AbstractAsyncContextManager[object]]]
    )
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    connected: Cluster | None = None

    @property
    def cluster(self) -> Cluster:
        """The connection that all routes share.

        Raises:
            StateStoreError: the process is still starting.
        """
        if self.connected is None:
            raise StateStoreError("the door is not connected to its cluster yet")
        return self.connected


def door_of(request: Request) -> Door:
    """The door that a request came through; for use as a FastAPI dependency."""
    door: Door = request.app.state.door
    return door


def build_app(settings: Settings, doors: Sequence[str] = ("tasks",)) -> FastAPI:
    """The application with the routes of `doors`, not yet connected: its lifespan opens the cluster.

    Raises:
        ConfigurationError: an unknown door, a door whose packages are missing, or no token where one is needed.
    """
    check_exposure(settings)
    if not doors:
        raise ConfigurationError(f"no door is named; there are {', '.join(DOORS)}")
    door = Door(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            door.connected = await stack.enter_async_context(open_cluster(settings))
            for context in door.during:
                await stack.enter_async_context(context())
            yield
            door.stopping.set()
        door.connected = None

    # The interactive pages of FastAPI load scripts from elsewhere; the description itself stays.
    app = FastAPI(title="Sisyphus", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.door = door
    install_problems(app)
    app.add_api_route("/healthz", _healthz, tags=["system"], summary="Whether the door reaches its database")
    for name in doors:
        _installer(name)(app, door)
    # Routes match in order: this one is seen only where no door brought a page of its own.
    app.add_api_route("/", _landing, include_in_schema=False)
    app.add_middleware(Guard, settings=settings, public=door.public)
    return app


async def serve(settings: Settings, doors: Sequence[str], listening: socket.socket | None = None) -> None:
    """Serve until SIGINT or SIGTERM; open requests then get a few seconds.

    Raises:
        ConfigurationError: the address is taken, or the doors cannot be built.
    """
    app = build_app(settings, doors)
    door: Door = app.state.door
    opened = listening or open_socket(settings.host, settings.port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        limit_concurrency=_MAX_CONNECTIONS,
        h11_max_incomplete_event_size=65_536,
        ws_ping_interval=5,  # a caller that vanished holds one of few places
        ws_ping_timeout=15,
    )
    server = _Server(config, door.stopping)
    log.info("door_open", url=url_of(settings, opened), doors=list(doors))
    await server.serve(sockets=[opened])
    if not server.started:
        raise ConfigurationError("the door could not start; the lines above say why")


class _Server(uvicorn.Server):
    """Uvicorn, which tells long streams to end before it waits for them."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop on a signal and then end normally; uvicorn would raise the signal again, which looks like a crash."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _stop(self, number: int) -> None:
        self.force_exit = self.should_exit
        self._stopping.set()
        self.handle_exit(number, None)


def _installer(name: str) -> Callable[[FastAPI, Door], None]:
    if name not in DOORS:
        raise ConfigurationError(f"there is no door {name!r}; there are {', '.join(DOORS)}")
    target, extra = DOORS[name]
    module, _, attribute = target.partition(":")
    try:
        install: Callable[[FastAPI, Door], None] = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the door {name!r} needs {error.name!r}; install it with: pip install 'sisyphus-cluster[{extra}]'"
        ) from error
    return install


async def _healthz(request: Request) -> dict[str, str]:
    async with asyncio.timeout(5):
        await door_of(request).cluster.store.nodes()
    return {"status": "ok"}


async def _landing() -> HTMLResponse:
    return HTMLResponse(_LANDING)
