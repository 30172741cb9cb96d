"""What commands print into a pipe can be searched and read line by line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from rich.table import Table
from rich.text import Text

from infra.commands.render import show
from infra.commands.words import event_line
from schemas.event import Event, EventType


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A row longer than any terminal stays one line, nothing of it is cut, and no line ends in blanks."""
    table = Table(box=None, pad_edge=False)
    for head in ("name", "what"):
        table.add_column(head, no_wrap=True, overflow="ellipsis")
    table.add_row("short", "x")
    table.add_row("long", Text("word " * 100 + "end"))
    show(table, "", "last line")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line] == ["name", "short", "long", "last"]
    assert lines[2].endswith("word end")
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(("delay_s", "said"), [(0.6580045182427101, "another try in 0.7 s"), (None, "another try")])
def test_the_wait_before_another_try_is_rounded(delay_s: float | None, said: str) -> None:
    """People read tenths of a second."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    event = Event(task_id="t", seq=1, epoch=1, at=at, type=EventType.RETRY, data={"delay_s": delay_s})
    assert event_line(event) == said
