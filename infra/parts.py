"""Sending a file in parts, a few at a time, with a bound on the bytes in memory over all files that are being sent."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from infra.blocking import Transfer
from infra.files import read_exactly

T = TypeVar("T")

#: Seconds between looks at whether the caller still waits, while no buffer is free.
_LOOK_S = 0.1


class PartSender:
    """Threads that send parts; at most `buffers` parts are in memory, whoever they belong to."""

    def __init__(self, buffers: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(buffers, thread_name_prefix=name)
        self._free = threading.BoundedSemaphore(buffers)

    def send(self, file: int, sizes: list[int], send: Callable[[int, bytes], T], transfer: Transfer) -> Sent[T]:
        """Read parts of the given sizes and pass each, with its number from 1, to `send` in another thread.

        When it returns or raises, no `send` is running any more: an upload can be completed or aborted.
        """
        digest, answers = hashlib.sha256(), list[Future[T]]()
        try:
            for number, size in enumerate(sizes, 1):
                while not self._free.acquire(timeout=_LOOK_S):
                    transfer.check()
                try:
                    data = read_exactly(file, size)
                    digest.update(data)
                    answer = self._pool.submit(self._send_one, number, data, send, transfer)
                except BaseException:
                    self._free.release()
                    raise
                answer.add_done_callback(lambda _: self._free.release())
                answers.append(answer)
                del data  # else it would be kept while waiting for the next buffer
                if failed := next((a for a in answers if a.done() and a.exception()), None):
                    failed.result()
            return Sent([answer.result() for answer in answers], digest.hexdigest())
        finally:
            for answer in answers:
                answer.cancel()
            wait(answers)

    def _send_one(self, number: int, data: bytes, send: Callable[[int, bytes], T], transfer: Transfer) -> T:
        transfer.check()
        answer = send(number, data)
        transfer.moved(len(data))
        return answer

    def close(self) -> None:
        """Idempotent."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Sent(Generic[T]):
    """The answers in the order of the parts, and the SHA-256 of all that was read."""

    def __init__(self, answers: list[T], sha256: str) -> None:
        self.answers, self.sha256 = answers, sha256
