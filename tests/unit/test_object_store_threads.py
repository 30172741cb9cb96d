"""The threads under both object stores: cancelling, progress, parts, slices of files."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.blocking import BlockingPool, StoppedError, Transfer
from infra.errors import StorageError
from infra.files import FileSlice, hashed_slices
from infra.parts import PartPool


@pytest.fixture
def pool() -> Iterator[BlockingPool]:
    opened = BlockingPool(1, "test")
    yield opened
    opened.close()


@pytest.fixture
async def transfer() -> Transfer:
    return Transfer(asyncio.get_running_loop(), None)


async def test_progress_arrives_on_the_loop_before_the_result(pool: BlockingPool) -> None:
    """Every report has been heard when the call returns, in order, in the loop's own thread."""
    heard: list[tuple[int, str]] = []

    def work(transfer: Transfer) -> str:
        for count in range(100):
            transfer.moved(count)
        return threading.current_thread().name

    name = await pool.run(work, lambda count: heard.append((count, threading.current_thread().name)))
    assert [count for count, _ in heard] == list(range(100))
    assert {thread for _, thread in heard} == {threading.current_thread().name}
    assert name.startswith("test")


async def test_a_cancelled_call_has_cleaned_up_when_cancel_returns(pool: BlockingPool) -> None:
    """The thread is told to stop at its next block, and waited for."""
    started, cleaned = asyncio.Event(), threading.Event()

    def work(transfer: Transfer) -> None:
        try:
            while True:
                transfer.moved(1)
        except StoppedError:
            cleaned.set()
            raise

    running = asyncio.create_task(pool.run(work, lambda _: started.set()))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cleaned.is_set()


async def test_a_call_that_is_cancelled_in_the_queue_never_runs(pool: BlockingPool) -> None:
    """What waits for a thread and is cancelled does nothing."""
    gate, ran = threading.Event(), list[str]()
    first = asyncio.create_task(pool.run(lambda _: gate.wait(30)))
    second = asyncio.create_task(pool.run(lambda _: ran.append("second")))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    await first
    await pool.run(lambda _: None)
    assert ran == []


async def test_parts_are_bounded_and_their_answers_in_order(transfer: Transfer) -> None:
    """Never more parts than the window are under way, whatever order they end in."""
    parts, lock, running, peak = PartPool(8, 3, "parts"), threading.Lock(), 0, 0

    def do(number: int, part: int) -> tuple[int, int]:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        threading.Event().wait(0.001 * (part % 3))
        with lock:
            running -= 1
        return number, part

    answers = await asyncio.to_thread(parts.map, do, list(range(100, 140)), transfer)
    assert answers == [(number, 99 + number) for number in range(1, 41)]
    assert 1 < peak <= 3
    parts.close()


async def test_a_part_that_fails_ends_the_rest(transfer: Transfer) -> None:
    """The first error is raised once nothing runs any more, and later parts are never begun."""
    parts, begun = PartPool(2, 2, "parts"), list[int]()

    def do(number: int, part: str) -> None:
        begun.append(number)
        if part == "bad":
            raise StorageError("bad part")

    with pytest.raises(StorageError, match="bad part"):
        await asyncio.to_thread(parts.map, do, ["ok", "bad"] + ["ok"] * 100, transfer)
    assert len(begun) < 10
    parts.close()


async def test_slices_know_their_digests(tmp_path: Path, transfer: Transfer) -> None:
    """Slices read their own bytes, seek, and notice a file that became shorter."""
    path, content = tmp_path / "file", os.urandom(5_000_000)
    path.write_bytes(content)
    file = os.open(path, os.O_RDONLY)
    try:
        whole, slices = hashed_slices(file, [2_000_000, 2_000_000, 1_000_000], transfer)
        assert whole == hashlib.sha256(content).hexdigest()
        assert [part.read() for part in slices] == [
            content[:2_000_000],
            content[2_000_000:4_000_000],
            content[4_000_000:],
        ]
        last: FileSlice = slices[-1]
        assert last.sha256 == hashlib.sha256(content[4_000_000:]).hexdigest()
        assert (last.seek(-5, os.SEEK_END), last.read(), last.tell()) == (999_995, content[-5:], 1_000_000)
        os.truncate(path, 10)
        last.seek(0)
        with pytest.raises(StorageError, match="shrank"):
            last.read()
        with pytest.raises(StorageError, match="shrank"):
            hashed_slices(file, [20], transfer)
    finally:
        os.close(file)
