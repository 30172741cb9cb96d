"""How states, steps and events are written for people. Pure."""

from __future__ import annotations

from rich.text import Text

from schemas.event import Event, EventType
from schemas.state import TaskState
from schemas.todo import ItemState

#: Colour of a state wherever it is shown.
STATE_STYLE = {
    TaskState.QUEUED: "yellow",
    TaskState.RETRY_WAIT: "yellow",
    TaskState.COMPLETE: "green",
    TaskState.EXECUTOR_ERROR: "red",
    TaskState.SYSTEM_ERROR: "red",
    TaskState.CANCELED: "magenta",
}
ITEM_MARK = {
    ItemState.PENDING: ("○", "dim"),
    ItemState.IN_PROGRESS: ("●", "cyan"),
    ItemState.COMPLETED: ("✓", "green"),
    ItemState.FAILED: ("✗", "red"),
}


def state_text(state: TaskState) -> Text:
    """A state in its colour."""
    return Text(state.value, style=STATE_STYLE.get(state, "cyan"))


def event_line(event: Event) -> str | None:
    """One event in words; None for those that say nothing to people."""
    data = event.data
    line: str | None = None
    match event.type:
        case EventType.STATE:
            line = str(data.get("to", ""))
        case EventType.CLAIMED:
            line = f"{'taken over' if data.get('takeover') else 'taken'} by {data.get('node', 'a node')}"
        case EventType.TODO if data.get("state") in {"completed", "failed"}:
            line = f"{data['state']}: {data.get('title') or data.get('item')}"
        case EventType.PROGRESS | EventType.NOTICE:
            percent = data.get("percent")
            words = str(data.get("message") or "")
            line = f"{percent:.0f} % {words}".rstrip() if isinstance(percent, int | float) else words or None
        case EventType.RETRY:
            delay_s = data.get("delay_s")
            line = f"another try in {delay_s:.1f} s" if isinstance(delay_s, int | float) else "another try"
        case EventType.CANCEL_REQUESTED:
            line = f"cancel requested: {data.get('reason') or 'no reason given'}"
        case EventType.REOPENED:
            line = "steps whose effect was lost start again"
        case _:
            pass
    return line
