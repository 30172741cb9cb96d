"""RabbitMQ, spoken with the names and flags of the original Sisyphus, so that its producers need no change.

A node subscribes only while it waits for a delivery, and unsubscribes before it ends one: RabbitMQ pushes at once to
whoever is free, and nothing ever lies in the buffer of a node that is busy. That costs one round trip per delivery.
Connection and channels are made again, with everything declared, whenever they break.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    ChannelPreconditionFailed,
    DeliveryError,
    ProbableAuthenticationError,
)
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from infra.broker import Broker, Consumer, Delivery
from infra.errors import BrokerError, ConfigurationError
from infra.log import get_logger
from infra.renewal import Renewed, in_background
from infra.subscription import LaneLostError, Subscription

_log = get_logger(__name__)
# What goes wrong is raised, and told by whoever deals with it; the vendor's own lines would say it twice.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)

EXCHANGE = "sisyphus-exchange"
DEAD_LETTER = "sisyphus-dead-letter"
_PORTS = {"amqp": 5672, "amqps": 5671}
#: Seconds for connecting, and for declaring everything: a live broker needs milliseconds.
_OPEN_S = 5.0
#: Seconds for one answer of a broker that is connected.
_ANSWER_S = 5.0
#: Seconds that a publish may take with all its tries. Short, since the row in the state store is claimed anyway.
_PUBLISH_S = 5.0
#: Shortest and longest pause between attempts to reach a broker that went away.
_PAUSE_S, _PAUSE_MAX_S = 0.2, 5.0
#: Heartbeat in seconds: a broker that vanished without a word is noticed after three of them.
_HEARTBEAT_S = 10
#: A reason travels in a header, and all headers together in one frame.
_REASON_CHARS = 4096

_BROKEN = (*CONNECTION_EXCEPTIONS, TimeoutError)
#: Trying again changes nothing about these: wrong login, wrong flags or limits.
_HOPELESS = (AuthenticationError, ProbableAuthenticationError, ChannelPreconditionFailed)


class _Lane:
    """A channel on which everything is declared. `lost` is set when it must not be used any more."""

    def __init__(
        self, channel: AbstractChannel, exchange: AbstractExchange, queue: AbstractQueue, dead_letters: AbstractExchange
    ) -> None:
        self.channel, self.exchange, self.queue, self.dead_letters = channel, exchange, queue, dead_letters
        self.lost = asyncio.Event()

    async def subscribe(self, tag: str, arrived: Callable[[AbstractIncomingMessage], Awaitable[None]]) -> None:
        with self._noticing():
            await self.queue.consume(arrived, consumer_tag=tag, timeout=_ANSWER_S)

    async def unsubscribe(self, tag: str, *, at_once: bool) -> None:
        with self._noticing():
            await self.queue.cancel(tag, timeout=_ANSWER_S, nowait=at_once)

    async def give_back(self, message: AbstractIncomingMessage) -> None:
        with self._noticing():
            await message.reject(requeue=True)

    @contextmanager
    def _noticing(self) -> Generator[None]:
        try:
            yield
        except _BROKEN:
            self.lost.set()

    async def close(self) -> None:
        """Close the channel; what is unacknowledged on it goes back to the queue."""
        with self._noticing():
            await asyncio.wait_for(self.channel.close(), _ANSWER_S)


class RabbitBroker:
    """One connection to RabbitMQ with a channel for publishing; each consumer has a channel of its own."""

    def __init__(self, url: str, worker_class: str) -> None:
        self._url = url
        #: The original's names, where no worker class is given.
        self._queue, self._key = f"{worker_class or 'sisyphus'}-queue", f"{worker_class or 'sisyphus'}-task"
        self.where = _where(url)
        self._closed = False
        self._connection: Renewed[AbstractConnection] = Renewed(self._connect, lambda c: c.connected.is_set())
        self._publishing = self.renewed_lane()
        self._consumers: list[_RabbitConsumer] = []

    async def publish(self, body: bytes, task_id: str, priority: int) -> None:
        """Publish persistently, confirmed and routed; tries again for a few seconds.

        A confirmation that was lost on the way makes a duplicate, told by its message id.
        """
        message = aio_pika.Message(
            body,
            content_type="text/plain",
            content_encoding="utf-8",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=task_id,
            priority=priority,
        )
        await self._publish(lambda lane: lane.exchange, message, self._key)

    async def publish_dead(self, message: AbstractIncomingMessage, reason: str) -> None:
        """Publish a copy of a delivery to the dead letters, with the reason and where it came from."""
        origin = {
            "reason": reason[:_REASON_CHARS],
            "original-exchange": message.exchange or "",
            "original-routing-key": message.routing_key or "",
            "original-queue": self._queue,
        }
        copy = aio_pika.Message(
            message.body,
            headers={**message.headers, **origin},
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=message.message_id,
        )
        await self._publish(lambda lane: lane.dead_letters, copy, DEAD_LETTER)

    async def _publish(
        self, exchange: Callable[[_Lane], AbstractExchange], message: aio_pika.Message, key: str
    ) -> None:
        if self._closed:
            raise BrokerError(f"RabbitMQ at {self.where}: {message.message_id} was not published, it was closed here")
        try:
            async with asyncio.timeout(_PUBLISH_S):
                async for attempt in AsyncRetrying(
                    retry=retry_if_exception(lambda e: isinstance(e, _BROKEN) and not isinstance(e, _HOPELESS)),
                    wait=wait_exponential_jitter(multiplier=_PAUSE_S, max=1.0),
                    stop=stop_after_delay(_PUBLISH_S - 1.0),
                    reraise=True,
                ):
                    with attempt:
                        await self._publish_once(exchange, message, key)
        except _BROKEN as error:
            raise self.explained(error, f"{message.message_id} was not confirmed") from error

    async def _publish_once(
        self, exchange: Callable[[_Lane], AbstractExchange], message: aio_pika.Message, key: str
    ) -> None:
        lane = await self._publishing.get()
        try:
            await exchange(lane).publish(message, key, mandatory=True)
        except DeliveryError:
            await lane.close()  # a new one declares the binding again that somebody has removed
            raise

    async def consume(self) -> Consumer:
        """A consumer with a channel of its own, which is open when this returns."""
        consumer = _RabbitConsumer(self)
        self._consumers.append(consumer)
        await consumer.open()
        return consumer

    async def depth(self) -> int:
        """Messages that are ready in the queue; those held by a node are not counted."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                lane = await self._publishing.get()
            answer = await asyncio.shield(lane.queue.declare(timeout=_ANSWER_S))
        except _BROKEN as error:
            raise self.explained(error, f"the depth of {self._queue} is unknown") from error
        return answer.message_count or 0

    async def open(self) -> None:
        """Connect and declare, once.

        Raises:
            BrokerError: it does not answer, or refuses.
        """
        try:
            await self._publishing.get()
        except _BROKEN as error:
            raise self.explained(error, "cannot be used") from error

    async def close(self) -> None:
        """Idempotent."""
        self._closed = True
        for consumer in self._consumers:
            await consumer.close()
        await self._publishing.stop()
        connection = await self._connection.stop()
        if connection is not None:
            with suppress(*_BROKEN):
                await asyncio.wait_for(connection.close(), _ANSWER_S)

    def renewed_lane(self) -> Renewed[_Lane]:
        """A channel that is opened again when it broke."""
        return Renewed(self._open_lane, lambda lane: not lane.lost.is_set() and not lane.channel.is_closed)

    def explained(self, error: BaseException, what: str) -> BrokerError:
        """The error for people; it names the host and never the password."""
        where = f"RabbitMQ at {self.where}: {what}"
        if isinstance(error, AuthenticationError | ProbableAuthenticationError):
            return BrokerError(f"{where}: it refused the login; check user, password and rights in SISYPHUS_BROKER")
        if isinstance(error, ChannelPreconditionFailed):
            return BrokerError(f"{where}: {error}; delete what has other flags or limits, or choose another queue")
        if isinstance(error, DeliveryError):
            return BrokerError(f"{where}: the broker refused or could not route it ({type(error).__name__})")
        cause = str(error) or type(error).__name__
        return BrokerError(f"{where}: {cause}; see that it runs and that SISYPHUS_BROKER is right")

    async def _connect(self) -> AbstractConnection:
        if self._closed:
            raise ConnectionError("it was closed here")
        separator = "&" if "?" in self._url else "?"
        url = self._url if "heartbeat=" in self._url else f"{self._url}{separator}heartbeat={_HEARTBEAT_S}"
        return await aio_pika.connect(url, timeout=_OPEN_S, client_properties={"connection_name": "sisyphus"})

    async def _open_lane(self) -> _Lane:
        async with asyncio.timeout(2 * _OPEN_S):
            connection = await self._connection.get()
            channel = connection.channel(publisher_confirms=True, on_return_raises=True)
            await channel.initialize()
            try:
                return await self._declared(channel)
            except BaseException:
                with suppress(*_BROKEN):
                    await channel.close()
                raise

    async def _declared(self, channel: AbstractChannel) -> _Lane:
        # A non-durable exchange and its bindings are gone after a restart of the broker: hence on every channel.
        await channel.set_qos(prefetch_count=1)
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.DIRECT, durable=False)
        queue = await channel.declare_queue(self._queue, durable=True)
        await queue.bind(exchange, self._key)
        dead_letters = await channel.declare_exchange(DEAD_LETTER, aio_pika.ExchangeType.FANOUT, durable=True)
        dead_queue = await channel.declare_queue(DEAD_LETTER, durable=True)
        await dead_queue.bind(dead_letters, DEAD_LETTER)
        lane = _Lane(channel, exchange, queue, dead_letters)

        def lost(*_: object) -> None:
            lane.lost.set()

        channel.close_callbacks.add(lost)
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lost)
        return lane


class _RabbitConsumer:
    """A channel for taking deliveries. Several `take` calls may wait at the same time, one message each."""

    def __init__(self, broker: RabbitBroker) -> None:
        self._broker = broker
        self._lane = broker.renewed_lane()
        self._closed = False
        self._is_away = False

    async def open(self) -> None:
        """Declare everything. Raises BrokerError."""
        try:
            await self._lane.get()
        except _BROKEN as error:
            raise self._broker.explained(error, "cannot be consumed from") from error

    async def take(self, timeout_s: float) -> Delivery | None:
        """Wait for a delivery through restarts of the broker.

        Raises:
            BrokerError: it refuses the login, or has a queue or exchange of our name with other flags.
        """
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + timeout_s, _PAUSE_S
        while not self._closed:
            try:
                return await self._taken(deadline)
            except _HOPELESS as error:
                raise self._broker.explained(error, "nothing can be taken") from error
            except (LaneLostError, *_BROKEN) as error:
                left = deadline - clock()
                if left <= 0 or self._closed:
                    return None
                self._report(error)
                await asyncio.sleep(min(pause * random.uniform(0.5, 1.0), left))  # noqa: S311 - jitter
                pause = min(pause * 2, _PAUSE_MAX_S)
        return None

    async def _taken(self, deadline: float) -> Delivery | None:
        async with asyncio.timeout_at(deadline):
            lane = await self._lane.get()
        if self._is_away:
            self._is_away = False
            _log.info("broker_back", broker=self._broker.where)
        subscription = Subscription(lane)
        try:
            message = await subscription.message(deadline)
        except LaneLostError:
            in_background(lane.close())
            raise
        return message and _RabbitDelivery(self._broker, message, subscription.life)

    def _report(self, error: BaseException) -> None:
        if not self._is_away:
            self._is_away = True
            _log.warning("broker_away", broker=self._broker.where, error=str(error) or type(error).__name__)

    async def close(self) -> None:
        """Close the channel: what was taken and not ended goes back to the queue. Idempotent."""
        self._closed = True
        lane = await self._lane.stop()
        if lane is not None:
            await lane.close()


class _RabbitDelivery:
    """A message that this node holds; after a break of the channel the broker has it again."""

    def __init__(self, broker: RabbitBroker, message: AbstractIncomingMessage, released: asyncio.Task[None]) -> None:
        self._broker, self._message, self._released = broker, message, released

    @property
    def body(self) -> bytes:
        """The raw document."""
        return self._message.body

    @property
    def message_id(self) -> str | None:
        """The producer's id of the message, if it gave one."""
        return self._message.message_id or None

    @property
    def redelivered(self) -> bool:
        """Whether the broker may have delivered it before."""
        return bool(self._message.redelivered)

    async def ack(self) -> None:
        """Acknowledge. Raises BrokerError if the channel broke: it will be delivered again."""
        await self._end(self._message.ack)

    async def requeue(self) -> None:
        """Give it back. Raises BrokerError if the channel broke: it went back by that."""
        await self._end(lambda: self._message.reject(requeue=True))

    async def dead_letter(self, reason: str) -> None:
        """Keep a copy with the reason, confirmed by the broker, and only then acknowledge.

        Raises:
            BrokerError: it could not be kept; the delivery has not ended.
        """
        await self._broker.publish_dead(self._message, reason)
        await self.ack()

    async def _end(self, end: Callable[[], Awaitable[None]]) -> None:
        await asyncio.shield(self._released)  # else the next message would be pushed at us after this one
        try:
            await end()
        except _BROKEN as error:
            raise self._broker.explained(error, "a delivery could not be ended and comes again") from error


def _where(url: str) -> str:
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.hostname:
            return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}{parts.path.rstrip('/')}"
    raise ConfigurationError("SISYPHUS_BROKER is no URL of RabbitMQ; write amqp://user:password@host:5672/vhost")


async def open_broker(url: str, queue: str) -> Broker:
    """Connect to ``amqp(s)://user:password@host:port/vhost`` and declare the worker class's names.

    Raises:
        BrokerError: it does not answer within seconds, or refuses; the message names the host, never the password.
        ConfigurationError: the URL has no host.
    """
    broker = RabbitBroker(url, queue)
    try:
        await broker.open()
    except BaseException:
        await broker.close()
        raise
    return broker
