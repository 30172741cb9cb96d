"""What commands print into a pipe can be searched and read line by line."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from infra.commands.render import TaskTable, ending_block, show, task_block
from infra.commands.units import age
from infra.commands.watching import LiveFace, PlainFace
from infra.commands.words import event_line
from schemas.event import Event, EventType
from schemas.legacy import parse_task
from schemas.record import TaskRecord
from schemas.state import TaskState


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


MESSAGE = "pass 3 of 6, repeated words, found 0"


def record(name: str = "count words", **fields: object) -> TaskRecord:
    """A task as the store has it."""
    document = parse_task({"id": "1m8avjc489t8zx662d", "name": name, "image": "a", "commands": [{"command": ["true"]}]})
    now = datetime.now(UTC)
    given = {"id": document.id, "document": document, "state": TaskState.RUNNING, "seq": 1, "created_at": now, **fields}
    return TaskRecord.model_validate(given)


def drawn(part: RenderableType, width: int) -> list[str]:
    """What a terminal of that width shows."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, no_color=True, highlight=False, legacy_windows=False).print(
        part
    )
    return [Text.from_ansi(line).plain.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 72, 80, 120])
@pytest.mark.parametrize("name", ["a", "a task whose name is longer than most lines are", "日本語のタスク"])
def test_a_list_of_tasks_keeps_its_ids_on_a_narrow_terminal(width: int, name: str) -> None:
    """Ids are copied from it, so they are never cut; neither are state and progress. One line per task."""
    failed = record(name, state=TaskState.EXECUTOR_ERROR, message="a message " * 20)
    lines = drawn(TaskTable([failed, failed]), width)
    assert len(lines) == 3
    for line in lines[1:]:
        assert line.startswith("1m8avjc489t8zx662d  ")
        assert "executor_error" in line
        assert "0 %" in line


def test_what_an_output_is_called_is_never_cut() -> None:
    """On a narrow terminal the name of an object is folded: it is there to be copied. Its size stays beside it."""
    remote = "sisyphus:results/1m8axjpz7h559kpyka/a-file-with-a-long-name.txt"
    output = {"remote": remote, "staged": "sisyphus:.s/x", "size_bytes": 26, "sha256": "0" * 64, "epoch": 1}
    ended = record(state=TaskState.COMPLETE, outputs=(output,), epoch=1, committed=True)
    lines = drawn(ending_block(ended), 60)
    assert "26 B" in lines[2]
    assert "".join(line.split("  ")[0] for line in lines[2:]) == remote


@pytest.mark.parametrize(("width", "shown"), [(60, "…"), (120, MESSAGE)])
def test_the_bar_leaves_the_time_legible_and_cuts_the_message(width: int, shown: str) -> None:
    """Percent and time are always whole; the milestone is as long as the terminal lets it be, on one line."""
    out = io.StringIO()
    face = LiveFace(record(), Console(file=out, width=width, force_terminal=True, no_color=True))
    at = datetime.now(UTC)
    data = {"percent": 45, "message": MESSAGE}
    face.show(Event(task_id="t", seq=1, epoch=1, at=at, type=EventType.PROGRESS, data=data))
    (line,) = drawn(face._progress.get_renderable(), width)
    assert "45% 0:00:0" in line
    assert line.endswith(shown)


def test_an_empty_list_says_so() -> None:
    """No head without lines below it."""
    assert drawn(TaskTable([]), 80) == ["no tasks yet"]


def test_reported_progress_is_no_output() -> None:
    """Lines that report progress were shown as such; the end of the log is what is left."""
    log = "one\n::progress value=50::half way\n::notice::found it\n:: two\n"
    lines = drawn(task_block(record(), log), 80)
    assert lines[lines.index("last lines of its log:") + 1 :] == ["  one", "  :: two"]
    assert "last lines of its log:" not in drawn(task_block(record(), "::progress value=50::half way\n"), 80)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "just now"),
        (4, "just now"),
        (59, "59 s ago"),
        (185, "3 min ago"),
        (7300, "2 h ago"),
        (260_000, "3 days ago"),
    ],
)
def test_an_age_is_rough(seconds: int, said: str) -> None:
    """One unit is enough to tell yesterday from just now."""
    now = datetime.now(UTC)
    assert age(now - timedelta(seconds=seconds), now) == said


def test_who_watches_late_sees_how_long_it_has_taken() -> None:
    """The clock beside the bar is the task's, not the watcher's."""
    late = record(created_at=datetime.now(UTC) - timedelta(minutes=5))
    face = LiveFace(late, Console(file=io.StringIO()))
    assert (face._progress.tasks[0].elapsed or 0) >= 300


def test_what_others_wrote_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A name, a milestone or a line of output with escape codes changes no colour and hides no line."""
    evil = "\x1b[2J\x1b[31mred\x07\x9b1A"
    task = record(evil, message=evil)
    show(task_block(task, f"{evil}\n"), TaskTable([task]))
    PlainFace().show(
        Event(task_id="t", seq=1, epoch=1, at=task.created_at, type=EventType.NOTICE, data={"message": evil})
    )
    shown = capsys.readouterr().out
    assert shown.count("red") == 6
    assert not any(character in shown for character in "\x1b\x07\x9b")
