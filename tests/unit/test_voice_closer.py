"""How a call ends: the order of the steps, once, and within bounds."""

from __future__ import annotations

import asyncio

import pytest

from infra.errors import LeaseLost, StateStoreError
from tests.doubles.virtual_time import run_virtual
from voice.session.closer import Closer, Reason


class FakeCall:
    """Notes the steps; those in `stuck` never return."""

    def __init__(self, *stuck: str, error: Exception | None = None) -> None:
        self.steps: list[str] = []
        self._stuck = stuck
        self._error = error

    def stop_intake(self) -> None:
        self.steps.append("stop_intake")

    def shut_gate(self) -> None:
        self.steps.append("shut_gate")

    async def drain(self, timeout_s: float) -> None:
        await self._step("drain")

    async def end(self) -> None:
        await self._step("end")

    async def cancel(self) -> None:
        await self._step("cancel")

    async def abandon(self) -> None:
        await self._step("abandon")

    async def checkpoint(self) -> None:
        await self._step("checkpoint")
        if self._error is not None:
            raise self._error

    async def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self._stuck:
            await asyncio.Event().wait()


def closed(call: FakeCall, reason: Reason) -> list[str]:
    run_virtual(Closer(call).close(reason), 60)
    return call.steps


def test_when_we_end_what_is_known_is_said_before_the_gate_is_shut() -> None:
    """Our own end is polite: drain, end, then the gate; no cancel is needed."""
    assert closed(FakeCall(), Reason.DONE) == ["stop_intake", "drain", "end", "shut_gate", "checkpoint"]


def test_when_the_client_is_gone_the_gate_is_shut_first() -> None:
    """Nothing is said or sent to nobody."""
    assert closed(FakeCall(), Reason.GONE) == ["stop_intake", "shut_gate", "cancel", "checkpoint"]


def test_a_session_that_was_taken_over_is_not_written() -> None:
    """The record belongs to the successor, and nothing more is announced."""
    assert closed(FakeCall(), Reason.TAKEN_OVER) == ["stop_intake", "end", "shut_gate"]


def test_a_pipeline_that_hangs_is_cancelled_then_abandoned_and_the_rest_still_happens() -> None:
    """No step can keep the call from ending; each is taken only where the gentler one did not help."""
    steps = closed(FakeCall("end"), Reason.STOPPING)
    assert steps == ["stop_intake", "drain", "end", "shut_gate", "cancel", "checkpoint"]
    steps = closed(FakeCall("end", "cancel", "abandon", "checkpoint"), Reason.STOPPING)
    assert steps == ["stop_intake", "drain", "end", "shut_gate", "cancel", "abandon", "checkpoint"]


@pytest.mark.parametrize("error", [LeaseLost("s"), StateStoreError("down")])
def test_a_checkpoint_that_fails_does_not_keep_the_call_open(error: Exception) -> None:
    """Neither a successor nor a database that is down stops the end."""
    assert closed(FakeCall(error=error), Reason.GONE)[-1] == "checkpoint"


def test_closing_happens_once_however_often_it_is_asked_for() -> None:
    """The first reason counts, and everybody waits for the same end."""

    async def story() -> FakeCall:
        call = FakeCall()
        closer = Closer(call)
        await asyncio.gather(closer.close(Reason.GONE), closer.close(Reason.DONE), closer.close(Reason.STOPPING))
        assert closer.reason is Reason.GONE
        return call

    assert run_virtual(story()).steps.count("checkpoint") == 1


def test_a_waiter_that_is_cancelled_does_not_stop_the_closing() -> None:
    """Whoever waits may give up; the call still ends properly."""

    async def story() -> list[str]:
        call = FakeCall("drain")
        call.drain = lambda timeout_s: asyncio.sleep(1)  # type: ignore[assignment, method-assign]
        closer = Closer(call)
        waiter = asyncio.create_task(closer.close(Reason.DONE))
        await asyncio.sleep(0.5)
        waiter.cancel()
        await asyncio.sleep(2)
        return call.steps

    assert run_virtual(story())[-1] == "checkpoint"
