"""Reading progress out of what a command prints: ``::progress value=50::half of the rows`` and ``::notice::text``.

The shape is that of GitHub's workflow commands, so any program that can print can report. Pure.
"""

from __future__ import annotations

import re

from schemas.event import EventType, NewEvent

_LINE = re.compile(r"^::(progress|notice)( [^:]*)?::(.*)$")
_VALUE = re.compile(r"\bvalue=([0-9.]+)")
#: Longest milestone that is kept, in characters; it may be spoken.
MAX_MESSAGE_CHARS = 300


def parse_line(line: str) -> NewEvent | None:
    """The event that a printed line reports, or None for an ordinary line.

    `percent` is clamped to 0-100; a progress line without a usable value is a notice.
    """
    match = _LINE.match(line.strip())
    if match is None:
        return None
    kind, attributes, text = match.groups()
    message = "".join(c for c in text if c.isprintable()).strip()[:MAX_MESSAGE_CHARS]
    value = _VALUE.search(attributes or "")
    if kind == "progress" and value is not None:
        try:
            percent = min(100.0, max(0.0, float(value[1])))
        except ValueError:
            percent = None
        if percent is not None:
            return NewEvent(type=EventType.PROGRESS, data={"percent": percent, "message": message})
    return NewEvent(type=EventType.NOTICE, data={"message": message}) if message else None
