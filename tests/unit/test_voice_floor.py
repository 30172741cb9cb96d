"""Who has the floor, in virtual time."""

from __future__ import annotations

import asyncio

from tests.doubles.virtual_time import run_virtual
from voice.bot.floor import BotState, Floor, Holder


def test_the_floor_is_free_only_after_everybody_left_it_for_long_enough() -> None:
    """A short pause between two holders is no opening."""

    async def story() -> float:
        floor = Floor()
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        floor.take(Holder.USER)
        loop.call_later(3.0, floor.leave, Holder.USER)
        loop.call_later(3.2, floor.take, Holder.BOT)
        loop.call_later(5.0, floor.leave, Holder.BOT)
        await floor.until_free(0.5)
        return loop.time() - begun_s

    assert 5.4 < run_virtual(story()) < 5.7


def test_a_question_keeps_the_floor_until_the_user_speaks_or_time_is_up() -> None:
    """Nobody talks into the silence that waits for an answer; the answer itself ends the wait."""

    async def story() -> tuple[float, bool]:
        floor = Floor()
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        floor.await_answer(6)
        await floor.until_free(0.5)
        waited_s = loop.time() - begun_s
        floor.await_answer(60)
        floor.take(Holder.USER)
        floor.leave(Holder.USER)
        await asyncio.sleep(1)
        return waited_s, floor.free_s() > 0.5

    waited_s, is_free = run_virtual(story())
    assert 5.9 < waited_s < 6.2
    assert is_free


def test_the_time_for_an_answer_begins_when_the_question_was_asked() -> None:
    """A long question does not eat up the time to answer it."""

    async def story() -> float:
        floor = Floor()
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        floor.take(Holder.BOT)
        floor.await_answer(6)
        loop.call_later(10.0, floor.leave, Holder.BOT)
        await floor.until_free(0.5)
        return loop.time() - begun_s

    assert 15.9 < run_virtual(story()) < 16.2


def test_the_page_is_told_each_state_once() -> None:
    """Listening, thinking, speaking: in order, without repeats."""

    async def story() -> list[BotState]:
        seen: list[BotState] = []
        floor = Floor(seen.append)
        floor.take(Holder.USER)
        floor.take(Holder.TURN)
        floor.leave(Holder.USER)
        floor.take(Holder.BOT)
        floor.take(Holder.BOT)
        floor.leave(Holder.TURN)
        floor.leave(Holder.BOT)
        return seen

    assert run_virtual(story()) == [BotState.THINKING, BotState.SPEAKING, BotState.LISTENING]
