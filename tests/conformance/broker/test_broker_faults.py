"""What becomes of documents when the broker refuses, restarts, forgets or is not there."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from aio_pika.abc import AbstractChannel

from infra.broker import BROKERS, Broker
from infra.errors import BrokerError
from infra.registry import resolve
from tests.conformance.broker_kit import WAIT_S, Opener, Server, depth_becomes, taken

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]


async def test_other_flags_are_a_clear_error(server: Server, foreign: AbstractChannel, worker_class: str) -> None:
    """A queue of our name with other flags is named with what to do, and not retried for ever."""
    await foreign.declare_queue(f"{worker_class}-queue", durable=True, arguments={"x-max-priority": 5})
    with pytest.raises(BrokerError, match=f"{worker_class}-queue.*delete what has other flags"):
        await resolve(BROKERS, server.url, "broker")(server.url, worker_class)


async def test_a_lost_binding_is_made_again(broker: Broker, foreign: AbstractChannel, worker_class: str) -> None:
    """What cannot be routed is never lost in silence: the publisher repairs the binding."""
    queue = await foreign.get_queue(f"{worker_class}-queue")
    await queue.unbind("sisyphus-exchange", f"{worker_class}-task")
    await broker.publish(b"x", "t", 5)
    assert await taken(await broker.consume()) == b"x"


async def test_what_the_broker_refuses_is_an_error(broker: Broker, server: Server, worker_class: str) -> None:
    """A full queue that rejects is an error at the publisher."""
    policy = '{"max-length": 1, "overflow": "reject-publish"}'
    server.ctl("set_policy", worker_class, f"^{worker_class}-queue$", policy, "--apply-to", "queues")
    try:
        await broker.publish(b"fits", "t0", 5)
        outcomes = await asyncio.gather(*[broker.publish(b"x", f"t{n}", 5) for n in range(5)], return_exceptions=True)
        refused = [str(outcome) for outcome in outcomes if isinstance(outcome, BrokerError)]
        assert refused
        assert all("was not confirmed" in reason for reason in refused)
    finally:
        server.ctl("clear_policy", worker_class)


async def test_a_deleted_queue_is_declared_again(broker: Broker, foreign: AbstractChannel, worker_class: str) -> None:
    """When the broker cancels a subscription, the waiting node subscribes anew."""
    consumer = await broker.consume()
    taking = asyncio.create_task(taken(consumer))
    assert await consumer.take(0.1) is None  # by now the first wait is subscribed as well
    await foreign.queue_delete(f"{worker_class}-queue")
    await depth_becomes(broker, 0)
    await broker.publish(b"x", "t", 5)
    assert await taking == b"x"


async def test_publish_and_take_survive_a_restart(opened: Opener, server: Server) -> None:
    """Documents of before and after a restart of the broker are taken by consumers of before it."""
    broker, other = await opened(), await opened()
    await broker.publish(b"before", "t1", 5)
    holder = await broker.consume()
    held = await holder.take(WAIT_S)
    assert held is not None
    waiting = await other.consume()
    taking = asyncio.create_task(waiting.take(90))
    await asyncio.to_thread(server.stop_it)
    with pytest.raises(BrokerError):
        await held.ack()
    with pytest.raises(BrokerError, match=f"127.0.0.1:{server.port}"):
        await broker.publish(b"meanwhile", "t2", 5)
    assert await holder.take(0.3) is None
    await asyncio.to_thread(server.start_it)
    again = await taking
    assert again is not None
    assert (again.body, again.redelivered) == (b"before", True)
    await again.ack()
    await broker.publish(b"after", "t3", 5)
    assert await taken(holder) == b"after"


async def test_an_unreachable_broker_is_a_quick_error(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody listening is an error within seconds, naming the host and never the password."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        url = f"amqp://someone:hunter2@127.0.0.1:{port}/"
        started = time.monotonic()
        with pytest.raises(BrokerError, match=f"127.0.0.1:{port}") as error:
            await resolve(BROKERS, url, "broker")(url, "")
    assert time.monotonic() - started < 15
    assert "hunter2" not in f"{error.value} {error.value.__cause__} {caplog.text}"


async def test_a_wrong_password_is_a_clear_error(server: Server) -> None:
    """A refused login says so, without the password."""
    url = f"amqp://guest:hunter2@127.0.0.1:{server.port}/"
    with pytest.raises(BrokerError, match="refused the login") as error:
        await resolve(BROKERS, url, "broker")(url, "")
    assert "hunter2" not in f"{error.value} {error.value.__cause__}"


async def test_closing_ends_a_wait(broker: Broker) -> None:
    """A node that stops is not kept by its own wait, and takes nothing any more."""
    consumer = await broker.consume()
    taking = asyncio.create_task(consumer.take(60))
    assert await consumer.take(0.05) is None  # by now the other wait is subscribed
    await consumer.close()
    async with asyncio.timeout(10):
        assert await taking is None
    await broker.publish(b"x", "t", 5)
    assert await consumer.take(1) is None
    assert await broker.depth() == 1


async def test_closing_twice_is_harmless(broker: Broker) -> None:
    """Close is idempotent, and afterwards nothing is published."""
    await broker.close()
    await broker.close()
    with pytest.raises(BrokerError):
        await broker.publish(b"x", "t", 5)
