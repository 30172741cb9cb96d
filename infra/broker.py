"""Port: message brokers. They carry work to free hands; the database stays the truth.

A delivery is acknowledged as soon as its task is a row in the state store, never after the run.
Adapters run the conformance suite in ``tests/conformance/test_broker.py``.
"""

from __future__ import annotations

from typing import Protocol

from infra.registry import resolve
from infra.settings import Settings


class Delivery(Protocol):
    """One hand-over of a message; exactly one of `ack`, `requeue`, `dead_letter` ends it."""

    @property
    def body(self) -> bytes:
        """The raw document."""
        ...

    @property
    def message_id(self) -> str | None:
        """The producer's id of the message, if it gave one."""
        ...

    @property
    def redelivered(self) -> bool:
        """Whether the broker may have delivered it before."""
        ...

    async def ack(self) -> None:
        """The task is durable in the state store."""
        ...

    async def requeue(self) -> None:
        """Give it back to another consumer."""
        ...

    async def dead_letter(self, reason: str) -> None:
        """It can never be run: keep it with the reason where an operator finds it."""
        ...


class Consumer(Protocol):
    """Takes deliveries one by one, never holding more than asked for."""

    async def take(self, timeout_s: float) -> Delivery | None:
        """One delivery, or None after `timeout_s` seconds. Reconnects by itself, with back-off.

        Cancelling the call loses nothing: an untaken message stays with the broker.
        """
        ...

    async def close(self) -> None:
        """Stop consuming; what was not taken stays with the broker. Idempotent."""
        ...


class Broker(Protocol):
    """A queue of task documents."""

    async def publish(self, body: bytes, task_id: str, priority: int) -> None:
        """Publish a task document, confirmed by the broker.

        Raises:
            BrokerError: it was not confirmed; the row in the state store is claimed anyway.
        """
        ...

    async def consume(self) -> Consumer:
        """Start taking deliveries from the settings' queue."""
        ...

    async def depth(self) -> int:
        """Messages waiting in the queue."""
        ...

    async def close(self) -> None:
        """Give back connections. Idempotent."""
        ...


#: URL scheme -> (factory, extra). A factory is ``async def open_broker(url: str, queue: str) -> Broker``;
#: `queue` is the worker class: "" for ``sisyphus-queue``, else ``<queue>-queue``.
BROKERS: dict[str, tuple[str, str]] = {
    "amqp": ("infra.brokers.rabbitmq:open_broker", "rabbitmq"),
    "amqps": ("infra.brokers.rabbitmq:open_broker", "rabbitmq"),
}


async def open_broker(settings: Settings) -> Broker | None:
    """The broker that the settings name, or None for the embedded system.

    Raises:
        ConfigurationError: unknown scheme or missing package.
        BrokerError: it does not answer.
    """
    if not settings.broker:
        return None
    broker: Broker = await resolve(BROKERS, settings.broker, "broker")(settings.broker, settings.queue)
    return broker
