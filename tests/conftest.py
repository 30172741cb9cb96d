"""What every test may use: how a missing machine part is treated."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import settings

# A change is judged on the same examples each time; new ones are looked for wherever else the tests run.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")

# What a shell starts in the background ignores Ctrl-C, and so does all that it starts; tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: A skip in CI is a failure, but for reasons that begin like this: no machine could run the test as things are.
MAY_SKIP_IN_CI = ("no program for",)
R = TypeVar("R", pytest.TestReport, pytest.CollectReport)


def need(condition: object, reason: str) -> None:
    """Skip with a reason where something cannot be had; in CI, where all of it can, fail instead."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"needed in CI: {reason}")
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge the report of a test's phase."""
    return _no_skip_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Judge the report of a file's collection."""
    return _no_skip_in_ci((yield))


def _no_skip_in_ci(report: R) -> R:
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not reason.startswith(MAY_SKIP_IN_CI):
            report.outcome, report.longrepr = "failed", f"skipped in CI: {reason}"
    return report
