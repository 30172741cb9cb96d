"""What each command loads. Time on the command line is imports, and imports can be counted where time cannot."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli import COMMANDS

ROOT = Path(__file__).parents[2]
#: Packages that take long to load. alembic belongs to a migration, the rest to a broker, a store or a role.
VENDORS = {"alembic", "aio_pika", "asyncpg", "boto3", "docker", "fastapi", "numpy", "pipecat", "structlog", "uvicorn"}
DATABASE = {"sqlalchemy", "aiosqlite"}
#: Reads which names were loaded after a command, whatever the command printed.
PROBE = """
import json, os, sys
from infra.cli import run
code = run(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump([code, sorted(sys.modules)], file)
"""


@pytest.fixture
def loaded(tmp_path):
    """Runs one command line in a process of its own; the names of what it loaded, packages and modules."""

    def run(*arguments, stdin="") -> set[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SISYPHUS_")}
        environment["SISYPHUS_DATA"] = str(tmp_path / "data")
        done = subprocess.run(
            [sys.executable, "-c", PROBE, str(tmp_path / "loaded"), *arguments],
            cwd=ROOT,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        code, names = json.loads((tmp_path / "loaded").read_text())
        assert code == 0, done.stderr
        return {*names, *(name.partition(".")[0] for name in names)}

    return run


@pytest.mark.parametrize(
    "command", [*([name] for name in COMMANDS), ["voice", "serve"], ["voice", "say"]], ids=" ".join
)
def test_help_loads_little_more_than_typer(loaded, command):
    """No command needs its settings, its database or what it does in order to explain itself."""
    found = loaded(*command, "--help")
    assert not found & (VENDORS | DATABASE | {"asyncio", "pydantic_settings", "yaml"})


@pytest.mark.parametrize("command", [["status"], ["templates"], ["ls"], ["submit", "-"]], ids=" ".join)
def test_a_command_loads_no_part_that_its_settings_do_not_name(loaded, command):
    """On a database that is up to date; the first command makes it."""
    loaded("status")
    task = json.dumps({"image": "alpine:3", "commands": [{"command": ["true"]}]})
    found = loaded(*command, stdin=task)
    assert not found & {*VENDORS, "sqlalchemy.dialects.postgresql", "infra.door", "infra.runtimes", "infra.brokers"}


def test_objects_need_no_database(loaded):
    """`put`, `ls` and `get` work with the object store alone."""
    for command in (["put", "README.md", "sisyphus:x"], ["ls"], ["get", "sisyphus:x", "-"]):
        assert not loaded(*command) & (VENDORS | DATABASE)


@pytest.mark.parametrize("command", [["status"], ["ls"], ["templates"]], ids=" ".join)
def test_json_needs_no_tables(loaded, command):
    """Programs get JSON without the package that draws for people."""
    assert "rich" not in loaded(*command, "--json")
