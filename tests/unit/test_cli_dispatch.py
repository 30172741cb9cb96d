"""The `sisyphus` command before any command is loaded: its table, its help, its mistakes, its exit codes."""

import json
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from infra import cli
from infra.commands.ending import OF_STATE, ExitCode, guarded
from infra.commands.units import duration, size
from infra.commands.words import event_line
from infra.door import DOORS
from infra.errors import (
    ConfigurationError,
    ObjectMissingError,
    RuntimeUnavailableError,
    StateStoreError,
    StorageRefusedError,
    UnknownTaskError,
)
from schemas.event import Event, EventType
from schemas.failure import DocumentError, Problem, RefusalError
from schemas.state import TERMINAL

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_table_is_that_of_the_package():
    """The static table and the entry points name the same commands and the same targets."""
    assert {name: entry.target for name, entry in cli.COMMANDS.items()} == PROJECT["entry-points"]["sisyphus.commands"]
    assert {name: target for name, (target, _) in DOORS.items()} == PROJECT["entry-points"]["sisyphus.doors"]
    extras = PROJECT["optional-dependencies"]
    assert {entry.extra for entry in cli.COMMANDS.values()} - {""} <= extras.keys()
    assert {extra for _, extra in DOORS.values()} <= extras.keys()


def test_help_names_every_command_and_loads_none():
    """The first page lists all commands and imports neither typer nor pydantic, which is what keeps it fast."""
    code = (
        "import sys; from infra.cli import run; code = run(['--help']);"
        "heavy = {'typer', 'rich', 'pydantic', 'sqlalchemy', 'fastapi'} & sys.modules.keys(); sys.exit(code or len(heavy))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert all(f"  {name} " in shown.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sumbit"], "did you mean `sisyphus submit`?"),
        (["xyzzy"], "`sisyphus --help` lists them"),
        (["--data", "x", "status"], "options come behind the command"),
    ],
)
def test_a_mistyped_command_is_answered_with_help(arguments, said, capsys):
    """An unknown word ends with code 2 and one line that leads on."""
    assert cli.run(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_missing_extra_is_one_sentence_with_the_line_to_type(monkeypatch, capsys):
    """A command whose packages are not installed says how to install them."""

    def refuse(_module):
        raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")

    monkeypatch.setattr(cli, "import_module", refuse)
    assert cli.run(["door"]) == ExitCode.USAGE
    assert "pip install 'sisyphus-cluster[server]'" in capsys.readouterr().err


def test_a_missing_module_of_ours_is_not_blamed_on_an_extra(monkeypatch, capsys):
    """A defect is called a defect."""

    def refuse(_module):
        raise ModuleNotFoundError("No module named 'voice.cli'", name="voice.cli")

    monkeypatch.setattr(cli, "import_module", refuse)
    assert cli.run(["voice"]) == ExitCode.SYSTEM_ERROR
    assert "pip install" not in capsys.readouterr().err


def test_an_interrupt_while_a_command_is_loaded_is_no_traceback(monkeypatch):
    """Ctrl-C in the first tenth of a second ends with 130 too."""

    def interrupted(_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", interrupted)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == ExitCode.INTERRUPTED


PROBLEMS = DocumentError([Problem(code="missing", field="image", message="image is required")])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PROBLEMS, 2),
        (RefusalError("remote_form", "'x' is not a remote path"), 2),
        (ConfigurationError("SISYPHUS_PORT: too large"), 2),
        (UnknownTaskError("there is no task"), 2),
        (ObjectMissingError("there is no object"), 2),
        (typer.BadParameter("no such value"), 2),
        (StorageRefusedError("file:///x is outside the allowed roots"), 2),
        (StateStoreError("the database does not answer"), 3),
        (RuntimeUnavailableError("no runtime"), 3),
        (PermissionError(13, "Permission denied", "/x"), 3),
        (ZeroDivisionError("division by zero"), 3),
        (ExceptionGroup("group", [StateStoreError("inside a group")]), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_error_has_its_exit_code_and_no_traceback(error, code, capsys):
    """What a user typed wrong is 2, what is wrong with the system is 3, and a traceback is never shown."""

    def fail():
        raise error

    assert guarded(fail, as_json=False) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert code == 130 or said.startswith("error: ")


def test_errors_are_json_where_json_was_asked_for(capsys):
    """With --json a program finds the problems as code, field and message on stdout."""

    def fail():
        raise PROBLEMS

    assert guarded(fail, as_json=True) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["problems"] == [{"code": "missing", "field": "image", "message": "image is required"}]
    assert said["exit_code"] == 2


def test_debugging_shows_where_it_happened(monkeypatch, capsys):
    """SISYPHUS_LOG_LEVEL=debug adds the traceback."""
    monkeypatch.setenv("SISYPHUS_LOG_LEVEL", "debug")
    guarded(lambda: 1 // 0, as_json=False)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_every_end_of_a_task_has_an_exit_code():
    """Terminal states map to the five documented codes, each to its own."""
    assert OF_STATE.keys() == TERMINAL
    assert sorted(OF_STATE.values()) == [0, 1, 3, 4]


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB")])
def test_sizes_read_well(count, text):
    """A size is shown in the unit that reads best."""
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0.0 s"), (1.25, "1.2 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"), (259200, "3 days")]
)
def test_spans_read_well(seconds, text):
    """A span is shown as people say it."""
    assert duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize("kind", EventType)
def test_every_kind_of_event_can_be_shown(kind):
    """No event, however bare, breaks the display."""
    event = Event(type=kind, task_id="t", seq=1, epoch=1, at=datetime(2026, 1, 1, tzinfo=UTC))
    assert event_line(event) is None or isinstance(event_line(event), str)
