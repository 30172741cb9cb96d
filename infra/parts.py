"""Doing something with the parts of one file in a few threads, while the caller may give up at any time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from infra.blocking import Transfer

P = TypeVar("P")
T = TypeVar("T")

#: Seconds between looks at whether the caller still waits.
_LOOK_S = 0.1


class PartPool:
    """Threads for parts; no file has more than `window` parts under way, so that none keeps the others out."""

    def __init__(self, threads: int, window: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._window = window

    def map(self, do: Callable[[int, P], T], parts: Sequence[P], transfer: Transfer) -> list[T]:
        """`do` for each part with its number from 1, and the answers in order.

        When it returns or raises, nothing of it is running any more: an upload can be finished or aborted.
        """
        answers = list[Future[T]]()
        running = set[Future[T]]()
        try:
            for number, part in enumerate(parts, 1):
                answers.append(self._pool.submit(self._do, do, number, part, transfer))
                running.add(answers[-1])
                is_last = number == len(parts)
                while len(running) >= self._window or (is_last and running):
                    done, running = wait(running, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                    transfer.check()
                    for answer in done:
                        answer.result()
            return [answer.result() for answer in answers]
        finally:
            for answer in running:
                answer.cancel()
            wait(running)

    @staticmethod
    def _do(do: Callable[[int, P], T], number: int, part: P, transfer: Transfer) -> T:
        transfer.check()
        return do(number, part)

    def close(self) -> None:
        """Idempotent."""
        self._pool.shutdown(wait=False, cancel_futures=True)
