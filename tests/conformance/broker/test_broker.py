"""What every broker must do, run over the registry; RabbitMQ runs in a container of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from infra.broker import BROKERS, Broker
from infra.registry import resolve
from tests.conformance.broker_kit import WAIT_S, Opener, Server, depth_becomes, taken

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]


async def test_what_is_published_is_taken_and_gone_once_acknowledged(broker: Broker) -> None:
    """A document goes through byte for byte, with its id, once."""
    await broker.publish(b'{"a": 1}', "task-1", 5)
    consumer = await broker.consume()
    delivery = await consumer.take(WAIT_S)
    assert delivery is not None
    assert (delivery.body, delivery.message_id, delivery.redelivered) == (b'{"a": 1}', "task-1", False)
    await delivery.ack()
    assert await consumer.take(0.2) is None
    assert await broker.depth() == 0


async def test_order_is_kept(broker: Broker) -> None:
    """One consumer sees documents in the order in which they were published."""
    bodies = [f"{n}".encode() for n in range(50)]
    for body in bodies:
        await broker.publish(body, body.decode(), 5)
    consumer = await broker.consume()
    assert [await taken(consumer) for _ in bodies] == bodies


async def test_what_was_not_acknowledged_comes_back(opened: Opener) -> None:
    """Closing a consumer gives its delivery to another, marked as delivered before."""
    first, second = await opened(), await opened()
    await first.publish(b"x", "t", 5)
    consumer = await first.consume()
    assert await consumer.take(WAIT_S) is not None
    await consumer.close()
    await consumer.close()
    delivery = await (await second.consume()).take(WAIT_S)
    assert delivery is not None
    assert (delivery.body, delivery.redelivered) == (b"x", True)
    await delivery.ack()


async def test_a_broker_that_dies_unacknowledged_gives_back(opened: Opener) -> None:
    """Closing a whole connection is enough for its deliveries to return."""
    first, second = await opened(), await opened()
    await first.publish(b"x", "t", 5)
    assert await (await first.consume()).take(WAIT_S) is not None
    await first.close()
    delivery = await (await second.consume()).take(WAIT_S)
    assert delivery is not None
    assert delivery.redelivered
    await delivery.ack()


async def test_requeue_gives_to_another(opened: Opener) -> None:
    """A delivery given back is taken by whoever waits."""
    one, two = await (await opened()).consume(), await (await opened()).consume()
    await (await opened()).publish(b"x", "t", 5)
    delivery = await one.take(WAIT_S)
    assert delivery is not None
    await delivery.requeue()
    assert await taken(two) == b"x"


async def test_a_dead_letter_keeps_body_reason_and_origin(
    broker: Broker, foreign: AbstractChannel, worker_class: str
) -> None:
    """An operator finds the document, the reason and where it came from; the queue goes on."""
    queue = await foreign.declare_queue("sisyphus-dead-letter", durable=True)
    await queue.purge()
    await broker.publish(b"not json", "bad-1", 5)
    await broker.publish(b"good", "good-1", 5)
    consumer = await broker.consume()
    delivery = await consumer.take(WAIT_S)
    assert delivery is not None
    await delivery.dead_letter("document_json: not JSON at line 1" + "!" * 100_000)
    assert await taken(consumer) == b"good"
    dead = await queue.get(timeout=WAIT_S)
    assert dead is not None
    assert (dead.body, dead.message_id) == (b"not json", "bad-1")
    assert str(dead.headers["reason"]).startswith("document_json: not JSON at line 1")
    assert dead.headers["original-routing-key"] == f"{worker_class}-task"
    assert dead.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    await dead.ack()


async def test_take_times_out_with_nothing(broker: Broker) -> None:
    """An empty queue yields None, and the consumer is good for the next document."""
    consumer = await broker.consume()
    assert await consumer.take(0.05) is None
    await broker.publish(b"x", "t", 5)
    assert await taken(consumer) == b"x"


async def test_cancelling_loses_nothing(broker: Broker) -> None:
    """Takes cancelled at every moment, also just as a document arrives, leave every document to be taken."""
    consumer = await broker.consume()
    expected, got = set[bytes](), set[bytes]()
    for number in range(60):
        taking = asyncio.create_task(consumer.take(WAIT_S))
        await asyncio.sleep(0.0002 * (number % 20))
        await broker.publish(b"%d" % number, "t", 5)
        expected.add(b"%d" % number)
        taking.cancel()
        with suppress(asyncio.CancelledError):
            if (delivery := await taking) is not None:
                got.add(delivery.body)
                await delivery.ack()
    while got != expected:
        got.add(await taken(consumer))
    assert await consumer.take(0.2) is None
    assert await broker.depth() == 0


async def test_a_short_timeout_loses_nothing(broker: Broker) -> None:
    """Documents that arrive as a wait ends are returned or stay with the broker."""
    consumer = await broker.consume()
    got = set[bytes]()
    for number in range(60):
        taking = asyncio.create_task(consumer.take(0.0005 * (number % 10)))
        await broker.publish(b"%d" % number, "t", 5)
        if (delivery := await taking) is not None:
            got.add(delivery.body)
            await delivery.ack()
    while len(got) < 60:
        got.add(await taken(consumer))
    assert await consumer.take(0.2) is None


async def test_two_waits_of_one_consumer_take_two_documents(broker: Broker) -> None:
    """A node with two free slots waits twice at the same time."""
    consumer = await broker.consume()
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(taken(consumer)) for _ in range(2)]
        for body in (b"a", b"b"):
            await broker.publish(body, "t", 5)
    assert sorted(wait.result() for wait in waits) == [b"a", b"b"]


async def test_a_busy_consumer_holds_nothing(opened: Opener) -> None:
    """While one node is busy, also with an unfinished delivery, another takes everything else."""
    busy_broker, idle_broker = await opened(), await opened()
    busy, idle = await busy_broker.consume(), await idle_broker.consume()
    for number in range(5):
        await busy_broker.publish(b"%d" % number, "t", 5)
    held = await busy.take(WAIT_S)
    assert held is not None
    await depth_becomes(idle_broker, 4)
    assert [await taken(idle) for _ in range(4)] == [b"1", b"2", b"3", b"4"]
    await held.ack()
    assert await idle_broker.depth() == 0


async def test_an_acknowledgement_brings_no_unasked_delivery(opened: Opener) -> None:
    """After a delivery ends, the next document stays in the queue until somebody asks."""
    broker, other = await opened(), await opened()
    consumer = await broker.consume()
    for number in range(20):
        await broker.publish(b"%d" % number, "t", 5)
    for left in range(19, 9, -1):
        await taken(consumer)
        assert await other.depth() == left
    delivery = await consumer.take(WAIT_S)
    assert delivery is not None
    assert not delivery.redelivered


async def test_two_consumers_share(opened: Opener) -> None:
    """Of two nodes that take as fast as they can, both get a good part."""
    broker = await opened()
    for number in range(100):
        await broker.publish(b"%d" % number, "t", 5)
    counts = [0, 0]

    async def drain(index: int) -> None:
        consumer = await (await opened()).consume()
        while (delivery := await consumer.take(0.3)) is not None:
            await delivery.ack()
            counts[index] += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(drain(0))
        group.create_task(drain(1))
    assert sum(counts) == 100
    assert min(counts) >= 20


async def test_a_foreign_producer_needs_only_the_names(server: Server, foreign: AbstractChannel) -> None:
    """The original's names, with its flags declared first by somebody else, are used as they are."""
    exchange = await foreign.declare_exchange("sisyphus-exchange", aio_pika.ExchangeType.DIRECT, durable=False)
    queue = await foreign.declare_queue("sisyphus-queue", durable=True)
    await queue.bind(exchange, "sisyphus-task")
    await queue.purge()
    broker: Broker = await resolve(BROKERS, server.url, "broker")(server.url, "")
    try:
        await exchange.publish(aio_pika.Message(b'{"image": "x"}', content_type="text/plain"), "sisyphus-task")
        delivery = await (await broker.consume()).take(WAIT_S)
        assert delivery is not None
        assert delivery.body == b'{"image": "x"}'
        await delivery.ack()
        await broker.publish(b"ours", "task-9", 7)
        ours = await queue.get(timeout=WAIT_S)
        assert ours is not None
        assert (ours.body, ours.content_type, ours.message_id) == (b"ours", "text/plain", "task-9")
        assert ours.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
        await ours.ack()
    finally:
        await broker.close()
