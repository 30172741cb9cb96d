"""What the page is told: numbered, bounded, merged, and never before it is ready."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from schemas.failure import Cause, Failure
from schemas.state import TaskState
from schemas.task import TaskDocument
from schemas.todo import plan_items
from tests.doubles.session_log import SessionLog
from tests.doubles.virtual_time import run_virtual
from voice.bot.floor import BotState
from voice.bot.picture import MAX_TASKS, Message, VoiceState, card
from voice.bot.rtvi import MAX_BYTES, Feed


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


def test_a_snapshot_fits_a_data_channel_and_what_has_no_room_in_it_follows() -> None:
    """However many tasks and lines there are, the message stays small, and every card comes in the end."""

    async def story() -> Page:
        page = Page()
        log = SessionLog()
        for number in range(80):
            record = log.accept(f"t{number}", "n" * 200)
            log.progress(record.id, "m" * 5000)
            page.feed.task(log.records[record.id])
        page.lines.extend({"who": "bot", "text": f"{number} {'x' * 400}"} for number in range(200))
        page.feed.open()
        pump = asyncio.create_task(page.feed.pump())
        await asyncio.sleep(10)
        pump.cancel()
        return page

    page = run_virtual(story())
    first = page.got[0]
    newest = [f"t{number}" for number in range(80 - MAX_TASKS, 80)]
    assert first["task_ids"] == newest
    assert first["tasks"][-1]["id"] == "t79"
    assert first["transcript"][-1]["text"].startswith("199 ")
    assert [message for message in page.got if len(json.dumps(message)) > MAX_BYTES] == []
    told = [*first["tasks"], *(message["task"] for message in page.got[1:])]
    assert sorted(shown["id"] for shown in told) == sorted(newest)


def test_a_task_that_still_runs_is_not_let_go_for_newer_ones_that_have_ended() -> None:
    """It is named in the snapshot, and its card is among those that fit."""
    page = Page()
    log = SessionLog()
    page.feed.task(log.accept("slow", "n" * 200))
    for number in range(2 * MAX_TASKS):
        log.accept(f"t{number}", "n" * 200)
        log.complete(f"t{number}", "x" * 200)
        page.feed.task(log.records[f"t{number}"])
    message: Any = page.feed.snapshot()
    assert message["task_ids"][0] == "slow"
    assert len(message["task_ids"]) == MAX_TASKS
    assert message["tasks"][0]["id"] == "slow"
    assert len(message["tasks"]) < MAX_TASKS


def test_a_task_that_is_let_go_while_others_are_told_does_not_end_the_call() -> None:
    """More tasks than are kept become known while the page is slow to take their messages."""

    async def story() -> Page:
        page = Page()
        log = SessionLog()
        page.feed.open()
        pump = asyncio.create_task(page.feed.pump())
        await asyncio.sleep(1)
        receive = page.feed._send

        async def slowly(message: Message) -> None:
            await asyncio.sleep(1)
            await receive(message)

        page.feed._send = slowly
        for number in range(2 * MAX_TASKS):
            log.accept(f"t{number}")
            log.complete(f"t{number}", "1")
            page.feed.task(log.records[f"t{number}"])
            await asyncio.sleep(0.3)
        await asyncio.sleep(200)
        assert not pump.done()
        pump.cancel()
        return page

    page = run_virtual(story())
    assert page.got[-1]["kind"] == "task"
    assert f"t{2 * MAX_TASKS - 1}" in {message["task"]["id"] for message in page.got if message["kind"] == "task"}


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
        [{"path": "sisyphus:results/a.txt", "bytes": 1}],
        None,
    )
    log.accept("b")
    log.fail("b")
    assert card(log.records["b"])["error"] == "It took longer than it may."


@pytest.mark.parametrize(
    ("failure", "error", "detail"),
    [
        (
            Failure(
                cause=Cause.EXIT, message="exit code 3: bad header", exit_code=3, log_tail="a\nb\n\nc\nbad header\n"
            ),
            "Its command ended with code 3.",
            "b\nc\nbad header",
        ),
        (
            Failure(cause=Cause.EXIT, message="exit code 3", exit_code=3),
            "Its command ended with code 3.",
            "exit code 3",
        ),
        (Failure(cause=Cause.TIMEOUT, message="timed out after 2 s", log_tail="a"), None, "timed out after 2 s"),
        (Failure(cause=Cause.CANCELED, message="no longer needed"), "It was canceled.", "no longer needed"),
        (Failure(cause=Cause.INVALID, message=""), "What it asks for cannot be done.", None),
    ],
)
def test_a_card_gives_the_reason_and_what_helps_to_mend_it(
    failure: Failure, error: str | None, detail: str | None
) -> None:
    """A command's last words for a command that failed, the system's own message for everything else."""
    log = SessionLog()
    record = log.accept("a").model_copy(update={"state": TaskState.EXECUTOR_ERROR, "failure": failure})
    shown = card(record)
    assert shown["error"] == (error or "It took longer than it may.")
    assert shown["detail"] == detail
    again = card(record.model_copy(update={"state": TaskState.RUNNING}))
    assert (again["error"], again["detail"]) == (None, None)


def test_a_step_names_the_file_and_not_the_way_to_it() -> None:
    """Inputs and outputs by their own names, folders with a slash, commands as they are; long lists are counted."""
    task = TaskDocument.model_validate(
        {
            "name": "x",
            "image": "alpine:3",
            "inputs": [{"remote": "sisyphus:reports/2026/annual report.txt", "internal": "/in/a"}],
            "outputs": [
                {"remote": "sisyphus:results/pages/", "internal": "/out/"},
                {"remote": "sisyphus:top.txt", "internal": "/out2"},
            ],
            "commands": [{"command": ["true"], "title": f"compare a/b, part {number}"} for number in range(40)],
        }
    )
    record = SessionLog().accept("a").model_copy(update={"document": task, "todos": plan_items(task)})
    shown: Any = card(record)
    assert [todo["title"] for todo in shown["todos"]][:2] == ["fetch annual report.txt", "compare a/b, part 0"]
    assert (shown["todo_count"], shown["todo_done"]) == (43, 0)
    few = task.model_copy(update={"commands": task.commands[:1]})
    shown = card(record.model_copy(update={"todos": plan_items(few)}))
    assert [todo["title"] for todo in shown["todos"]][2:] == ["store pages/", "store top.txt"]


def test_the_page_is_told_why_there_is_no_voice() -> None:
    """A server without weights says so in every snapshot."""
    page = Page()
    page.feed.voice(VoiceState(ready=False, reason="no weights"))
    assert page.feed.snapshot()["voice"] == {"ready": False, "reason": "no weights"}
