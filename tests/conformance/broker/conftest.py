"""One server for all broker tests, and brokers that are closed when a test ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from infra.broker import BROKERS, Broker
from infra.registry import resolve
from tests.conformance.broker_kit import IMAGE, SCHEMES, Opener, Server
from tests.conftest import need


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Server]:
    need(shutil.which("docker"), "a Docker engine for RabbitMQ")
    images = subprocess.run(["docker", "images", "-q", IMAGE], capture_output=True, text=True, check=False)
    need(images.stdout.strip(), f"the image {IMAGE}")
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    server = Server()
    server.start()
    yield server
    server.remove()


@pytest.fixture(params=SCHEMES)
def server(request: pytest.FixtureRequest) -> Server:
    """The server for one scheme of the registry; a new scheme needs one here."""
    assert request.param == "amqp", f"no test server for {request.param}"
    return request.getfixturevalue("rabbitmq")


@pytest.fixture
def worker_class() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def opened(server: Server, worker_class: str) -> AsyncIterator[Opener]:
    brokers: list[Broker] = []

    async def open_one() -> Broker:
        brokers.append(await resolve(BROKERS, server.url, "broker")(server.url, worker_class))
        return brokers[-1]

    yield open_one
    for broker in brokers:
        await broker.close()


@pytest.fixture
async def broker(opened: Opener) -> Broker:
    return await opened()


@pytest.fixture
async def foreign(server: Server) -> AsyncIterator[AbstractChannel]:
    """A client that knows nothing of ours but the names."""
    async with await aio_pika.connect(server.url) as connection:
        yield await connection.channel()
