"""How values are written for people: sizes, durations, ages, states. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

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


def size(count: float) -> str:
    """Bytes in the unit that reads best, e.g. ``1.4 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def duration(span: timedelta) -> str:
    """A span as people say it, e.g. ``1.2 s``, ``3 min 05 s``, ``2 h 10 min``."""
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} days"


def age(then: datetime, now: datetime) -> str:
    """How long ago, roughly."""
    seconds = (now - then).total_seconds()
    return "just now" if seconds < 5 else f"{duration(timedelta(seconds=int(seconds))).replace('.0 s', ' s')} ago"


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
