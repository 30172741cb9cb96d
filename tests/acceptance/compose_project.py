"""A cluster from docker-compose.yml under a project name of its own, on free ports, and a foreign producer for it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aio_pika
import boto3
import httpx
from botocore.config import Config

ROOT = Path(__file__).parents[2]
#: Every published port is a free one, so that a cluster of the developer's own stays as it is.
_ANY_PORT = {f"SISYPHUS_{name}_PORT": "0" for name in ("DOOR", "VOICE", "AMQP", "S3")}
T = TypeVar("T")


def docker(*arguments: str, check: bool = True) -> str:
    """Run one docker command; its standard output."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def tasks_containers(task_id: str) -> list[str]:
    """The containers that the engine runs or keeps for a task."""
    return docker("ps", "-aq", "--no-trunc", "--filter", f"label=sisyphus.task={task_id}").split()


async def until(found: Callable[[], T], timeout_s: float = 90) -> T:
    """Wait until `found` returns something that is true, and return that."""
    async with asyncio.timeout(timeout_s):
        while not (value := await asyncio.to_thread(found)):
            await asyncio.sleep(0.2)
        return value


@dataclass
class Compose:
    """The running project."""

    name: str = field(default_factory=lambda: f"sisyphustest{uuid.uuid4().hex[:8]}")

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run one docker compose command; its standard output."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SISYPHUS_", "AWS_", "COMPOSE_"))}
        done = subprocess.run(
            ["docker", "compose", "-p", self.name, *arguments],
            cwd=ROOT,
            env={**kept, **_ANY_PORT},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done.stdout

    def up(self, workers: int, *options: str) -> None:
        """Start what is missing, and wait until everything is healthy."""
        self("up", "-d", "--wait", "--wait-timeout", "240", "--scale", f"worker={workers}", *options)

    def logs(self) -> str:
        """The last lines of every service."""
        return self("logs", "--no-color", "--tail", "60", check=False)

    def services(self) -> list[tuple[str, str]]:
        """(service, health) of every container of the project."""
        lines = self("ps", "-a", "--format", "json").splitlines()
        return sorted((found["Service"], found["Health"]) for found in map(json.loads, lines))

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers."""
        return self("ps", "-q", "--no-trunc", service).split()

    def address(self, service: str, port: int) -> str:
        """host:port under which this machine reaches a published port."""
        return self("port", service, str(port)).strip()

    def get(self, path: str, service: str = "door", port: int = 8081) -> Any:
        """What the HTTP API answers; None while it knows nothing of it."""
        answer = httpx.get(f"http://{self.address(service, port)}{path}", timeout=20)
        if answer.status_code == 404:
            return None
        return answer.raise_for_status().json()

    def task(self, task_id: str) -> dict[str, Any]:
        """The task as the door tells it; empty while nobody has taken it."""
        found: dict[str, Any] | None = self.get(f"/v1/tasks/{task_id}")
        return {} if found is None else found

    def s3(self) -> Any:
        """A client of the cluster's object store."""
        return boto3.client(
            "s3",
            endpoint_url=f"http://{self.address('s3', 7070)}",
            region_name="us-east-1",
            aws_access_key_id="sisyphus",
            aws_secret_access_key="sisyphus-secret",
            config=Config(s3={"addressing_style": "path"}),
        )

    async def ended(self, task_id: str, timeout_s: float = 120) -> dict[str, Any]:
        """The task once nothing will change it again."""
        ends = {"complete", "executor_error", "system_error", "canceled"}

        def look() -> dict[str, Any]:
            task = self.task(task_id)
            return task if task.get("state") in ends else {}

        return await until(look, timeout_s)

    async def publish(self, document: dict[str, Any]) -> None:
        """Publish as a producer of the original Sisyphus does: its names and flags, and nothing of ours."""
        connection = await aio_pika.connect(f"amqp://sisyphus:sisyphus@{self.address('rabbitmq', 5672)}/")
        async with connection:
            channel = await connection.channel()
            exchange = await channel.declare_exchange("sisyphus-exchange", "direct", durable=False)
            queue = await channel.declare_queue("sisyphus-queue", durable=True)
            await queue.bind(exchange, "sisyphus-task")
            message = aio_pika.Message(
                json.dumps(document).encode(),
                content_type="text/plain",
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            await exchange.publish(message, "sisyphus-task")


@contextmanager
def running_cluster(workers: int) -> Iterator[Compose]:
    """Build the images, start everything, and leave nothing behind."""
    compose = Compose()
    try:
        compose.up(workers, "--build")
        yield compose
    finally:
        compose("down", "-v", "--remove-orphans", check=False)
