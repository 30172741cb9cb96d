"""Gives freed memory back to the system; the allocator alone would keep the peak of every model's run."""

from __future__ import annotations

import ctypes
import sys


def return_memory() -> None:
    """Return what is free to the system, where the C library can; takes up to 30 ms."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
