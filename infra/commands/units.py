"""How amounts and texts of others are written for people. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

#: Control characters but tab and newline: in a name or a message of somebody else they would steer the terminal.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}")


def legible(text: str) -> str:
    """A text that somebody else wrote, without what could move the cursor, change colours or hide lines."""
    return text.translate(_CONTROLS)


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
    """How long ago, roughly, e.g. ``just now``, ``40 s ago``, ``3 min ago``."""
    seconds = int((now - then).total_seconds())
    if seconds < 5:
        return "just now"
    for unit, length, limit in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 48 * 3600)):
        if seconds < limit:
            return f"{seconds // length} {unit} ago"
    return f"{seconds // 86_400} days ago"
