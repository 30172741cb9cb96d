"""Whether a failed attempt is tried again, and when. Pure: cause, counters and one random number in, decision out."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.failure import USER_CAUSES, Cause, Failure
from schemas.state import TaskState
from schemas.task import TaskDocument

#: Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015): uniform in 0..min(cap, base * 2^n).
BASE_S, CAP_S = 1.0, 60.0
#: Failed attempts before a committed task is given up: its promotion is replayed without running a command again.
PROMOTIONS = 10
_RETRIED = frozenset({Cause.INFRASTRUCTURE})


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows a failed attempt: a state, and for `retry_wait` the delay in seconds."""

    state: TaskState
    delay_s: float = 0.0


def decide(task: TaskDocument, failure: Failure, attempts: int, chance: float, *, committed: bool = False) -> Decision:
    """The consequence of `failure`.

    Args:
        task: the document, for `max_attempts` and `retry_exit_codes`.
        failure: why the attempt ended.
        attempts: failed attempts before this one.
        chance: uniform in 0..1.
        committed: the manifest is stored, only its promotion is left.
    """
    if failure.cause is Cause.CANCELED:
        return Decision(TaskState.CANCELED)
    asked = failure.cause is Cause.EXIT and failure.exit_code in task.retry_exit_codes
    limit = max(task.max_attempts, PROMOTIONS) if committed else task.max_attempts
    if (asked or failure.cause in _RETRIED) and attempts + 1 < limit:
        return Decision(TaskState.RETRY_WAIT, chance * min(CAP_S, BASE_S * 2**attempts))
    return Decision(TaskState.EXECUTOR_ERROR if failure.cause in USER_CAUSES else TaskState.SYSTEM_ERROR)
