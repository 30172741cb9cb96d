"""The TODO list of a task: each stage-in, each command, each stage-out, persisted as it moves.

Within one epoch an item only goes forward. A new epoch may reopen an item whose effect died with the node
(``durable`` false); an item with a durable effect never goes back. Reopening is a logged event, not a silent reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from schemas.document import Document
from schemas.task import TaskDocument


class ItemKind(StrEnum):
    """What kind of step an item is."""

    STAGE_IN = "stage_in"
    COMMAND = "command"
    STAGE_OUT = "stage_out"


class ItemState(StrEnum):
    """Where an item is."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


MOVES: dict[ItemState, frozenset[ItemState]] = {
    ItemState.PENDING: frozenset({ItemState.IN_PROGRESS, ItemState.COMPLETED, ItemState.FAILED}),
    ItemState.IN_PROGRESS: frozenset({ItemState.COMPLETED, ItemState.FAILED}),
    ItemState.COMPLETED: frozenset(),
    ItemState.FAILED: frozenset(),
}


class IllegalMoveError(ValueError):
    """A TODO item was asked to go back."""


class TodoItem(Document):
    """One step of a task.

    Attributes:
        key: ``<kind>:<index>``, e.g. ``command:0``; stable for the life of the task.
        durable: its effect outlives the node (a checkpoint is in the object store, or the manifest is committed).
        epoch: the attempt that wrote the item last.
    """

    key: str
    kind: ItemKind
    index: int
    title: str
    state: ItemState = ItemState.PENDING
    durable: bool = False
    epoch: int = 0


def plan_items(task: TaskDocument) -> tuple[TodoItem, ...]:
    """The TODO list of a new task, in the order of execution."""
    rows = [
        *((ItemKind.STAGE_IN, i, f"fetch {x.remote}") for i, x in enumerate(task.inputs)),
        *((ItemKind.COMMAND, i, c.title or " ".join(c.command)[:80]) for i, c in enumerate(task.commands)),
        *((ItemKind.STAGE_OUT, i, f"store {x.remote}") for i, x in enumerate(task.outputs)),
    ]
    return tuple(TodoItem(key=f"{kind.value}:{i}", kind=kind, index=i, title=title) for kind, i, title in rows)


def move(item: TodoItem, to: ItemState, *, epoch: int, durable: bool = False) -> TodoItem:
    """The item after a move by attempt `epoch`.

    Raises:
        IllegalMoveError: the item would go back.
    """
    if to not in MOVES[item.state]:
        raise IllegalMoveError(f"{item.key} cannot go from {item.state.value} to {to.value}")
    return item.model_copy(update={"state": to, "epoch": epoch, "durable": item.durable or durable})


def reopen(items: Sequence[TodoItem], *, epoch: int) -> tuple[TodoItem, ...]:
    """The list as attempt `epoch` finds it: what died with the earlier node, unfinished or not, is pending again.

    Completed stage-ins stay completed: the new node fetches them again silently, since inputs are read-only.
    After the first command without a durable result every later command is pending too: its result rested on it.
    """
    result: list[TodoItem] = []
    broken = False
    for item in items:
        is_safe = item.kind is ItemKind.STAGE_IN or (item.durable and not broken)
        if item.state is not ItemState.PENDING and not (item.state is ItemState.COMPLETED and is_safe):
            item = item.model_copy(update={"state": ItemState.PENDING, "epoch": epoch})
        if item.kind is ItemKind.COMMAND and item.state is not ItemState.COMPLETED:
            broken = True
        result.append(item)
    return tuple(result)


def fraction(items: Sequence[TodoItem]) -> float:
    """Completed items as a share of all, 0.0-1.0; a task without items is 0."""
    if not items:
        return 0.0
    return sum(item.state is ItemState.COMPLETED for item in items) / len(items)
