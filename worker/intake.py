"""Work for free hands: deliveries from the broker, due rows from the state store. No free slot, nothing is taken.

A delivery becomes a row and a lease, and only then is it acknowledged; no acknowledgement waits for a run.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress

from infra.broker import Consumer, Delivery
from infra.errors import BrokerError
from infra.identity import new_id
from infra.log import get_logger
from infra.state_store import Claim
from schemas.failure import DocumentError, Problem
from schemas.ids import checked_id
from schemas.legacy import parse_json
from worker.ports import Ports

log = get_logger(__name__)


class Intake:
    """Claims for one node, from wherever work comes."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def due(self, limit: int) -> list[Claim]:
        """Rows that are due, with expired leases of other nodes among them."""
        settings = self._ports.settings
        return await self._ports.store.claim(
            self._ports.node_id, limit, settings.lease, settings.nodes_lost_limit, queue=settings.worker_class
        )

    async def delivered(self, consumer: Consumer, timeout_s: float) -> Claim | None:
        """One delivery turned into a claim; None when none came, or when it needs no run here."""
        try:
            delivery = await consumer.take(timeout_s)
        except BrokerError as error:
            log.warning("broker_unreachable", error=str(error), consequence="rows are claimed from the store")
            await asyncio.sleep(timeout_s)
            return None
        if delivery is None:
            return None
        accepting = asyncio.ensure_future(self._accept(delivery))
        while not accepting.done():
            with suppress(asyncio.CancelledError):  # a lease that was just granted is never dropped
                await asyncio.wait({accepting})
        return accepting.result()

    async def _accept(self, delivery: Delivery) -> Claim | None:
        try:
            task = parse_json(delivery.body)
            task_id = task.id or _message_id(delivery) or new_id()
        except DocumentError as error:
            await self._reject(delivery, error)
            return None
        try:
            digest = hashlib.sha256(delivery.body).hexdigest()
            _, claim = await self._ports.store.accept(
                task.model_copy(update={"id": task_id}),
                task_id,
                self._ports.node_id,
                self._ports.settings.lease,
                queue=self._ports.settings.worker_class,
                digest=digest,
                redelivered=delivery.redelivered,
            )
        except Exception:
            await delivery.requeue()
            raise
        await delivery.ack()
        return claim

    async def _reject(self, delivery: Delivery, error: DocumentError) -> None:
        body = delivery.body[:65_536].decode(errors="replace")
        problems: tuple[Problem, ...] = error.problems
        reason = "; ".join(f"{p.code} at {p.field or 'document'}: {p.message}" for p in problems)
        log.warning("document_rejected", problems=[p.model_dump() for p in problems], consequence="dead-lettered")
        await self._ports.store.dead_letter("broker", reason, body)
        try:
            await delivery.dead_letter(reason)
        except BrokerError:
            await delivery.requeue()
            raise


def _message_id(delivery: Delivery) -> str | None:
    """The producer's message id, if it can serve as a task id: redeliveries then find the same row."""
    try:
        return checked_id(delivery.message_id) if delivery.message_id else None
    except ValueError:
        return None
