"""What every test may use: how a missing machine part is treated."""

from __future__ import annotations

import os

import pytest


def need(condition: object, reason: str) -> None:
    """Skip with a reason where something cannot be had; in CI, where all of it can, fail instead."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"needed in CI: {reason}")
    pytest.skip(reason)
