"""What the page is told: numbered, bounded, merged, and never before it is ready."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.doubles.session_log import SessionLog
from tests.doubles.virtual_time import run_virtual
from voice.bot.floor import BotState
from voice.bot.rtvi import MAX_BYTES, Feed, Message, VoiceState, card


class Page:
    """Collects what arrives."""

    def __init__(self, epoch: int = 1) -> None:
        self.got: list[Any] = []
        self.lines: list[Any] = []
        self.feed = Feed("s", epoch, lambda: self.lines, self._receive)

    async def _receive(self, message: Message) -> None:
        self.got.append(message)

    def kinds(self) -> list[str]:
        return [message["kind"] for message in self.got]


def test_nothing_is_sent_before_the_page_is_ready_and_a_snapshot_makes_up_for_it() -> None:
    """What happened before is in the snapshot; what follows has higher numbers."""

    async def story() -> Page:
        page = Page()
        pump = asyncio.create_task(page.feed.pump())
        log = SessionLog()
        page.feed.task(log.accept("a", "count words", **{"spoken.source": "annual report"}))
        page.feed.heard("hello")
        page.lines.append({"who": "user", "text": "hello"})
        await asyncio.sleep(1)
        assert page.got == []
        page.feed.open()
        await asyncio.sleep(1)
        page.feed.state(BotState.THINKING)
        await asyncio.sleep(1)
        pump.cancel()
        return page

    page = run_virtual(story())
    assert page.kinds() == ["snapshot", "state"]
    snapshot = page.got[0]
    assert snapshot["tasks"][0]["title"] == "Count words: annual report"
    assert snapshot["transcript"] == [{"who": "user", "text": "hello"}]
    assert snapshot["seq"] < page.got[1]["seq"]


def test_numbers_rise_over_connections() -> None:
    """The first number of a later connection is above every one of the connection before."""
    assert Page(epoch=2).feed.snapshot()["seq"] > Page(epoch=1).feed.snapshot()["seq"]  # type: ignore[operator]


def test_a_burst_of_changes_becomes_few_messages_with_the_last_state() -> None:
    """A task that changes a thousand times in a second reaches the page at most about ten times, ending right."""

    async def story() -> Page:
        page = Page()
        page.feed.open()
        pump = asyncio.create_task(page.feed.pump())
        await asyncio.sleep(1)
        log = SessionLog()
        log.accept("a")
        for percent in range(1, 101):
            log.progress("a", "x", percent)
            page.feed.task(log.records["a"])
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        pump.cancel()
        return page

    page = run_virtual(story())
    tasks = [message for message in page.got if message["kind"] == "task"]
    assert len(tasks) <= 13
    assert tasks[-1]["task"]["progress"] == 100


def test_a_page_that_cannot_keep_up_gets_a_snapshot_instead_of_a_backlog() -> None:
    """Thousands of waiting lines are replaced by one message."""

    async def story() -> Page:
        page = Page()
        page.feed.open()
        for number in range(5000):
            page.feed.heard(str(number))
        pump = asyncio.create_task(page.feed.pump())
        await asyncio.sleep(1)
        pump.cancel()
        return page

    page = run_virtual(story())
    assert page.kinds()[0] == "snapshot"
    assert len(page.got) < 250


def test_a_snapshot_fits_a_data_channel_whatever_the_session_holds() -> None:
    """However many tasks and lines there are, the newest are told and the message stays small."""
    page = Page()
    log = SessionLog()
    for number in range(80):
        record = log.accept(f"t{number}", "n" * 200)
        log.progress(record.id, "m" * 5000)
        page.feed.task(log.records[record.id])
    page.lines.extend({"who": "bot", "text": "x" * 400} for _ in range(200))
    message = page.feed.snapshot()
    assert len(json.dumps(message)) <= MAX_BYTES
    tasks = message["tasks"]
    assert isinstance(tasks, list)
    assert tasks
    assert tasks[-1]["id"] == "t79"  # type: ignore[index, call-overload]


def test_after_shut_nothing_is_sent() -> None:
    """The gate is shut before the transport closes; a writer that comes late writes nothing."""

    async def story() -> Page:
        page = Page()
        page.feed.open()
        pump = asyncio.create_task(page.feed.pump())
        await asyncio.sleep(1)
        page.feed.shut()
        page.feed.said("too late", None)
        await asyncio.sleep(1)
        assert pump.done()
        return page

    assert run_virtual(story()).kinds() == ["snapshot"]


def test_a_card_says_what_the_record_says() -> None:
    """State, progress, line, result and outputs come from the record; a failure becomes a sentence."""
    log = SessionLog()
    log.accept("a")
    assert card(log.records["a"])["progress"] is None
    log.progress("a", "half", 50)
    assert (card(log.records["a"])["progress"], card(log.records["a"])["line"]) == (50, "half")
    log.complete("a", "358")
    done = card(log.records["a"])
    assert (done["state"], done["result"], done["outputs"], done["error"]) == (
        "complete",
        "358",
        ["sisyphus:results/a.txt"],
        None,
    )
    log.accept("b")
    log.fail("b")
    assert card(log.records["b"])["error"] == "It took longer than it may."


def test_the_page_is_told_why_there_is_no_voice() -> None:
    """A server without weights says so in every snapshot."""
    page = Page()
    page.feed.voice(VoiceState(ready=False, reason="no weights"))
    assert page.feed.snapshot()["voice"] == {"ready": False, "reason": "no weights"}
