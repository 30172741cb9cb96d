"""What a log line looks like, and when the package that writes it is loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def logged(script):
    """What a program with our log writes: stdout and stderr."""
    head = "import logging, sys\nfrom infra.log import get_logger, setup_logging\nlog = get_logger('part')\n"
    done = subprocess.run(
        [sys.executable, "-c", head + script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout, done.stderr


def test_who_logs_nothing_loads_nothing():
    """Setting the log up and holding a logger does not load structlog; the first line does."""
    out, _ = logged("setup_logging('error', 'text')\nprint('structlog' in sys.modules)\nlog.info('hidden')")
    assert out == "False\n"


def test_our_lines_and_those_of_others_have_one_form():
    """JSON on stderr with the module, the level and the fields, also from the standard library's loggers."""
    out, err = logged("setup_logging('info')\nlog.info('begun', task='t')\nlogging.getLogger('x').warning('odd %s', 1)")
    ours, theirs = map(json.loads, err.splitlines())
    assert out == ""
    assert {key: ours[key] for key in ("event", "level", "module", "task")} == {
        "event": "begun",
        "level": "info",
        "module": "part",
        "task": "t",
    }
    assert (theirs["event"], theirs["level"]) == ("odd 1", "warning")


@pytest.mark.parametrize("setup", ["", "setup_logging('info', 'text')\n"])
def test_a_file_gets_no_colours(setup):
    """Escape codes are for terminals: whoever sends stderr to a file can search it."""
    _, err = logged(f"{setup}log.warning('full', free=0)")
    assert "full" in err
    assert "\x1b" not in err


def test_private_fields_are_for_debugging_alone():
    """A field named pii_… is written at debug level and at no other."""
    script = "setup_logging('{}', 'json')\nlog.error('heard', pii_text='secret')"
    assert "secret" not in logged(script.format("info"))[1]
    assert "secret" in logged(script.format("debug"))[1]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "exception"])
def test_a_log_that_nobody_can_read_stops_nothing(level):
    """The terminal was closed, or the disk of the log is full: who logs goes on."""
    script = (
        "import sys\nfrom infra.log import get_logger, setup_logging\nsetup_logging('debug', 'json')\n"
        f"try:\n    1 / 0\nexcept ZeroDivisionError:\n    get_logger('part').{level}('lost')\nprint('went on')"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert done.stdout == b"went on\n"
