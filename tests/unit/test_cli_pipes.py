"""Commands whose reader leaves, as `head` does: nothing went wrong, and nothing is said."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(tmp_path, *arguments, **streams):
    environment = {**os.environ, "SISYPHUS_DATA": str(tmp_path / "data"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "infra.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=False, **streams)


@pytest.fixture
def unread():
    """A pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["status", "--help"], ["templates"], ["templates", "--json"], ["status"]],
    ids=" ".join,
)
def test_a_reader_that_leaves_is_no_error(tmp_path, unread, arguments):
    """Exit code 0, and no traceback."""
    done = run(tmp_path, *arguments, stdout=unread, stderr=subprocess.PIPE)
    assert done.stderr == b""
    assert done.returncode == 0


def test_a_large_object_may_be_read_in_part(tmp_path):
    """`sisyphus get REMOTE - | head -1`."""
    (tmp_path / "big").write_bytes(b"line\n" * 500_000)
    assert run(tmp_path, "put", str(tmp_path / "big"), "sisyphus:big", stdout=subprocess.DEVNULL).returncode == 0
    command = [sys.executable, "-m", "infra.cli", "get", "sisyphus:big", "-"]
    environment = {**os.environ, "SISYPHUS_DATA": str(tmp_path / "data")}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("arguments", [["nosuch"], ["submit"], ["submit", "/nowhere.json"]], ids=" ".join)
def test_an_error_that_nobody_reads_keeps_its_exit_code(tmp_path, unread, arguments):
    """2 is 2, also when stderr goes nowhere."""
    assert run(tmp_path, *arguments, stdout=subprocess.DEVNULL, stderr=unread).returncode == 2
