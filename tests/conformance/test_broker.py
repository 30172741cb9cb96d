"""What every broker must do, run over the registry; RabbitMQ runs in a container of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from infra.broker import BROKERS, Broker, Consumer
from infra.errors import BrokerError
from infra.registry import resolve
from tests.conftest import need

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

_IMAGE = "rabbitmq:4-management"
#: One scheme for each adapter of the registry.
_SCHEMES = sorted({factory: scheme for scheme, (factory, _) in reversed(BROKERS.items())}.values())
_WAIT_S = 30.0


class Server:
    """A broker in a container that keeps its port over restarts."""

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._container = (
            DockerContainer(_IMAGE)
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


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Server]:
    need(shutil.which("docker"), "a Docker engine for RabbitMQ")
    images = subprocess.run(["docker", "images", "-q", _IMAGE], capture_output=True, text=True, check=False)
    need(images.stdout.strip(), f"the image {_IMAGE}")
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    server = Server()
    server.start()
    yield server
    server.remove()


@pytest.fixture(params=_SCHEMES)
def server(request: pytest.FixtureRequest) -> Server:
    """The server for one scheme of the registry; a new scheme needs one here."""
    assert request.param == "amqp", f"no test server for {request.param}"
    return request.getfixturevalue("rabbitmq")


Opener = Callable[[], Awaitable[Broker]]


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


async def _depth_becomes(broker: Broker, count: int) -> None:
    async with asyncio.timeout(_WAIT_S):
        while await broker.depth() != count:
            await asyncio.sleep(0.02)


async def _taken(consumer: Consumer) -> bytes:
    delivery = await consumer.take(_WAIT_S)
    assert delivery is not None
    await delivery.ack()
    return delivery.body


async def test_what_is_published_is_taken_and_gone_once_acknowledged(broker: Broker) -> None:
    """A document goes through byte for byte, with its id, once."""
    await broker.publish(b'{"a": 1}', "task-1", 5)
    consumer = await broker.consume()
    delivery = await consumer.take(_WAIT_S)
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
    assert [await _taken(consumer) for _ in bodies] == bodies


async def test_what_was_not_acknowledged_comes_back(opened: Opener) -> None:
    """Closing a consumer gives its delivery to another, marked as delivered before."""
    first, second = await opened(), await opened()
    await first.publish(b"x", "t", 5)
    consumer = await first.consume()
    assert await consumer.take(_WAIT_S) is not None
    await consumer.close()
    await consumer.close()
    delivery = await (await second.consume()).take(_WAIT_S)
    assert delivery is not None
    assert (delivery.body, delivery.redelivered) == (b"x", True)
    await delivery.ack()


async def test_a_broker_that_dies_unacknowledged_gives_back(opened: Opener) -> None:
    """Closing a whole connection is enough for its deliveries to return."""
    first, second = await opened(), await opened()
    await first.publish(b"x", "t", 5)
    assert await (await first.consume()).take(_WAIT_S) is not None
    await first.close()
    delivery = await (await second.consume()).take(_WAIT_S)
    assert delivery is not None
    assert delivery.redelivered
    await delivery.ack()


async def test_requeue_gives_to_another(opened: Opener) -> None:
    """A delivery given back is taken by whoever waits."""
    one, two = await (await opened()).consume(), await (await opened()).consume()
    await (await opened()).publish(b"x", "t", 5)
    delivery = await one.take(_WAIT_S)
    assert delivery is not None
    await delivery.requeue()
    assert await _taken(two) == b"x"


async def test_a_dead_letter_keeps_body_reason_and_origin(
    broker: Broker, foreign: AbstractChannel, worker_class: str
) -> None:
    """An operator finds the document, the reason and where it came from; the queue goes on."""
    queue = await foreign.declare_queue("sisyphus-dead-letter", durable=True)
    await queue.purge()
    await broker.publish(b"not json", "bad-1", 5)
    await broker.publish(b"good", "good-1", 5)
    consumer = await broker.consume()
    delivery = await consumer.take(_WAIT_S)
    assert delivery is not None
    await delivery.dead_letter("document_json: not JSON at line 1" + "!" * 100_000)
    assert await _taken(consumer) == b"good"
    dead = await queue.get(timeout=_WAIT_S)
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
    assert await _taken(consumer) == b"x"


async def test_cancelling_loses_nothing(broker: Broker) -> None:
    """Takes cancelled at every moment, also just as a document arrives, leave every document to be taken."""
    consumer = await broker.consume()
    expected, taken = set[bytes](), set[bytes]()
    for number in range(60):
        taking = asyncio.create_task(consumer.take(_WAIT_S))
        await asyncio.sleep(0.0002 * (number % 20))
        await broker.publish(b"%d" % number, "t", 5)
        expected.add(b"%d" % number)
        taking.cancel()
        with suppress(asyncio.CancelledError):
            if (delivery := await taking) is not None:
                taken.add(delivery.body)
                await delivery.ack()
    while taken != expected:
        taken.add(await _taken(consumer))
    assert await consumer.take(0.2) is None
    assert await broker.depth() == 0


async def test_a_short_timeout_loses_nothing(broker: Broker) -> None:
    """Documents that arrive as a wait ends are returned or stay with the broker."""
    consumer = await broker.consume()
    taken = set[bytes]()
    for number in range(60):
        taking = asyncio.create_task(consumer.take(0.0005 * (number % 10)))
        await broker.publish(b"%d" % number, "t", 5)
        if (delivery := await taking) is not None:
            taken.add(delivery.body)
            await delivery.ack()
    while len(taken) < 60:
        taken.add(await _taken(consumer))
    assert await consumer.take(0.2) is None


async def test_two_waits_of_one_consumer_take_two_documents(broker: Broker) -> None:
    """A node with two free slots waits twice at the same time."""
    consumer = await broker.consume()
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(_taken(consumer)) for _ in range(2)]
        for body in (b"a", b"b"):
            await broker.publish(body, "t", 5)
    assert sorted(wait.result() for wait in waits) == [b"a", b"b"]


async def test_a_busy_consumer_holds_nothing(opened: Opener) -> None:
    """While one node is busy, also with an unfinished delivery, another takes everything else."""
    busy_broker, idle_broker = await opened(), await opened()
    busy, idle = await busy_broker.consume(), await idle_broker.consume()
    for number in range(5):
        await busy_broker.publish(b"%d" % number, "t", 5)
    held = await busy.take(_WAIT_S)
    assert held is not None
    await _depth_becomes(idle_broker, 4)
    assert [await _taken(idle) for _ in range(4)] == [b"1", b"2", b"3", b"4"]
    await held.ack()
    assert await idle_broker.depth() == 0


async def test_an_acknowledgement_brings_no_unasked_delivery(opened: Opener) -> None:
    """After a delivery ends, the next document stays in the queue until somebody asks."""
    broker, other = await opened(), await opened()
    consumer = await broker.consume()
    for number in range(20):
        await broker.publish(b"%d" % number, "t", 5)
    for left in range(19, 9, -1):
        await _taken(consumer)
        assert await other.depth() == left
    delivery = await consumer.take(_WAIT_S)
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
        delivery = await (await broker.consume()).take(_WAIT_S)
        assert delivery is not None
        assert delivery.body == b'{"image": "x"}'
        await delivery.ack()
        await broker.publish(b"ours", "task-9", 7)
        ours = await queue.get(timeout=_WAIT_S)
        assert ours is not None
        assert (ours.body, ours.content_type, ours.message_id) == (b"ours", "text/plain", "task-9")
        assert ours.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
        await ours.ack()
    finally:
        await broker.close()


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
    assert await _taken(await broker.consume()) == b"x"


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
    taking = asyncio.create_task(_taken(consumer))
    assert await consumer.take(0.1) is None  # by now the first wait is subscribed as well
    await foreign.queue_delete(f"{worker_class}-queue")
    await _depth_becomes(broker, 0)
    await broker.publish(b"x", "t", 5)
    assert await taking == b"x"


async def test_publish_and_take_survive_a_restart(opened: Opener, server: Server) -> None:
    """Documents of before and after a restart of the broker are taken by consumers of before it."""
    broker, other = await opened(), await opened()
    await broker.publish(b"before", "t1", 5)
    holder = await broker.consume()
    held = await holder.take(_WAIT_S)
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
    assert await _taken(holder) == b"after"


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
