"""Trying a blocking call again: a few times, with growing pauses, and only as long as its caller waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from infra.blocking import Transfer

T = TypeVar("T")
#: Tries of one call; with their pauses they take about three seconds.
TRIES = 5
#: The first pause in seconds; it doubles, with jitter of as much again, up to `_PAUSE_MAX_S`.
PAUSE_S, _PAUSE_MAX_S = 0.2, 5.0


def patiently(ask: Callable[[], T], transfer: Transfer | None, may_pass: Callable[[BaseException], bool]) -> T:
    """`ask`, again a few times while `may_pass` says that it may help. Raises what the last try raised.

    Args:
        ask: one try; blocking.
        transfer: its caller; None: nobody can stop it.
        may_pass: whether another try may meet another answer than this error.
    """

    def attempt() -> T:
        if transfer is not None:
            transfer.check()
        return ask()

    retrying = Retrying(
        retry=retry_if_exception(may_pass),
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential_jitter(multiplier=PAUSE_S, max=_PAUSE_MAX_S, jitter=PAUSE_S),
        sleep=transfer.pause if transfer is not None else time.sleep,
        reraise=True,
    )
    return retrying(attempt)
