"""Runs the trials of `infra.commands.checks` and shows what they found."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.commands.checks import examine
from infra.commands.ending import ExitCode
from infra.commands.options import client_settings, print_json
from infra.commands.render import show
from infra.health import Check, Health
from infra.settings import Settings

_MARKS = {
    Health.OK: Text("ok", style="green"),
    Health.OPTIONAL: Text("not used", style="dim"),
    Health.PROBLEM: Text("problem", style="bold red"),
}


def examine_all(*, as_json: bool, data: Path | None) -> int:
    """Try every part and print what was found; the exit code."""
    checks = asyncio.run(_collect(client_settings(data), is_shown=not as_json))
    problems = [check for check in checks if check.health is Health.PROBLEM]
    if as_json:
        print_json({"ok": not problems, "checks": checks})
    else:
        _show(checks, len(problems))
    return ExitCode.SYSTEM_ERROR if problems else ExitCode.COMPLETE


async def _collect(settings: Settings, *, is_shown: bool) -> list[Check]:
    console = Console(stderr=True)
    with console.status("trying every part …") if is_shown and console.is_terminal else nullcontext():
        return [check async for check in examine(settings)]


def _show(checks: list[Check], problems: int) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        said = Text(check.detail)
        if check.remedy:
            said.append(f"\n→ {check.remedy}", style="yellow" if check.health is Health.PROBLEM else "dim")
        table.add_row(_MARKS[check.health], check.name, said)
    wrong = f"{problems} problem{'' if problems == 1 else 's'}"
    show(table, "", wrong if problems else "everything that is needed works")
