"""What the broker's tests share: a server that keeps its port over restarts, and waiting with a deadline."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from infra.broker import BROKERS, Broker, Consumer

IMAGE = "rabbitmq:4-management"
#: One scheme for each adapter of the registry.
SCHEMES = sorted({factory: scheme for scheme, (factory, _) in reversed(BROKERS.items())}.values())
WAIT_S = 30.0


Opener = Callable[[], Awaitable[Broker]]


class Server:
    """A broker in a container that keeps its port over restarts."""

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._container = (
            DockerContainer(IMAGE)
            .with_bind_ports(5672, self.port)
            .waiting_for(LogMessageWaitStrategy("Server startup complete").with_startup_timeout(90))
        )

    def start(self) -> None:
        self._container.start()

    def remove(self) -> None:
        self._container.stop()

    def ctl(self, *words: str) -> None:
        code, output = self._container.exec(["rabbitmqctl", *words])
        assert code == 0, output

    def stop_it(self) -> None:
        self._container.get_wrapped_container().stop(timeout=10)

    def start_it(self) -> None:
        self._container.get_wrapped_container().start()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"


async def depth_becomes(broker: Broker, count: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while await broker.depth() != count:
            await asyncio.sleep(0.02)


async def taken(consumer: Consumer) -> bytes:
    delivery = await consumer.take(WAIT_S)
    assert delivery is not None
    await delivery.ack()
    return delivery.body
