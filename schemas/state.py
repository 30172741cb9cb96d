"""The states of a task and the one table of legal moves. Every write of a state goes through `advance`."""

from __future__ import annotations

from enum import StrEnum


class TaskState(StrEnum):
    """Where a task is. Names follow GA4GH TES where TES has one."""

    QUEUED = "queued"
    INITIALIZING = "initializing"  # claimed; inputs are being staged in
    RUNNING = "running"
    COMMITTING = "committing"  # outputs are being staged out
    RETRY_WAIT = "retry_wait"
    COMPLETE = "complete"
    EXECUTOR_ERROR = "executor_error"  # the user's command failed
    SYSTEM_ERROR = "system_error"  # ours, after the retries
    CANCELED = "canceled"


TERMINAL = frozenset({TaskState.COMPLETE, TaskState.EXECUTOR_ERROR, TaskState.SYSTEM_ERROR, TaskState.CANCELED})
#: States in which a node holds the lease.
LEASED = frozenset({TaskState.INITIALIZING, TaskState.RUNNING, TaskState.COMMITTING})
#: States from which a node may claim without waiting for a lease to expire.
CLAIMABLE = frozenset({TaskState.QUEUED, TaskState.RETRY_WAIT})

_S = TaskState
_ENDS = frozenset({_S.EXECUTOR_ERROR, _S.SYSTEM_ERROR, _S.CANCELED})
#: A claim (first or after a lost lease) always enters `initializing`; a release on drain goes back to `queued`.
TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    _S.QUEUED: frozenset({_S.INITIALIZING, _S.CANCELED, _S.SYSTEM_ERROR}),
    _S.INITIALIZING: frozenset({_S.INITIALIZING, _S.RUNNING, _S.COMMITTING, _S.RETRY_WAIT, _S.QUEUED}) | _ENDS,
    _S.RUNNING: frozenset({_S.INITIALIZING, _S.COMMITTING, _S.RETRY_WAIT, _S.QUEUED}) | _ENDS,
    _S.COMMITTING: frozenset({_S.INITIALIZING, _S.COMPLETE, _S.RETRY_WAIT, _S.QUEUED}) | _ENDS,
    _S.RETRY_WAIT: frozenset({_S.INITIALIZING, _S.CANCELED, _S.SYSTEM_ERROR}),
    _S.COMPLETE: frozenset(),
    _S.EXECUTOR_ERROR: frozenset(),
    _S.SYSTEM_ERROR: frozenset(),
    _S.CANCELED: frozenset(),
}


class IllegalTransitionError(ValueError):
    """A write asked for a move that the table does not have."""

    def __init__(self, before: TaskState, after: TaskState) -> None:
        self.before, self.after = before, after
        super().__init__(f"a task cannot go from {before.value} to {after.value}")


def advance(before: TaskState, after: TaskState) -> TaskState:
    """Return `after` if the table allows the move.

    Raises:
        IllegalTransitionError: it does not; a terminal state allows none.
    """
    if after not in TRANSITIONS[before]:
        raise IllegalTransitionError(before, after)
    return after
