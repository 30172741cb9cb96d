"""The announcer in virtual time: none twice, none lost, in order, and only into silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from infra.errors import LeaseLost
from schemas.failure import Cause
from schemas.record import TaskRecord
from tests.doubles.session_log import SessionLog
from tests.doubles.virtual_time import run_virtual
from voice.bot.announcer import Announcer
from voice.bot.floor import Floor, Holder
from voice.bot.mouth import Outcome, Utterance
from voice.bot.narration import Manner
from voice.session.record import SessionBook

SPEECH_S = 2.0


class Voice:
    """Says every utterance in two seconds; `outcome` decides how the next ones end."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self.said: list[str] = []
        self.outcome = Outcome.PLAYED
        self._tasks: set[asyncio.Task[None]] = set()

    def say(self, text: str, task: str | None = None) -> Utterance:
        utterance = Utterance(text, task)
        self._floor.take(Holder.BOT)
        speaking = asyncio.create_task(self._speak(utterance, self.outcome))
        self._tasks.add(speaking)
        speaking.add_done_callback(self._tasks.discard)
        return utterance

    async def _speak(self, utterance: Utterance, outcome: Outcome) -> None:
        if outcome is not Outcome.DROPPED:
            self.said.append(utterance.text)
        await asyncio.sleep(SPEECH_S)
        self._floor.leave(Holder.BOT)
        utterance.finish(outcome)


class Connection:
    """One connection of session "s"."""

    def __init__(self, log: SessionLog, book: SessionBook) -> None:
        self.log, self.book = log, book
        self.floor = Floor()
        self.voice = Voice(self.floor)
        self.shown: list[TaskRecord] = []
        self.announcer = Announcer(
            log, book, self.voice, self.floor, lambda r: Manner(f"the {r.document.name}"), self.shown.append
        )
        self.talking: asyncio.Task[None] | None = None

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.05)

    async def idle(self) -> None:
        await self.until(lambda: self.announcer.is_idle)


@asynccontextmanager
async def connected(log: SessionLog) -> AsyncGenerator[Connection]:
    """Connect; at the end the process is gone from one moment to the next."""
    connection = Connection(log, await SessionBook.open(log, "s"))
    connection.talking = asyncio.create_task(connection.announcer.talk())
    tasks = [asyncio.create_task(connection.announcer.watch()), connection.talking]
    try:
        yield connection
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_milestones_and_end_are_said_in_order_and_once() -> None:
    """Every milestone that has time to be said is said, in order, then the result; nothing is said twice."""

    async def story() -> list[str]:
        log = SessionLog()
        async with connected(log) as c:
            log.accept("a", "audit")
            for number in range(1, 4):
                await asyncio.sleep(5)
                log.progress("a", f"pass {number}")
            await asyncio.sleep(5)
            log.complete("a", "3 findings")
            await c.idle()
            await asyncio.sleep(30)
            return c.voice.said

    assert run_virtual(story()) == [
        "Starting the audit.",
        "Pass 1.",
        "Pass 2.",
        "Pass 3.",
        "The audit is complete: 3 findings.",
    ]


def test_an_acknowledged_start_is_not_said_again() -> None:
    """Whoever submitted says the start; the announcer goes on behind it, and the offset is committed once played."""

    async def story() -> tuple[list[str], int]:
        log = SessionLog()
        async with connected(log) as c:
            c.announcer.expect("a")
            record = log.accept("a", "audit")
            await asyncio.sleep(1)
            assert c.book.spoken("a") == 0
            c.announcer.acknowledged(record, "a", c.voice.say("Okay. Auditing."))
            log.complete("a", "fine")
            await c.idle()
            return c.voice.said, c.book.spoken("a")

    said, offset = run_virtual(story())
    assert said == ["Okay. Auditing.", "The audit is complete: fine."]
    assert offset == 2


def test_an_acknowledgement_that_nobody_heard_is_made_up_for() -> None:
    """If the spoken start was dropped, the announcer says the start itself."""

    async def story() -> list[str]:
        log = SessionLog()
        async with connected(log) as c:
            c.announcer.expect("a")
            c.voice.outcome = Outcome.DROPPED
            c.announcer.acknowledged(log.accept("a", "audit"), "a", c.voice.say("Okay."))
            await asyncio.sleep(SPEECH_S)
            c.voice.outcome = Outcome.PLAYED
            await c.until(lambda: bool(c.voice.said))
            return c.voice.said

    assert run_virtual(story()) == ["Starting the audit."]


def test_nothing_is_said_into_speech_or_an_open_question() -> None:
    """While the user speaks, or an answer is awaited, milestones wait; what is newer then supersedes."""

    async def story() -> None:
        log = SessionLog()
        async with connected(log) as c:
            log.accept("a", "audit")
            await c.until(lambda: bool(c.voice.said))
            await asyncio.sleep(SPEECH_S)
            c.floor.take(Holder.USER)
            for number in range(1, 5):
                log.progress("a", f"pass {number}")
            await asyncio.sleep(60)
            assert c.voice.said == ["Starting the audit."]
            c.floor.leave(Holder.USER)
            c.floor.await_answer(10)
            await asyncio.sleep(9)
            assert c.voice.said == ["Starting the audit."]
            await asyncio.sleep(2)
            assert c.voice.said[1:] == ["Pass 3. Pass 4."]

    run_virtual(story())


def test_a_failure_is_said_before_ends_and_milestones() -> None:
    """What waits is ranked: failed, then done, then progress."""

    async def story() -> list[str]:
        log = SessionLog()
        async with connected(log) as c:
            for name in "abc":
                log.accept(name, name)
            await c.until(lambda: len(c.voice.said) == 3)
            c.floor.take(Holder.USER)
            log.progress("a", "half")
            log.complete("b", "7")
            log.fail("c", Cause.NODE_LOST)
            await asyncio.sleep(5)
            c.floor.leave(Holder.USER)
            await c.until(lambda: len(c.voice.said) == 6)
            return c.voice.said[3:]

    said = run_virtual(story())
    assert [text.split(".")[0] for text in said] == ["The c failed", "The b is complete: 7", "Half"]


def test_an_interrupted_sentence_counts_as_heard_and_a_dropped_one_does_not() -> None:
    """Cut in the middle: not repeated by itself. Never begun: said later."""

    async def story() -> tuple[list[str], list[str]]:
        log = SessionLog()
        async with connected(log) as c:
            c.voice.outcome = Outcome.CUT
            log.accept("a", "a")
            await c.until(lambda: bool(c.voice.said))
            await asyncio.sleep(20)
            cut = list(c.voice.said)
            c.voice.outcome = Outcome.DROPPED
            log.complete("a", "1")
            await asyncio.sleep(20)
            c.voice.outcome = Outcome.PLAYED
            await c.idle()
            return cut, c.voice.said

    cut, said = run_virtual(story())
    assert cut == ["Starting the a."]
    assert said == ["Starting the a.", "The a is complete: 1."]


def test_a_crash_between_playing_and_writing_repeats_one_sentence_at_most() -> None:
    """A process that dies in mid-sentence loses nothing: the next connection says that sentence, and only that."""

    async def story() -> tuple[list[str], list[str]]:
        log = SessionLog()
        async with connected(log) as first:
            log.accept("a", "audit")
            await first.until(lambda: len(first.voice.said) == 1)
            await asyncio.sleep(SPEECH_S + 1)
            log.complete("a", "fine")
            await first.until(lambda: len(first.voice.said) == 2)
            # Gone in the middle of the sentence.
        async with connected(log) as second:
            await second.idle()
            await asyncio.sleep(30)
            return first.voice.said, second.voice.said

    first, second = run_virtual(story())
    assert first == ["Starting the audit.", "The audit is complete: fine."]
    assert second == ["While you were away: The audit is complete: fine."]


def test_what_happened_while_away_is_told_once_and_open_tasks_go_on() -> None:
    """After a reconnect the missed ends come as one summary, then the open task is followed live."""

    async def story() -> tuple[list[str], list[str]]:
        log = SessionLog()
        async with connected(log) as first:
            log.accept("a", "a")
            log.accept("b", "b")
            await first.until(lambda: len(first.voice.said) == 2)
            await asyncio.sleep(SPEECH_S + 1)
        log.complete("a", "1")
        log.progress("b", "half")
        async with connected(log) as second:
            await second.until(lambda: len(second.voice.said) == 1)
            await asyncio.sleep(SPEECH_S + 1)
            log.complete("b", "2")
            await second.idle()
        async with connected(log) as third:
            await asyncio.sleep(30)
            return second.voice.said, third.voice.said

    second, third = run_virtual(story())
    assert second == ["While you were away: The a is complete: 1. Half.", "The b is complete: 2."]
    assert third == []


def test_a_session_that_was_taken_over_says_nothing_more() -> None:
    """The older connection learns before it speaks that the session is another's, and ends."""

    async def story() -> list[str]:
        log = SessionLog()
        async with connected(log) as older:
            await asyncio.sleep(1)
            await SessionBook.open(log, "s")
            log.accept("a", "a")
            assert older.talking is not None
            with pytest.raises(LeaseLost):
                await older.talking
            return older.voice.said

    assert run_virtual(story()) == []


def test_the_page_sees_every_change_while_the_voice_is_busy() -> None:
    """Cards follow the database at once, however long a sentence takes."""

    async def story() -> list[float]:
        log = SessionLog()
        async with connected(log) as c:
            c.floor.take(Holder.USER)
            log.accept("a", "a")
            for percent in (10, 20, 30):
                await asyncio.sleep(1)
                log.progress("a", "x", percent)
            await asyncio.sleep(1)
            return [record.progress for record in c.shown]

    assert run_virtual(story()) == [0, 10, 20, 30]


def test_a_wake_up_that_is_lost_costs_a_second_at_most() -> None:
    """Events are found by polling even when nobody is woken."""

    async def story() -> list[str]:
        log = SessionLog()
        async with connected(log) as c:
            await asyncio.sleep(3)
            log._news.clear()
            log.accept("a", "a")
            await asyncio.sleep(2.0)
            return c.voice.said

    assert run_virtual(story()) == ["Starting the a."]
