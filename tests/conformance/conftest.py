"""Databases to run the state store's suite on: one migrated template per adapter, one fresh copy per test."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from infra.state_store import STATE_STORES, StateStore, open_state_store
from tests.conformance.state_store_tools import Database, Stores, create_database
from tests.conftest import need

_IMAGE = "postgres:16"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server, up to the database's name."""
    need(shutil.which("docker"), "a Docker engine for PostgreSQL")
    need(_has_image(), f"a Docker engine that has or can pull {_IMAGE}")
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    from testcontainers.core.container import DockerContainer

    container = (
        DockerContainer(_IMAGE)
        .with_env("POSTGRES_PASSWORD", "secret")
        .with_exposed_ports(5432)
        .with_command("postgres -c fsync=off -c max_connections=300")
    )
    container.start()
    try:
        server = f"postgres:secret@127.0.0.1:{container.get_exposed_port(5432)}"
        asyncio.run(_answers(f"postgresql://{server}/postgres"))
        yield f"postgresql+asyncpg://{server}"
    finally:
        container.stop()


def _has_image() -> bool:
    images = subprocess.run(["docker", "images", "-q", _IMAGE], capture_output=True, text=True, check=False)
    return bool(images.stdout.strip()) or not subprocess.run(["docker", "pull", "-q", _IMAGE], check=False).returncode


async def _answers(url: str) -> None:
    async with asyncio.timeout(90):
        while True:
            with suppress(OSError, asyncpg.PostgresError):
                await (await asyncpg.connect(url)).close()
                return
            await asyncio.sleep(0.1)


async def _migrate(url: str) -> str:
    store = await open_state_store(url)
    await store.close()
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "store.db"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> str:
    asyncio.run(create_database(postgres, "template_of_tests", "template0"))
    asyncio.run(_migrate(f"{postgres}/template_of_tests"))
    return "template_of_tests"


def _marked(scheme: str) -> Any:
    return scheme if scheme.startswith("sqlite") else pytest.param(scheme, marks=pytest.mark.docker)


@pytest.fixture(params=[_marked(scheme) for scheme in sorted(STATE_STORES)])
def scheme(request: pytest.FixtureRequest) -> str:
    """Every scheme of the registry."""
    return request.param


@pytest.fixture
def database(scheme: str, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    """A database with the current tables and nothing in it."""
    if scheme.startswith("sqlite"):
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "store.db")
        return Database(f"{scheme}:///{tmp_path / 'store.db'}", scheme)
    server, template = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_template")
    name = uuid.uuid4().hex
    asyncio.run(create_database(server, name, template))
    return Database(f"{server}/{name}", scheme)


@pytest.fixture
def empty(scheme: str, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    """A database without any table; on SQLite not even a file."""
    if scheme.startswith("sqlite"):
        return Database(f"{scheme}:///{tmp_path / 'new' / 'store.db'}", scheme)
    server, name = request.getfixturevalue("postgres"), uuid.uuid4().hex
    asyncio.run(create_database(server, name, "template0"))
    return Database(f"{server}/{name}", scheme)


@pytest.fixture
async def stores(database: Database) -> AsyncIterator[Stores]:
    """Opens stores on the test's database, and closes them in the end."""
    stores = Stores(database)
    yield stores
    await stores.close()


@pytest.fixture
async def store(stores: Stores) -> StateStore:
    """One store."""
    return await stores.open()
