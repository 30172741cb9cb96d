"""What happens to a task, appended in the transaction that changes its state.

`seq` counts from 1 per task without gaps, so a reader that remembers the last one it saw can neither miss an event
nor act on one twice.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field, JsonValue

from schemas.document import Document
from schemas.ids import TaskId


class EventType(StrEnum):
    """The kinds of events; `data` of each is given behind it."""

    ACCEPTED = "accepted"  # name, template
    STATE = "state"  # from, to, [failure]
    CLAIMED = "claimed"  # node, takeover: bool
    TODO = "todo"  # item, title, state
    REOPENED = "reopened"  # items: keys whose effect died with the earlier node
    PROGRESS = "progress"  # percent, message
    NOTICE = "notice"  # message
    CONTAINER = "container"  # item, container_id, image, image_digest
    EXIT = "exit"  # item, exit_code, out_of_memory
    RETRY = "retry"  # delay_s, failure
    CANCEL_REQUESTED = "cancel_requested"  # reason
    OUTPUT = "output"  # remote, size_bytes, sha256, [line]


class NewEvent(Document):
    """An event about to be appended; the store adds task, seq, epoch and time."""

    type: EventType
    data: dict[str, JsonValue] = Field(default_factory=dict)


class Event(NewEvent):
    """An event as it was stored."""

    task_id: TaskId
    seq: int
    epoch: int
    at: datetime
