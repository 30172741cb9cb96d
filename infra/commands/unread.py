"""What to do when the reader of our output leaves, as `head` does. Loads nothing, since help uses it."""

from __future__ import annotations

import os
from typing import TextIO


def leave_unread(stream: TextIO) -> None:
    """Let what is still buffered vanish: nothing went wrong, and the flush at exit must not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_text(text: str, stream: TextIO) -> None:
    """Print, as far as somebody reads it."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        leave_unread(stream)
